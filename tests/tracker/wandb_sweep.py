"""W&B's server for `wandb sweep` and `wandb agent`: hands out the runs of one sweep, then ends the agent."""

from __future__ import annotations

import json
from typing import Any

import yaml

from tests.tracker.wandb_server import WandbServer

SWEEP = "sw33p"


class WandbSweepServer(WandbServer):
    """`points` are handed out in order, one a run, with the ids `point-0`, `point-1` and so on."""

    def __init__(self, points: list[dict[str, Any]]) -> None:
        super().__init__()
        self.points = points
        self.config: dict[str, Any] = {}  # the sweep file, as the server got it
        self.started = 0

    def answer(self, operation: str, variables: dict[str, Any]) -> dict[str, Any]:
        match operation:
            case "UpsertSweep":
                self.config = yaml.safe_load(variables["config"])
                project = {"id": "p", "name": variables["projectName"], "entity": {"id": "e", "name": "me"}}
                return {"upsertSweep": {"sweep": {"name": SWEEP, "project": project}, "configValidationWarnings": []}}
            case "SweepWithRuns":
                sweep = {"id": "s", "name": SWEEP, "state": "RUNNING", "config": yaml.safe_dump(self.config)}
                return {"project": {"sweep": {**sweep, "runs": {"edges": []}}}}
            case "CreateAgent":
                return {"createAgent": {"agent": {"id": "a"}}}
            case "Heartbeat":
                return {"agentHeartbeat": {"agent": {"id": "a"}, "commands": json.dumps(self._commands(variables))}}
        return super().answer(operation, variables)

    def _commands(self, variables: dict[str, Any]) -> list[dict[str, Any]]:
        if json.loads(variables["runState"]):  # one is at work
            return []
        if self.started == len(self.points):
            return [{"type": "exit"}]
        args = {key: {"value": value} for key, value in self.points[self.started].items()}
        self.started += 1
        return [{"type": "run", "run_id": f"point-{self.started - 1}", "program": self.config["program"], "args": args}]

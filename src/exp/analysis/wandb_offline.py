"""Offline `.wandb` logs, read with W&B's own `wandb leet inspect`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from exp.analysis.collection import Collection, Problem
from exp.analysis.run_data import RunData
from exp.analysis.wandb_run import ABOUT_RUNS, to_run, unpacked


def read_offline(files: list[Path], found: Collection) -> None:
    """Adds the runs of `files`. A resumed run has a second log with the same id: both make one run."""
    parts: dict[str, list[dict[str, Any]]] = {}
    for file in files:
        try:
            part = read_log(file)
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            found.problems.append(Problem(str(file), f"cannot be read ({error})"))
            continue
        if part["job_type"] not in ABOUT_RUNS:
            parts.setdefault(part["id"], []).append(part)
    for id, logs in parts.items():
        found.runs.append(_joined(id, sorted(logs, key=lambda log: log["created"] or "")))


def read_log(file: Path) -> dict[str, Any]:
    """One log's run, config, summary and history rows. Raises ValueError where it names no run."""
    done = subprocess.run(
        [sys.executable, "-m", "wandb", "leet", "inspect", "--json", str(file)],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    log: dict[str, Any] = {
        "file": str(file.resolve()), "id": None, "config": {}, "summary": {}, "rows": [],
        "group": None, "job_type": None, "created": None, "exit": None,
    }  # fmt: skip
    for line in done.stdout.splitlines():
        try:
            record = json.loads(line)
        except ValueError:
            continue
        kind = record.get("type")
        body = record.get(kind) or {}
        if kind == "run":
            log.update(id=body.get("run_id"), group=body.get("run_group"), created=body.get("start_time"))
            log["job_type"] = body.get("job_type")
            _update(log["config"], body.get("config"))
        elif kind in ("config", "summary"):
            _update(log[kind], body)
        elif kind == "history":
            log["rows"].append(body.get("item") or {})
        elif kind == "exit":
            log["exit"] = body.get("exit_code", 0)
    if not log["id"]:
        told = done.stderr.strip().splitlines()
        raise ValueError(told[-1] if told else "it names no run")
    return log


def _update(held: dict[str, Any], change: Any) -> None:
    if isinstance(change, dict):
        held.update(change.get("update") or {})
        for key in change.get("remove") or ():
            held.pop(key, None)


def _joined(id: str, logs: list[dict[str, Any]]) -> RunData:
    last = logs[-1]
    summary = {key: value for log in logs for key, value in log["summary"].items()}
    # Without an exit record the log stops in the middle: running still, or killed.
    state = "crashed" if last["exit"] is None else ("finished" if last["exit"] == 0 else "failed")
    return to_run(
        source=f"wandb:{last['file']}",
        id=id,
        state=state,
        config=unpacked(last["config"]),
        summary=summary,
        group=last["group"],
        created=logs[0]["created"],
        rows=[row for log in logs for row in log["rows"]],
    )

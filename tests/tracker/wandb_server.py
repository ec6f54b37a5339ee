"""A local server that speaks enough of W&B's protocol for a run to be online: nothing of wandb is patched."""

from __future__ import annotations

import gzip
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

KEY = "a" * 40  # the length that W&B asks for


class WandbServer:
    """Keeps what clients sent; `upserts`, `alerts` and `artifacts` are the variables of their mutations."""

    def __init__(self) -> None:
        self.upserts: list[dict[str, Any]] = []
        self.alerts: list[dict[str, Any]] = []
        self.artifacts: list[dict[str, Any]] = []
        self.history: dict[str, list[dict[str, Any]]] = {}  # run id -> rows
        self.exits: dict[str, int] = {}
        self.uploaded: list[str] = []
        self.used: list[dict[str, Any]] = []  # artifacts that runs named as their input
        self.keeps_artifacts = False  # True: answers as if it had each already, so that no file is sent
        self.refused: set[str] = set()  # runs that it takes nothing of
        self.known: set[str] = set()  # runs that exist, for a resume
        owner = self

        class Handler(_Handler):
            server_of_runs = owner

        self.http = _Quiet(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        self.thread = threading.Thread(target=self.http.serve_forever, daemon=True)
        self.thread.start()

    def stop(self) -> None:
        self.http.shutdown()
        self.http.server_close()

    def answer(self, operation: str, variables: dict[str, Any]) -> dict[str, Any]:
        match operation:
            case "RunResumeStatus":
                return {"model": self._model(variables["name"]) if variables["name"] in self.known else None}
            case "UpsertBucket":
                self.upserts.append(variables)
                self.known.add(variables["name"])
                project = {"id": "p", "name": variables["project"], "entity": {"id": "e", "name": "me"}}
                bucket = {"id": "b", "name": variables["name"], "displayName": "n", "historyLineCount": 0}
                return {"upsertBucket": {"bucket": {**bucket, "project": project}, "inserted": True}}
            case "CreateRunFiles":
                files = [{"name": name, "uploadUrl": f"{self.url}/put/{name}"} for name in variables["files"]]
                return {"createRunFiles": {"runID": "b", "uploadHeaders": [], "files": files}}
            case "NotifyScriptableRunAlert":
                self.alerts.append(variables)
                return {"notifyScriptableRunAlert": {"success": True}}
            case "ArtifactType":
                return {"project": None}  # no artifact of this name yet
            case "CreateArtifact":
                self.artifacts.append(variables)
                made = {"id": f"artifact-{len(self.artifacts)}", "state": "COMMITTED"}
                return {"createArtifact": {"artifact": {**made, "artifactSequence": {"id": "c"}}}}
            case "UseArtifact":
                self.used.append(variables)
                return {"useArtifact": {"artifact": {"id": variables["input"]["artifactID"]}}}
            case "ArtifactByID":
                return {"artifact": self._artifact(variables["id"])}
            case "ProjectInternalId":
                return {"project": {"internalId": "cA=="}}
            case "Viewer":
                return {"viewer": {"id": "u", "entity": "me", "username": "me", "flags": "{}"}}
        return {}

    def stream(self, run_id: str, body: dict[str, Any]) -> None:
        sent = (body.get("files") or {}).get("wandb-history.jsonl", {"offset": 0, "content": []})
        kept = self.history.setdefault(run_id, [])
        start, rows = sent["offset"], [json.loads(row) for row in sent["content"]]
        kept[start : start + len(rows)] = rows  # as W&B does: a line sent again replaces the one that was there
        if body.get("complete"):
            self.exits[run_id] = body["exitcode"]

    def _artifact(self, id: str) -> dict[str, Any]:
        asked = self.artifacts[int(id.removeprefix("artifact-")) - 1]["input"]
        project = {"id": "p", "internalId": "cA==", "name": "exp", "entity": {"name": "me"}}
        sequence = {"__typename": "ArtifactSequence", "name": asked["artifactCollectionName"], "project": project}
        kind = {"name": asked["artifactTypeName"]}
        nothing = dict.fromkeys(("description", "historyStep", "commitHash", "updatedAt"))
        return {
            **{"__typename": "Artifact", "id": id, "artifactSequence": sequence, "artifactType": kind, **nothing},
            **{
                "versionIndex": 0,
                "metadata": asked["metadata"],
                "ttlIsInherited": False,
                "ttlDurationSeconds": 0,
                "tags": [],
                "aliases": [],
            },
            **{"state": "COMMITTED", "size": 1, "digest": asked["digest"], "fileCount": 1, "createdAt": "2026-01-01"},
        }

    def _model(self, name: str) -> dict[str, Any]:
        lines = len(self.history[name])
        bucket = {
            "id": "b",
            "name": name,
            "summaryMetrics": "{}",
            "displayName": "n",
            "logLineCount": 0,
            "historyLineCount": lines,
            "eventsLineCount": 0,
            "historyTail": json.dumps([json.dumps(self.history[name][-1])] if lines else []),
            "eventsTail": "[]",
            "config": "{}",
            "tags": [],
            "wandbConfig": '{"t": 1}',  # without it the run counts as never started
        }
        return {"id": "p", "name": "exp", "entity": {"id": "e", "name": "me"}, "bucket": bucket}


class _Quiet(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that was killed leaves its connection half-way."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_of_runs: WandbServer

    def log_message(self, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        self._send({})

    def do_PUT(self) -> None:
        self._body()
        self.server_of_runs.uploaded.append(self.path.removeprefix("/put/"))
        self._send({})

    def do_POST(self) -> None:
        body = self._body()
        if self.path == "/graphql":
            asked = json.loads(body)
            operation = asked.get("operationName") or asked["query"].split()[1].partition("(")[0]
            if operation == "CreateArtifact" and not self.server_of_runs.keeps_artifacts:
                self.server_of_runs.artifacts.append(asked["variables"])
                self._send({"errors": [{"message": "this server keeps no artifacts"}]})
            elif (asked.get("variables") or {}).get("name") in self.server_of_runs.refused:
                self._send({"errors": [{"message": "permission denied"}]})
            else:
                self._send({"data": self.server_of_runs.answer(operation, asked.get("variables") or {})})
        elif self.path.endswith("/file_stream"):
            self.server_of_runs.stream(self.path.split("/")[-2], json.loads(body))
            self._send({"limits": {}})
        else:  # W&B's own telemetry
            self._send({})

    def _body(self) -> bytes:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        return gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body

    def _send(self, value: dict[str, Any]) -> None:
        data = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

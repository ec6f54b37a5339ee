"""A W&B server on localhost: the few GraphQL answers that the real wandb.Api asks for."""

from __future__ import annotations

import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Server:
    """`runs`: id -> {"config", "rows", "group", "state", "summary"}. `asked` collects operation and variables."""

    def __init__(self, runs, page=2):
        self.runs, self.page, self.asked = runs, page, []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                answer = {}
                if self.path.endswith("/graphql"):
                    query = json.loads(body)
                    name = query.get("operationName") or re.search(r"query\s+(\w+)", query["query"])[1]
                    outer.asked.append((name, query.get("variables") or {}))
                    answer = {"data": getattr(outer, name)(query.get("variables") or {})}
                text = json.dumps(answer).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def close(self):
        self.http.shutdown()
        self.http.server_close()

    def Viewer(self, _):
        viewer = {"id": "1", "entity": "me", "username": "me", "email": "me@example.org", "flags": "{}"}
        return {"viewer": viewer | {"teams": {"edges": []}}}

    GetDefaultEntity = Viewer

    def Runs(self, variables):
        group = json.loads(variables.get("filters") or "{}").get("group")
        names = [name for name, run in self.runs.items() if group in (None, run["group"])]
        start = int(variables.get("cursor") or 0)
        part = names[start : start + self.page]
        end = start + len(part)
        edges = [{"node": self._node(name), "cursor": str(start + i + 1)} for i, name in enumerate(part)]
        pages = {"edges": edges, "pageInfo": {"endCursor": str(end), "hasNextPage": end < len(names)}}
        return {"project": {"internalId": "12", "runCount": len(names), "readOnly": False, "runs": pages}}

    def _node(self, name):
        run = self.runs[name]
        user = {"name": "me", "username": "me"}
        config = json.dumps({key: {"value": value} for key, value in run["config"].items()})
        fixed = {"sweepName": None, "commit": None, "readOnly": False, "user": user, "tags": []}
        fixed["jobType"] = run.get("job")
        times = {"createdAt": "2026-11-20T00:00:00Z", "heartbeatAt": "2026-11-20T00:00:00Z"}
        return {
            "id": name, "name": name, "displayName": name, "projectId": "12", "internalId": "5", "notes": "",
            "state": run["state"], "config": config, "group": run["group"], "description": "",
            "systemMetrics": "{}", "summaryMetrics": json.dumps(run["summary"]),
            "historyLineCount": len(run["rows"]), **self._keys(name), **fixed, **times,
        }  # fmt: skip

    def _keys(self, name):
        return {"historyKeys": {"lastStep": len(self.runs[name]["rows"]) - 1, "keys": {}}}

    def RunHistoryKeys(self, variables):
        return {"project": {"run": self._keys(variables["name"])}}

    def RunParquetHistory(self, variables):
        rows = [{"_step": i} for i in range(len(self.runs[variables["runName"]]["rows"]))]
        return {"project": {"run": {"parquetHistory": {"parquetUrls": [], "liveData": rows}}}}

    def HistoryPage(self, variables):
        rows = self.runs[variables["run"]]["rows"][int(variables["minStep"]) : int(variables["maxStep"])]
        first = int(variables["minStep"])
        return {"project": {"run": {"history": [json.dumps({"_step": first + i, **r}) for i, r in enumerate(rows)]}}}

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import EvalResult, ModelCard, ModelCardData, constants

from exp.errors import ExpError
from exp.run.events import read_events
from exp.run.secrets import HIDDEN, redacted
from exp.saved import hub
from exp.saved.card import overrides
from tests.finished_runs import BEST, REVIEWS, SECRETS, contents, copy_of, reviews_run, saved_step, train

Entry = Callable[..., Any]


class StandIn:
    """The calls of the Hub that a push makes, on this machine; `refuse` answers them with 403. `card` was there."""

    def __init__(self, refuse: bool = False) -> None:
        self.calls: list[tuple[str, str, str | None]] = []  # path, body, authorization
        self.files: dict[str, bytes] = {}
        self.card: bytes | None = None
        stand_in = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"] or 0))
                stand_in.calls.append((self.path, body.decode(), self.headers["Authorization"]))
                answer = stand_in.answer(self.path, body)
                data = json.dumps(answer).encode()
                self.send_response(403 if refuse else 200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def do_HEAD(self) -> None:
                self.do_GET()

            def do_GET(self) -> None:
                there = stand_in.card if self.path.endswith("/README.md") else None
                self.send_response(404 if there is None else 200)
                self.send_header("X-Error-Code", "EntryNotFound") if there is None else None
                self.send_header("X-Repo-Commit", "a" * 40)
                self.send_header("ETag", '"b"')
                self.send_header("Content-Length", str(len(there or b"")))
                self.end_headers()
                if there is not None and self.command == "GET":
                    self.wfile.write(there)

            def log_message(self, *words: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def answer(self, path: str, body: bytes) -> dict[str, Any]:
        if path == "/api/repos/create":
            return {"url": f"{self.address}/me/mine", "name": "me/mine"}
        if "/preupload/" in path:
            asked = json.loads(body)["files"]
            return {"files": [{"path": f["path"], "uploadMode": "regular", "shouldIgnore": False} for f in asked]}
        if "/commit/" in path:
            for line in body.decode().splitlines():
                said = json.loads(line)
                if said["key"] == "file":
                    self.files[said["value"]["path"]] = base64.b64decode(said["value"]["content"])
            sha = "a" * 40
            return {"success": True, "commitOid": sha, "commitUrl": f"{self.address}/me/mine/commit/{sha}"}
        return {"errors": [], "warnings": []}

    @property
    def env(self) -> dict[str, str]:
        return {"HF_ENDPOINT": self.address, "HF_HUB_OFFLINE": "0", "HF_TOKEN": SECRETS["HF_TOKEN"]}


@pytest.fixture
def stand_in() -> Iterator[StandIn]:
    made = StandIn()
    yield made
    made.server.shutdown()


@pytest.fixture
def refusing() -> Iterator[StandIn]:
    made = StandIn(refuse=True)
    yield made
    made.server.shutdown()


def test_a_finished_run_is_pushed_with_card_and_curve(tmp_path: Path, entry: Entry, stand_in: StandIn) -> None:
    run = copy_of(reviews_run(), tmp_path / "run")
    done = entry("share", f"run={run}", "repo_id=me/mine", **stand_in.env)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == f"{stand_in.address}/me/mine"
    create = json.loads(next(body for path, body, _ in stand_in.calls if path == "/api/repos/create"))
    assert (create["organization"], create["name"], create["visibility"]) == ("me", "mine", "private")
    assert all(token == f"Bearer {SECRETS['HF_TOKEN']}" for path, _, token in stand_in.calls if "/commit/" in path)
    assert set(stand_in.files) == {item.name for item in (run / "model").iterdir()}
    assert stand_in.files["model.safetensors"] == (run / "model" / "model.safetensors").read_bytes()
    card = stand_in.files["README.md"].decode()
    assert "(curves.png)" in card and 'model="me/mine"' in card
    assert stand_in.files["curves.png"].startswith(b"\x89PNG")


def results_of_a_row(folder: Path) -> Path:
    results = [EvalResult("text-classification", "mine", "mine", "accuracy", 0.9, metric_args={"n": 3})]
    folder.mkdir()
    ModelCard(f"---\n{ModelCardData(model_name='row', eval_results=results).to_yaml()}\n---\nours").save(
        folder / "README.md"
    )
    (folder / "results.json").write_text("{}")
    return folder


@pytest.mark.parametrize("card", [None, b"---\nlicense: mit\n---\ntheirs"])
def test_results_of_a_table_are_pushed_beside_a_card_that_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stand_in: StandIn, card: bytes | None
) -> None:
    stand_in.card = card
    monkeypatch.setattr(constants, "ENDPOINT", stand_in.address)
    monkeypatch.setattr("huggingface_hub.hf_api.api.endpoint", stand_in.address)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(
        constants, "HUGGINGFACE_CO_URL_TEMPLATE", stand_in.address + "/{repo_id}/resolve/{revision}/{filename}"
    )
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_TOKEN", SECRETS["HF_TOKEN"])
    assert hub.upload_results(results_of_a_row(tmp_path / "row"), "me/mine", True) == f"{stand_in.address}/me/mine"
    assert set(stand_in.files) == {"README.md", "results.json"}
    pushed = ModelCard(stand_in.files["README.md"].decode())
    assert pushed.data.eval_results[0].metric_value == 0.9
    assert pushed.data.license == ("mit" if card else None)
    assert pushed.text.strip() == ("theirs" if card else "ours")


def test_a_hub_out_of_reach_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    with pytest.raises(ExpError, match="the Hub cannot be reached for me/mine"):
        hub.upload_results(results_of_a_row(tmp_path / "row"), "me/mine", True)


@pytest.mark.slow
def test_hub_push_ends_a_training_with_a_push(tmp_path: Path, stand_in: StandIn) -> None:
    done = train(tmp_path / "run", *REVIEWS, "hub.push=true", "hub.repo_id=me/mine", **stand_in.env)
    assert done.returncode == 0, done.stderr
    assert f"pushed to {stand_in.address}/me/mine" in done.stderr
    assert "model.safetensors" in stand_in.files
    assert not [name for name, data in contents(tmp_path).items() if SECRETS["HF_TOKEN"].encode() in data]


@pytest.mark.slow
def test_a_hub_that_refuses_costs_a_warning_and_no_run(tmp_path: Path, refusing: StandIn) -> None:
    done = train(tmp_path / "run", *REVIEWS, "hub.push=true", "hub.repo_id=me/mine", **refusing.env)
    assert done.returncode == 0, done.stderr
    assert "push it later: python -m exp.share run repo_id=me/mine" in done.stderr
    assert json.loads((tmp_path / "run" / "run.json").read_text())["status"] == "completed"


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ({"repo_id": None}, "needs hub.repo_id=<owner>/<name>"),
        ({"repo_id": "mine"}, "names no owner"),
        ({"repo_id": "me/mi ne"}, "hub.repo_id=me/mi ne"),
        ({"token": ""}, "a push needs a token"),
        ({"offline": True}, "HF_HUB_OFFLINE is set"),
    ],
)
def test_what_a_push_needs_is_checked_before(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, word: dict[str, Any], message: str
) -> None:
    given = {"repo_id": "me/mine", "token": "hf_x", "offline": False, **word}
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", given["offline"])
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "none"))
    monkeypatch.setenv("HF_TOKEN", given["token"])
    with pytest.raises(ExpError) as error:
        hub.Hub(True, given["repo_id"], True)
    assert message in str(error.value)
    hub.Hub(False, None, True)  # nothing is needed where nothing is pushed


def test_a_training_that_could_not_push_never_begins(entry: Entry, tmp_path: Path) -> None:
    done = entry("train", "tracker=none", "hub.push=true", "hub.repo_id=me/mine", HF_TOKEN="", HF_HOME=str(tmp_path))
    assert done.returncode == 2
    assert done.stderr.startswith("exp: ") and done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_tokens_are_in_no_file_of_a_run() -> None:
    run = reviews_run()  # was trained with them in its environment
    for name, data in contents(run).items():
        for secret in SECRETS.values():
            assert secret.encode() not in data, name


def test_a_token_among_the_files_stops_the_push(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = copy_of(reviews_run(), tmp_path / "run")
    monkeypatch.setenv("MY_SERVICE_TOKEN", "tok-1234567890")
    (run / "model" / "notes.txt").write_text("login with tok-1234567890")
    with pytest.raises(ExpError, match=r"notes\.txt holds the value of a token"):
        hub.upload(run, "me/mine", True)


def test_secrets_are_hidden_wherever_they_stand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_abcdefgh")
    monkeypatch.setenv("TOKENIZERS_PARALLELISM", "false-value")  # no token, whatever its name begins with
    monkeypatch.setenv("SHORT_KEY", "true")
    given = {"command": ["x=hf_abcdefgh!", "true"], "seed": 3, "config": {"a": "false-value"}}
    assert redacted(given) == {"command": [f"x={HIDDEN}!", "true"], "seed": 3, "config": {"a": "false-value"}}


def test_the_card_says_what_was_measured_and_how(tmp_path: Path) -> None:
    run = reviews_run()
    card = ModelCard.load(run / "model" / "README.md")
    last = json.loads((run / "result.json").read_text())["last"]
    measured = {result.metric_name: result.metric_value for result in card.data.eval_results}
    step = saved_step(run)
    (then,) = [
        event.metrics
        for event in read_events(run / "metrics.jsonl")
        if event.step == step and "eval/loss" in event.metrics
    ]
    assert measured == {"eval/accuracy": then["eval/accuracy"], "test/accuracy": last["test/accuracy"]["value"]}
    assert f"| eval/loss | {then['eval/loss']:.4f} | {step} |" in card.text
    assert card.data.library_name == "transformers"
    assert card.data.datasets is None and card.data.base_model is None  # neither is on the Hub
    record = json.loads((run / "run.json").read_text())
    for said in (
        record["id"],
        record["condition"],
        record["packages"]["torch"],
        "| optimizer.lr | 0.001 |",
        "64 train",
    ):
        assert said in card.text, said
    assert "python -m exp.train data.train_size=64" in card.text
    assert "(curves.png)" in card.text and (run / "model" / "curves.png").exists()
    assert "hydra.run.dir" not in card.text and str(run.parent) not in card.text
    assert overrides(run, record) == [*REVIEWS, *BEST]


def test_ids_on_the_hub_go_into_the_metadata() -> None:
    from exp.saved.card import _metadata

    record = {
        "config": {
            "data": {"_target_": "exp.data.glue.Glue", "task": "stsb", "path": "/data/STS-B"},
            "model": {"path": "google-bert/bert-base-uncased"},
        },
        "data": {"name": "stsb", "pipeline": "text-classification"},
        "model": {"type": "bert"},
    }
    text = _metadata(record, {"eval/pearson": {"value": 0.9, "step": 1}, "eval/loss": {"value": 0.1, "step": 1}}, "m")
    assert "base_model: google-bert/bert-base-uncased" in text
    assert "- nyu-mll/glue" in text and "config: stsb" in text and "split: validation" in text
    assert "type: pearsonr" in text and "loss" not in text

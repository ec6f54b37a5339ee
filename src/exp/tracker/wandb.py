"""Weights & Biases: the user's dashboard, online or offline (docs/wandb.md)."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import shlex
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from annotated_types import Ge, Gt, Le

from exp.errors import ExpError
from exp.run.folder import read_record
from exp.run.said import command, near
from exp.run.secrets import redacted
from exp.tracker.guard import Guard
from exp.tracker.media import MOST_EXAMPLES, best_values, costs
from exp.tracker.name import facts_of, run_name
from exp.tracker.resumed import Sent
from exp.tracker.wandb_artifacts import prediction_table, store_outputs, use_inputs
from exp.tracker.wandb_media import media

if TYPE_CHECKING:
    import pyarrow as pa
    import wandb

    from exp.run.folder import Run

log = logging.getLogger(__name__)

Mode = Literal["online", "offline", "disabled"]
# finish() takes one; W&B shows 0 as finished and the rest as failed. 130 as shells count Ctrl-C.
EXIT_CODES = {"completed": 0, "pruned": 0, "failed": 1, "interrupted": 130}
# Key -> W&B's own variable, and what holds without it.
VARIABLES = {"project": ("WANDB_PROJECT", "exp"), "name": ("WANDB_NAME", "")}
LONGEST_TAG = 64  # W&B refuses the run beyond it


@dataclass
class Wandb:
    """One W&B run a run, with the same id; several in one process end one another.

    No failure of W&B reaches the training: it is said once, and metrics.jsonl keeps the numbers.
    Raises ExpError for a project or a tag that W&B would refuse.
    """

    project: str | None
    entity: str | None
    group: str | None
    job_type: str | None
    tags: list[str]
    notes: str | None
    name: str | None
    mode: Mode | None
    log_model: bool
    log_inputs: bool
    log_predictions: Annotated[int, Ge(0)]  # rows
    log_examples: Annotated[int, Ge(0), Le(MOST_EXAMPLES)]
    init_timeout: Annotated[float, Gt(0)]  # seconds
    finish_timeout: Annotated[float, Gt(0)]  # seconds

    def __post_init__(self) -> None:
        where, project = said_by("project", self.project)
        if re.search(r"[/\\#?%:]", project) or not 1 <= len(project) <= 128:
            raise ExpError(
                f"{where}={project!r}: W&B takes 1 to 128 characters, none of / \\ # ? % :"
                " (the entity has a key of its own, tracker.wandb.entity)"
            )
        for where, tags in (("tracker.wandb.tags", self.tags), ("WANDB_TAGS", tags_of_environment())):
            for tag in tags:
                if not 1 <= len(tag) <= LONGEST_TAG:
                    raise ExpError(f"{where}: {tag!r} has {len(tag)} characters; W&B takes 1 to {LONGEST_TAG}")
        self.remote: wandb.Run | None = None
        self.guard = Guard("W&B")
        self.alerted: set[str] = set()
        self.last_step = 0
        self.said: list[str] = []  # with the first numbers; a run begins with what it trains
        self.online = False

    def start(self, run: Run) -> None:
        self.run = run
        self.sent = Sent(run)
        with self.guard("starting"):
            mode, why = self.effective_mode()
            try:
                self.remote = self._init(mode)
            except Exception as error:
                if mode != "online":
                    raise
                mode, why = "offline", f"no answer from W&B ({str(error).strip().splitlines()[0]})"
                _restart_service()
                self.remote = self._init(mode)
            self.online = mode == "online"
            if mode == "offline":
                later = command("runs", "sync", near(run.folder))
                self.said.append(f"W&B: offline, {why}; upload later: {later}")
            elif self.online:
                self.said.append(f"W&B: {self.remote.url}")
            if not self.online and (asked := self._artifacts_asked()):
                self.said.append(f"{', '.join(asked)}: artifacts are stored online only; all lies in the run folder")
            if self.remote.id != run.id:
                run.update(wandb_id=self.remote.id)
            self.remote.define_metric("step", hidden=True)
            for keys in ("epoch", "train/*", "eval*", "test*", "predictions/*"):  # a star is allowed at the end only
                self.remote.define_metric(keys, step_metric="step")

    def log(self, metrics: Mapping[str, float], *, step: int, epoch: float) -> None:
        self.last_step = step
        self._say_where()
        if self.remote is None or self.sent.has(metrics, step):
            return
        with self.guard("logging"):
            # The step is a metric, because W&B's own starts at 0 again in an offline run that goes on.
            self.remote.log({**metrics, "step": step, "epoch": epoch})

    def predictions(self, split: str, table: pa.Table, *, step: int) -> None:
        if self.remote is not None and self.online and self.log_predictions:
            with self.guard("logging predictions"):
                shown = prediction_table(table, self.log_predictions)
                self.remote.log({f"predictions/{split}": shown, "step": step})

    def alert(self, title: str, text: str) -> None:
        if self.remote is None or title in self.alerted:
            return
        self.alerted.add(title)
        with self.guard("alerting"):
            self.remote.alert(title=title, text=text, level="WARN")

    def finish(self, status: str) -> None:
        self._say_where()
        if self.remote is None:
            return
        with self.guard("writing the summary"):
            self.remote.summary.update({"status": status, **best_values(self.run), **costs(self.run)})
            self.remote.config.update(redacted(facts_of(read_record(self.run.folder))), allow_val_change=True)
        with self.guard("drawing the predictions"):
            self._draw()
        with self.guard("naming the inputs"):
            if self.online and self.log_inputs:
                use_inputs(self.remote, self.run, self.finish_timeout)
        with self.guard("storing artifacts"):
            if self.online and self.log_model and status == "completed":
                store_outputs(self.remote, self.run)
        with self.guard("finishing"):
            if status == "interrupted":
                self.remote.mark_preempting()  # W&B then shows "preempted", not "failed"
            try:
                self.remote.finish(exit_code=EXIT_CODES[status])
            except TimeoutError:
                log.warning(
                    "W&B did not take everything within %g s; upload the rest with: %s",
                    self.finish_timeout,
                    shlex.join(["wandb", "sync", "--include-online", self._folder()]),
                )
        self.remote = None
        if self.guard.said:
            _restart_service()

    def effective_mode(self) -> tuple[Mode, str]:
        """The mode, and for offline the reason. Without a key W&B would ask on the terminal, or raise."""
        import wandb

        from exp.compat.wandb import has_key

        settings = _quiet_setup()
        if os.environ.get("WANDB_DISABLED", "").lower() in ("true", "1", "yes", "on"):
            if self.mode in (None, "disabled"):
                return "disabled", ""
            log.warning("tracker.wandb.mode=%s goes before WANDB_DISABLED=%s", self.mode, os.environ["WANDB_DISABLED"])
        asked = self.mode or settings.mode  # that is WANDB_MODE, or what `wandb offline` left, or online
        if asked == "online":
            try:
                found = has_key(settings.base_url)
            except wandb.errors.AuthenticationError as error:
                return "offline", f"the W&B key is not valid ({error})"
            if not found:
                return "offline", "no W&B key found (set WANDB_API_KEY or run `wandb login`)"
            return "online", ""
        if asked == "disabled":
            return "disabled", ""
        return "offline", "as asked for"

    def _init(self, mode: Mode) -> wandb.Run:
        import wandb

        from exp.compat.wandb import NO_PACKAGES

        run = self.run
        record = read_record(run.folder)
        commit = (record.get("git") or {}).get("commit")
        with hidden_arguments():
            return wandb.init(
                **self._place(record),
                group=redacted(self._group(record)),
                job_type=self.job_type,
                tags=redacted(list(dict.fromkeys([*self.tags, *tags_of_environment(), run.condition]))),
                notes=redacted(self.notes),
                name=redacted(said_by("name", self.name)[1] or run_name(record, run.folder)),
                dir=run.folder,
                config=redacted(
                    {
                        **run.config,
                        **facts_of(record),
                        "condition": run.condition,
                        "run_id": run.id,
                        "folder": str(run.folder),
                        "commit": commit,
                    }
                ),
                mode=mode,
                # Offline too: `wandb sync` then appends a resumed run's second folder; else it overwrites the first.
                resume="allow",
                reinit="finish_previous",  # without it a second init in one process returns the first run
                settings=wandb.Settings(
                    silent=True,  # exp says in one line what matters
                    console="off",  # train.log has the words
                    # run.json has commit, diff and packages already; listing packages costs most of init's time
                    disable_git=True,
                    disable_code=True,
                    **NO_PACKAGES,
                    init_timeout=self.init_timeout,
                    finish_timeout=self.finish_timeout,
                    finish_timeout_raises=True,
                ),
            )

    def _place(self, record: Mapping[str, Any]) -> dict[str, Any]:
        """Project, entity and id. What `wandb agent` starts has those of its sweep, from the environment; a run that
        goes on without the agent keeps the id that it got there."""
        if os.environ.get("WANDB_SWEEP_ID"):
            return {}
        id = record.get("wandb_id") or self.run.id
        return {"project": said_by("project", self.project)[1], "entity": self.entity, "id": id}

    def _group(self, record: Mapping[str, Any]) -> str:
        """A study's name goes before WANDB_RUN_GROUP, so that its trials lie together."""
        asked = self.group or (os.environ.get("WANDB_RUN_GROUP") if record["group"] == record["condition"] else None)
        return asked or record["group"]

    def _folder(self) -> str:
        assert self.remote is not None
        return near(self.remote.dir.removesuffix("/files"))

    def _say_where(self) -> None:
        for line in self.said:
            log.info("%s", line)
        self.said = []

    def _artifacts_asked(self) -> list[str]:
        asked = {"model": self.log_model, "inputs": self.log_inputs, "predictions": self.log_predictions}
        return [f"tracker.wandb.log_{key}" for key, wanted in asked.items() if wanted]

    def _draw(self) -> None:
        assert self.remote is not None
        drawn = media(self.run, self.log_examples)
        if drawn:
            self.remote.log({**drawn, "step": self.last_step})


def said_by(key: str, value: str | None) -> tuple[str, str]:
    """Who says it, and what: the config, else W&B's own variable, else exp."""
    if value is not None:
        return f"tracker.wandb.{key}", value
    variable, default = VARIABLES[key]
    return variable, os.environ.get(variable) or default


def tags_of_environment() -> list[str]:
    return [tag.strip() for tag in os.environ.get("WANDB_TAGS", "").split(",") if tag.strip()]


@contextlib.contextmanager
def hidden_arguments() -> Iterator[None]:
    """W&B keeps the command line that it starts under."""
    before, sys.argv = sys.argv, redacted(sys.argv)
    try:
        yield
    finally:
        sys.argv = before


def _restart_service() -> None:
    """W&B keeps one helper process for all runs of this one. It refuses the id of a run that could not start,
    and a dead one would fail every later run."""
    import wandb

    with contextlib.suppress(Exception):  # a dead helper cannot say good-bye
        wandb.teardown()
    _quiet_setup()


def _quiet_setup() -> wandb.Settings:
    """Once a process: W&B reads its environment and its settings files here."""
    import wandb

    for name in ("wandb", "opentelemetry"):  # they have debug.log, and Guard says what matters
        logging.getLogger(name).propagate = False
    return wandb.setup(settings=wandb.Settings(silent=True)).settings

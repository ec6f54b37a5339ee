"""MLflow: a local database or a server, through its client alone."""

from __future__ import annotations

import importlib.util
import logging
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from annotated_types import Gt, MinLen

from exp.errors import ExpError
from exp.run.folder import read_record
from exp.run.identity import flatten
from exp.run.secrets import redacted
from exp.tracker.background import Background, Queued
from exp.tracker.media import best_values, costs, pictures, wrong_examples
from exp.tracker.name import run_name
from exp.tracker.resumed import Sent

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

    from exp.run.folder import Run

log = logging.getLogger(__name__)

STATUSES = {"completed": "FINISHED", "pruned": "FINISHED", "failed": "FAILED", "interrupted": "KILLED"}
RUN_TAG = "exp.run_id"  # finds a run that goes on
LONGEST_VALUE = 6000  # characters of a parameter
PARAMS_A_CALL = 100  # MLflow's own limit
FILE = "mlflow.db"  # in the working folder, where `mlflow ui` and `mlflow server` look


@dataclass
class MLflow(Queued):
    """One MLflow run a run: parameters, metrics, the pictures and wrong examples, predictions and result.json.

    Everything is sent by a thread of its own, so that a server that is slow or away costs the training nothing.

    Raises:
        ExpError: mlflow is not installed, or a model is to be registered and none is logged.
    """

    tracking_uri: Annotated[str, MinLen(1)] | None
    experiment: Annotated[str, MinLen(1)]
    name: str | None
    log_model: bool
    registered_model: Annotated[str, MinLen(1)] | None
    finish_timeout: Annotated[float, Gt(0)]  # seconds

    def __post_init__(self) -> None:
        if importlib.util.find_spec("mlflow") is None:
            raise ExpError("tracker=mlflow needs the package mlflow-skinny or mlflow: pip install 'exp[mlflow]'")
        if self.registered_model and not self.log_model:
            raise ExpError(
                f"tracker.mlflow.registered_model={self.registered_model} registers a logged model: "
                "set tracker.mlflow.log_model=true"
            )

    def start(self, run: Run) -> None:
        log.info("MLflow: experiment %s in %s", self.experiment, redacted(self.uri()))
        self._serve(Background(_Client(self), "MLflow", self.finish_timeout), run)

    def uri(self) -> str:
        return self.tracking_uri or os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{Path.cwd() / FILE}"


class _Client:
    """What is done in the thread."""

    def __init__(self, options: MLflow) -> None:
        self.options = options
        self.last_step = 0

    def start(self, run: Run) -> None:
        self.run, self.sent = run, Sent(run)
        self.client = _client(self.options.uri())
        record = read_record(run.folder)
        experiment = self._experiment()
        known = self.client.search_runs([experiment], f"tags.`{RUN_TAG}` = '{run.id}'", max_results=1)
        if known:  # it goes on
            self.id = known[0].info.run_id
            self.client.update_run(self.id, status="RUNNING")
            return
        commit = (record.get("git") or {}).get("commit")
        tags = {RUN_TAG: run.id, "condition": run.condition, "group": record["group"], "folder": str(run.folder)}
        tags |= {"mlflow.source.git.commit": commit} if commit else {}
        tags |= {"mlflow.source.name": "exp train", "mlflow.source.type": "LOCAL"}
        name = self.options.name or run_name(record, run.folder)
        self.id = self.client.create_run(experiment, tags=redacted(tags), run_name=redacted(name)).info.run_id
        self._log_params()

    def log(self, metrics: Mapping[str, float], *, step: int, epoch: float) -> None:
        self.last_step = max(step, self.last_step)
        if not self.sent.has(metrics, step):
            self._log_metrics({**metrics, "epoch": epoch}, step)

    def alert(self, title: str, text: str) -> None:
        self.client.set_tag(self.id, f"alert.{title}", text)

    def finish(self, status: str) -> None:
        try:
            self._send_results(status)
        finally:  # the state is true, whatever of the results could not be sent
            self.client.set_tag(self.id, "status", status)
            self.client.set_terminated(self.id, STATUSES[status])

    def _send_results(self, status: str) -> None:
        self._log_metrics({**best_values(self.run), **costs(self.run)}, self.last_step)
        for key, picture in pictures(self.run).items():
            self.client.log_image(self.id, picture, artifact_file=f"pictures/{key.replace('/', '_')}.png")
        for split, rows in wrong_examples(self.run).items():
            columns = {column: [row[column] for row in rows] for column in rows[0]}
            self.client.log_dict(
                self.id, {"columns": list(columns), "data": [[*row.values()] for row in rows]}, f"errors/{split}.json"
            )
        if self.run.predictions.is_dir():
            self.client.log_artifacts(self.id, str(self.run.predictions), "predictions")
        if self.run.result_path.exists():
            self.client.log_artifact(self.id, str(self.run.result_path))
        if self.options.log_model and status == "completed":
            self._log_model()

    def _experiment(self) -> str:
        name = self.options.experiment
        known = self.client.get_experiment_by_name(name)
        if known is not None:
            return known.experiment_id
        from mlflow.exceptions import MlflowException

        local = self.options.uri().startswith("sqlite:///")
        # Beside the database; MLflow would take the working folder of whoever looks.
        place = Path(self.options.uri().removeprefix("sqlite:///")).parent / "mlartifacts" if local else None
        try:
            return self.client.create_experiment(name, artifact_location=place.as_uri() if place else None)
        except MlflowException:
            quicker = self.client.get_experiment_by_name(name)  # another run's
            if quicker is None:
                raise
            return quicker.experiment_id

    def _log_params(self) -> None:
        from mlflow.entities import Param

        config = flatten(redacted(self.run.config))
        params = [Param(key, str(value)[:LONGEST_VALUE]) for key, value in config]
        for start in range(0, len(params), PARAMS_A_CALL):
            self.client.log_batch(self.id, params=params[start : start + PARAMS_A_CALL])

    def _log_metrics(self, metrics: Mapping[str, float], step: int) -> None:
        from mlflow.entities import Metric

        now = int(time.time() * 1000)  # ms
        self.client.log_batch(self.id, metrics=[Metric(key, value, now, step) for key, value in metrics.items()])

    def _log_model(self) -> None:
        self.client.log_artifacts(self.id, str(self.run.model_folder), "model")
        name = self.options.registered_model
        if name is None:
            return
        from mlflow.exceptions import MlflowException

        try:
            self.client.create_registered_model(name)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        source = f"{self.client.get_run(self.id).info.artifact_uri}/model"
        self.client.create_model_version(name, source, self.id, tags={"condition": self.run.condition})


def _client(uri: str) -> MlflowClient:
    from mlflow.tracking import MlflowClient

    # They tell of tables that they make, and of every try to reach a server; the import sets their levels.
    for name, level in (("mlflow", "WARNING"), ("alembic", "WARNING"), ("urllib3.connectionpool", "ERROR")):
        logging.getLogger(name).setLevel(level)
    return MlflowClient(tracking_uri=uri)

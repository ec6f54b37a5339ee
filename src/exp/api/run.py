"""A run folder in Python: what it is, its numbers as tables, its model."""

from __future__ import annotations

import html
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from exp.analysis.run_data import RunData, read_run
from exp.errors import ExpError, nearest
from exp.run.folder import read_record

if TYPE_CHECKING:
    import pandas as pd
    from transformers import Pipeline, PreTrainedModel


class LoadedRun:
    """A run, finished or not. Its record is read when it is asked for; `reread` takes it anew.

    Args:
        folder: The run folder. Raises ExpError where it is none.
    """

    def __init__(self, folder: str | Path) -> None:
        path = Path(folder).expanduser().resolve()
        if not path.is_dir():
            beside = [item.name for item in path.parent.iterdir()] if path.parent.is_dir() else []
            raise ExpError(f"{folder}: there is no such folder{nearest(path.name, beside) if beside else ''}")
        self.folder = path
        self._data = read_run(path)

    def reread(self) -> LoadedRun:
        """What the folder holds now; of use while the run trains."""
        return LoadedRun(self.folder)

    @property
    def id(self) -> str:
        return self._data.id

    @property
    def condition(self) -> str:
        """Equal for runs that differ in their seed alone."""
        return self._data.condition

    @property
    def status(self) -> str:
        """completed, running, interrupted, failed, pruned or died."""
        return self._data.status

    @property
    def seed(self) -> int | None:
        return self._data.seed

    @property
    def data(self) -> RunData:
        """The run as the comparisons read it."""
        return self._data

    @property
    def config(self) -> dict[str, Any]:
        """The resolved config, nested."""
        config: dict[str, Any] = read_record(self.folder)["config"]
        return config

    @property
    def best(self) -> dict[str, float]:
        """Best value of every metric."""
        return {key: point.value for key, point in self._data.best.items()}

    @property
    def last(self) -> dict[str, float]:
        """Last value of every metric."""
        return {key: point.value for key, point in self._data.last.items()}

    @property
    def objective(self) -> str | None:
        """Name of the metric that ranks this run."""
        return self._data.objective

    @property
    def verdict(self) -> str:
        """What the learning curves say."""
        from exp.curves.verdict import Thresholds

        return self._data.verdict(Thresholds()).text()

    @cached_property
    def metrics(self) -> pd.DataFrame:
        """Every logged number: one row an event, with step, epoch and time (seconds since the start)."""
        import pandas as pd

        rows = [
            {"step": event.step, "epoch": event.epoch, "time": event.time, **event.metrics}
            for event in self._data.events()
        ]
        return pd.DataFrame(rows, columns=None if rows else ["step", "epoch", "time"])

    @cached_property
    def predictions(self) -> Mapping[str, pd.DataFrame]:
        """Name of a split (`eval`, `test`) -> its predictions, one row an example."""
        import pandas as pd

        files = sorted((self.folder / "predictions").glob("*.parquet"))
        return {file.stem: pd.read_parquet(file) for file in files}

    @cached_property
    def _model(self) -> Any:
        from exp.saved import finished

        return finished.load_model(finished.find(str(self.folder)))

    @property
    def model(self) -> PreTrainedModel:
        """The saved model, ready to evaluate, as the run evaluated it."""
        model: PreTrainedModel = self._model.module
        return model

    @property
    def processor(self) -> Any:
        """The tokenizer (or what else makes numbers of rows) that was saved with the model."""
        return self._model.processor

    @cached_property
    def pipeline(self) -> Pipeline:
        """transformers' pipeline of the run's task."""
        from transformers import pipeline

        from exp.saved import finished

        found = finished.find(str(self.folder))
        kind = self._model.task.head(finished.labels_of(found)).pipeline
        return pipeline(kind, model=self.model, tokenizer=self.processor)

    def __repr__(self) -> str:
        value = self._data.best.get(self._data.objective or "")
        told = f", {self._data.objective} {value.value:.4g}" if value else ""
        return f"LoadedRun({str(self.folder)!r}, {self.status}{told})"

    def _repr_html_(self) -> str:
        import pandas as pd

        numbers = pd.DataFrame({"best": self.best, "last": self.last})
        return f"<p><b>{html.escape(str(self.folder))}</b>: {self.status}, seed {self.seed}</p>{numbers.to_html()}"


def load(folder: str | Path) -> LoadedRun:
    """The run in a folder. Raises ExpError where there is none."""
    return LoadedRun(folder)

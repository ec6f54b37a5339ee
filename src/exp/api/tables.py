"""Many runs in Python, as tables. Imports nothing of the training stack."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from exp.analysis import comparison, formats, grouping
from exp.analysis.collect import collect
from exp.analysis.filters import keep
from exp.errors import ExpError
from exp.options.project import homes

if TYPE_CHECKING:
    import pandas as pd


def runs(*sources: str | Path, where: str | Sequence[str] = ()) -> pd.DataFrame:
    """All runs below folders, newest first.

    Args:
        sources: As for `exp compare`; without any the project's outputs and multirun.
        where: Filters, e.g. "optimizer.lr<1e-4" or "status=failed".

    Returns:
        One row a run: folder, id, condition, seed, status, created, data; the best value of every metric under its
        name; and every config key in which the runs differ.
    """
    import pandas as pd

    places = [str(source) for source in sources] or [str(home) for home in homes() if home.is_dir()]
    if not places:
        raise ExpError(f"there is no {' or '.join(map(str, homes()))} here; name a folder")
    found = keep(collect(places).runs, [where] if isinstance(where, str) else list(where))
    found = sorted(found, key=lambda run: run.created or "", reverse=True)
    keys = sorted(key for key in grouping.differing_keys(found) if key not in ("seed", "status"))
    rows = [
        {
            "folder": run.source,
            "id": run.id,
            "condition": run.condition,
            "seed": run.seed,
            "status": run.status,
            "created": run.created,
            "data": run.task,
            **{key: point.value for key, point in run.best.items()},
            **{key: run.config.get(key) for key in keys},
        }
        for run in found
    ]
    return pd.DataFrame(rows)


@dataclass(frozen=True)
class ComparedRuns:
    """Conditions side by side. `found` is what `exp compare` prints and writes."""

    found: comparison.Comparison

    @property
    def table(self) -> pd.DataFrame:
        """One row a condition: mean, deviation, number and interval of every metric, and the test against the best."""
        import pandas as pd

        return pd.read_csv(io.StringIO(formats.csv_text(self.found)))

    def to_html(self, path: str | Path) -> Path:
        """Writes one self-contained page with curves."""
        from exp.analysis.report import write

        write(self.found, Path(path))
        return Path(path)

    def _repr_html_(self) -> str:
        html: str = self.table.to_html()
        return html


def compare(
    *sources: str | Path,
    where: str | Sequence[str] = (),
    metric: str | None = None,
    baseline: str | None = None,
    use: str = "best",
) -> ComparedRuns:
    """Runs grouped by condition, with their spread over seeds.

    Args:
        sources, where: As for `runs`.
        metric: What ranks and is tested; the runs' objective.
        baseline: A condition, as a filter or the start of its hash.
        use: "best" or "last" value of a run.
    """
    if not sources:
        raise ExpError("compare what? name folders, e.g. exp.compare('multirun')")
    places = [str(source) for source in sources]
    filters = [where] if isinstance(where, str) else list(where)
    return ComparedRuns(
        grouping.compare(collect(places), sources=places, filters=filters, metric=metric, baseline=baseline, use=use)
    )

"""A table's rows as the Hugging Face Hub shows them: a model card, .eval_results and results.json, of the same values.

Everything is a fraction, as a run's own card has it, whatever the table's unit is.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from exp.analysis import exchange
from exp.analysis.hub_names import hub_dataset, hub_metric, hub_model, hub_split
from exp.analysis.run_data import RunData
from exp.analysis.tables.results import CellResult
from exp.analysis.tables.schema import PaperTable
from exp.errors import ExpError
from exp.metrics.key import Key
from exp.run.files import write_atomic, write_json
from exp.run.said import counted
from exp.run.secrets import redacted


def write(table: PaperTable, found: Sequence[CellResult], folder: Path) -> list[Path]:
    """README.md, .eval_results/<table>.yaml and results.json, in one folder for each row.

    Returns:
        The folders, of rows that have a number.

    Raises:
        ExpError: no row has one, or the folder cannot be written.
    """
    import yaml
    from huggingface_hub import eval_result_entries_to_yaml

    folders = []
    for row in table.rows:
        cells = [cell for cell in found if cell.row == row.name and cell.values]
        if not cells:
            continue
        place = folder / slug(row.name)
        entries = _entries(table, cells)
        try:
            place.mkdir(parents=True, exist_ok=True)
            write_atomic(place / "README.md", redacted(_card(table, row.name, cells)))
            if entries:
                (place / ".eval_results").mkdir(exist_ok=True)
                text = yaml.safe_dump(eval_result_entries_to_yaml(entries), sort_keys=False, allow_unicode=True)
                write_atomic(place / ".eval_results" / f"{slug(table.name)}.yaml", redacted(text))
            write_json(place / "results.json", redacted(exchange.of_table(table.name, cells)))
        except OSError as error:
            raise ExpError(f"cannot write {place}: {error.strerror}; choose another with publish=...") from None
        folders.append(place)
    if not folders:
        raise ExpError(f"publish={folder}: no cell of table {table.name} has a number yet; there is nothing to publish")
    return folders


def slug(text: str) -> str:
    """As the Hub takes names of repositories."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-.") or "row"


def _card(table: PaperTable, row: str, cells: Sequence[CellResult]) -> str:
    from huggingface_hub import ModelCardData

    runs = list({run.id: run for cell in cells for run in cell.runs}.values())  # columns share them
    results = [_eval_result(table, cell) for cell in cells]
    datasets = dict.fromkeys(one for run in runs if (one := hub_dataset(_node(run, "data"))[0]))
    models = {hub_model(_node(run, "model")) for run in runs}
    data = ModelCardData(
        library_name="transformers",
        tags=["exp"],
        base_model=models.pop() if len(models) == 1 else None,
        datasets=list(datasets) or None,
        metrics=sorted({result.metric_type for result in results}),
        model_name=row,
        eval_results=results,
    )
    overrides = next(one.overrides for one in table.rows if one.name == row)
    source = "; ".join(f"{key}: {value}" for key, value in table.source.items())
    lines = [
        f"---\n{data.to_yaml()}\n---",
        f"# {row}",
        f"Results of {row} in the table *{table.title}*, made by exp from {counted(len(runs), 'run')}. Beside it: "
        f"`results.json` with every run, its config, seed and commit (`exp compare results.json` reads it).",
        "## Results",
        _results(table, cells),
        "## Recipe",
        f"In all cells: `{' '.join(table.overrides) or 'conf/train.yaml'}`.\n"
        f"This row: `{' '.join(overrides) or 'nothing more'}`.\nThe table is set beside: {source}.",
    ]
    return "\n\n".join(lines) + "\n"


def _results(table: PaperTable, cells: Sequence[CellResult]) -> str:
    lines = ["| column | metric | value | ± over seeds | runs | seeds |", "|---|---|---:|---:|---:|---|"]
    for cell in cells:
        spread = "–" if math.isnan(cell.std) else f"{cell.std / table.scale:.4f}"
        seeds = ", ".join(str(run.seed) for run in cell.runs)
        key = table.column(cell.column).metric
        value = f"{cell.shown / table.scale:.4f} ({table.aggregate})"
        lines.append(f"| {cell.column} | {key} | {value} | {spread} | {cell.n} | {seeds} |")
    return "\n".join(lines)


def _eval_result(table: PaperTable, cell: CellResult) -> Any:
    from huggingface_hub import EvalResult

    key, run = table.column(cell.column).metric, cell.runs[0]
    dataset, part = hub_dataset(_node(run, "data"))
    return EvalResult(
        task_type=run.data.get("pipeline") or run.task,
        dataset_type=dataset or run.task,
        dataset_name=run.task,
        dataset_config=part,
        dataset_split=hub_split(key),
        metric_type=hub_metric(Key.of(key).name),
        metric_name=f"{key}, {table.aggregate} of {counted(cell.n, 'run')}",
        metric_value=cell.shown / table.scale,
        metric_args={
            "n": cell.n,
            "std": None if math.isnan(cell.std) else cell.std / table.scale,
            "seeds": [run.seed for run in cell.runs],
            "conditions": _conditions(cell),
        },
    )


def _entries(table: PaperTable, cells: Sequence[CellResult]) -> list[Any]:
    """One for each data set of the Hub: of its first metric, where the table has that, else of the first column."""
    from huggingface_hub import EvalResultEntry

    chosen: dict[tuple[str, str], CellResult] = {}
    for cell in sorted(cells, key=lambda cell: not _is_primary(table, cell)):
        dataset, part = hub_dataset(_node(cell.runs[0], "data"))
        if dataset is not None:
            chosen.setdefault((dataset, part or "default"), cell)
    return [
        EvalResultEntry(
            dataset_id=dataset,
            task_id=part,
            value=cell.shown / table.scale,
            date=max((run.finished or run.created or "") for run in cell.runs) or None,
            notes=_said(table, cell),
        )
        for (dataset, part), cell in chosen.items()
    ]


def _is_primary(table: PaperTable, cell: CellResult) -> bool:
    metrics = cell.runs[0].data.get("metrics") or [None]
    return Key.of(table.column(cell.column).metric).name == metrics[0]


def _said(table: PaperTable, cell: CellResult) -> str:
    key = table.column(cell.column).metric
    seeds = ", ".join(str(run.seed) for run in cell.runs)
    spread = "" if math.isnan(cell.std) else f", standard deviation {cell.std / table.scale:.4f}"
    return (
        f"{Key.of(key).name} on {hub_split(key)}, {table.aggregate} of {counted(cell.n, 'run')} (seeds {seeds})"
        f"{spread}; exp, table {table.name}, condition {', '.join(_conditions(cell))}"
    )


def _conditions(cell: CellResult) -> list[str]:
    return list(dict.fromkeys(run.condition for run in cell.runs))


def _node(run: RunData, group: str) -> Mapping[str, Any]:
    """A group of the config as it was composed, from its dotted keys."""
    return {key.partition(".")[2]: value for key, value in run.config.items() if key.startswith(f"{group}.")}

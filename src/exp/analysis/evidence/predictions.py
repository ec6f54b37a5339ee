"""A run's predictions on one split as rows that can be paired with another run's."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from exp.analysis.run_data import RunData
from exp.errors import ExpError
from exp.metrics.key import Key
from exp.metrics.sums import Additive, mean

if TYPE_CHECKING:
    import pyarrow as pa

    from exp.task.base import Reading


@dataclass(frozen=True)
class Predictions:
    """`fingerprint` is over what was asked and what is right, in order; runs with the same one are paired by row."""

    run: RunData
    table: pa.Table
    reading: Reading
    asked: tuple[str, ...]  # columns: the inputs and the label
    fingerprint: str

    def keys(self) -> list[str]:
        """One a row, from its contents. Rows with the same contents are numbered."""
        seen: dict[str, int] = {}
        found = []
        for row in self.table.select(list(self.asked)).to_pylist():
            text = repr(tuple(row.values()))
            seen[text] = seen.get(text, 0) + 1
            found.append(f"{text}#{seen[text]}")
        return found

    def take(self, rows: Sequence[int]) -> Predictions:
        return Predictions(self.run, self.table.take(list(rows)), self.reading, self.asked, "")


def read(run: RunData, split: str) -> Predictions:
    """Raises ExpError, without the run's name, where its predictions cannot be tested."""
    import pyarrow as pa
    import pyarrow.parquet as parquet

    if run.folder is None:
        raise ExpError("is from W&B, which holds no predictions")
    path = run.folder / "predictions" / f"{split}.parquet"
    if not path.is_file():
        raise ExpError(f"left no predictions/{path.name}")
    try:
        table = parquet.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise ExpError(f"predictions/{path.name} cannot be read ({str(error).splitlines()[0][:80]})") from None
    inputs = run.data.get("inputs")
    if not inputs:
        raise ExpError("was made by the first version of exp, which did not record its input columns")
    names = table.column_names
    # An input whose name a task's own column has taken stands under input_<name>.
    inputs_there = [f"input_{one}" if f"input_{one}" in names else one for one in inputs]
    asked = [name for name in inputs_there if name in names]
    if not asked:
        raise ExpError(f"predictions/{path.name} lacks the input columns {', '.join(inputs)}")
    if "label" in names:
        if table["label"].null_count:
            raise ExpError(f"predictions/{path.name} has rows without a label")
        asked.append("label")
    return Predictions(run, table, run.reading(), tuple(asked), _fingerprint(table.select(asked)))


def sums_of(found: Predictions, key: Key, notes: list[str]) -> Additive:
    """The metric as a function of sums over examples; where it is none, `notes` says what stands in its place."""
    made = found.reading.additive(found.table, key.name)
    if made is None:
        notes.append(
            f"{key.name} is no function of sums over examples: the tests are of the mean score of single examples "
            f"(item_scores)"
        )
        made = mean(found.reading.item_scores(found.table))
    return made


def _fingerprint(table: pa.Table) -> str:
    import pyarrow as pa

    total = hashlib.blake2b(digest_size=16)
    sink = pa.BufferOutputStream()
    plain = table.combine_chunks().replace_schema_metadata(None)
    with pa.ipc.new_stream(sink, plain.schema) as stream:
        stream.write_table(plain)
    total.update(sink.getvalue())
    return total.hexdigest()

"""exp folds SOURCE ...: the out-of-fold predictions of a cross-validation as one table.

  exp train --multirun sweep=kfold data=mrpc model=minilm_l6
  exp folds multirun/2026-11-20/12-00-00      a sweep's folder, or any folder above its runs

Writes out_of_fold-<condition>.parquet beside the runs and says every metric over all rows together, and its mean and
standard deviation over the folds.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from exp.errors import ExpError
from exp.options import arguments
from exp.options.arguments import Option
from exp.run.exits import plain_exits

GRAMMAR = arguments.Grammar(
    doc=__doc__,
    bare="SOURCE",
    least=1,
    options={"out": Option("folder to write into, instead of the first source", arguments.folder)},
)


def folds(sources: Sequence[str], out: Path | None) -> None:
    """Raises ExpError where the folds are not whole."""
    import pyarrow.parquet as pq

    from exp.analysis.collect import collect
    from exp.analysis.out_of_fold import join

    place = out or Path(sources[0])
    joined = join(collect(list(sources)).runs)
    if out is None and not place.is_dir():  # a glob, or W&B
        raise ExpError(f"{place} is no folder to write into; name one with out=...")
    for found in joined:
        print(found.told())
        file = place / f"{found.name}.parquet"
        try:
            place.mkdir(parents=True, exist_ok=True)
            pq.write_table(found.table, file)
        except OSError as error:
            raise ExpError(f"cannot write {file}: {error.strerror or error}") from None
        print(f"wrote {file}")


def main() -> None:
    with plain_exits():
        given = arguments.parse(sys.argv[1:], GRAMMAR)
        folds(given.bare, given["out"])


if __name__ == "__main__":
    main()

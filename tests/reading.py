"""Data and task options as a config makes them, for tests that read rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from exp.config.targets import make
from exp.data.base import RawData
from exp.data.examples import TaskData
from exp.data.rows import Rows

CONF = Path(__file__).parents[1] / "conf"


def option(group: str, name: str, **changes: Any) -> Any:
    """The option of conf/<group>/<name>.yaml, checked as in a run."""
    node: dict[str, Any] = OmegaConf.to_container(OmegaConf.load(CONF / group / f"{name}.yaml"))  # type: ignore[assignment]
    bases = [base for base in node.pop("defaults", []) if isinstance(base, str) and base != "_self_"]
    for base in bases:
        node = {**OmegaConf.to_container(OmegaConf.load(CONF / group / f"{base}.yaml")), **node}  # type: ignore[dict-item]
    return make({**node, **changes}, group)


def read(source: Any, task: str = "text_classification", **changes: Any) -> TaskData:
    """What a data option's rows are to a task; `changes` are of the task's keys."""
    return option("task", task, **changes).read(source.read())


def rows(name: str = "train.jsonl", **columns: list[Any]) -> Rows:
    count = len(next(iter(columns.values())))
    return Rows(Path(name), columns, list(range(1, count + 1)))


def raw(train: Rows, dev: Rows | None = None, test: Rows | None = None, **roles: Any) -> RawData:
    """Rows without a file. `dev`: the train rows where it is not given."""
    tests = {} if test is None else {"": test}
    return RawData(name="toy", train=train, evals={"": train if dev is None else dev}, tests=tests, roles=roles)

"""A part of each kind that exp cannot call as it is: told by the check of the config, with the argument."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from exp.analysis.tables.views import view
from exp.config.compose import compose
from exp.errors import ExpError
from exp.options import outside
from exp.options.calls import READING, UNTUNED, check_reading
from exp.study.samplers import make_pruner, make_sampler
from exp.study.sweep import check_made
from exp.task.base import Reading, Untuned
from exp.testing.loops import config_of
from exp.training.build import _data, build, build_callbacks
from exp.training.launch import check_config
from tests.options.test_outside import folder  # noqa: F401 (a fixture)
from tests.outside import option

DATACLASS = "from dataclasses import dataclass\n\n@dataclass(frozen=True)\nclass Part"
CASES = {
    # group -> code, the YAML's keys, what is said
    "optimizer": (
        f"from exp.optim.optimizers import OptimizerOption\n{DATACLASS}(OptimizerOption):\n"
        "    def build(self, groups): pass\n",
        "lr: 0.1\nweight_decay: 0.0\nlayer_decay: 1.0\ndecay_to_init: 0.0\n",
        r"optimizer: Part\.build is called as \(groups, model\): too many positional arguments",
    ),
    "scheduler": (
        f"{DATACLASS}:\n    def __call__(self, optimizer, total_steps): pass\n",
        "",
        r"scheduler: Part is called as \(optimizer, total_steps, greater_is_better\): too many positional",
    ),
    "loss": (
        f"{DATACLASS}:\n    def build(self, facts, more): pass\n",
        "",
        r"loss: Part\.build is called as \(facts\): missing a required argument: 'more'",
    ),
    "data": (
        f"{DATACLASS}:\n    def read(self, folder): pass\n",
        "",
        r"data: Part\.read is called as \(\): missing a required argument: 'folder'",
    ),
    "model": (
        f"{DATACLASS}:\n    def processor(self, data, head): pass\n",
        "",
        r"model: Part\.model is not there; a part of the group model has model\(head, processor\)",
    ),
    "adapter": (
        f"from exp.model.adapter import NoAdapter\n{DATACLASS}(NoAdapter):\n    def apply(self, model): return model\n",
        "",
        r"adapter: Part\.apply is called as \(model, total_steps, peft_task\): too many positional",
    ),
    "task": (
        "from exp.task.text_classification import TextClassification\n"
        f"{DATACLASS}(TextClassification):\n    def read(self, raw, more): pass\n",
        "defaults: [text_classification]\n",
        r"task: Part\.read is called as \(raw\): missing a required argument: 'more'",
    ),
    "tracker": (
        f"from exp.tracker.base import NullTracker\n{DATACLASS}(NullTracker):\n"
        "    def log(self, metrics, step): pass\n",
        "",
        r"tracker\.mine: Part\.log is called as \(metrics, step=\.\.\., epoch=\.\.\.\): got an unexpected.*'epoch'",
    ),
    "callbacks": (
        f"{DATACLASS}:\n    def make(self, run): pass\n",
        "",
        r"callbacks\.mine: Part\.make is called as \(\): missing a required argument: 'run'",
    ),
    "verdict": (
        f"{DATACLASS}:\n    remedies = ()\n    def __call__(self, curve): pass\n",
        "",
        r"verdict: Part is called as \(curve, facts, limits\): too many positional arguments",
    ),
}


@pytest.mark.parametrize("group", CASES)
def test_a_wrong_method_is_told_with_its_argument(group: str, folder: Path) -> None:  # noqa: F811
    code, keys, said = CASES[group]
    header = f"# @package {group}.mine\n" if group in ("tracker", "callbacks") else ""
    (folder / "acme" / "part.py").write_text(code)
    option(folder, f"{group}/mine.yaml", f"{header}{keys}_target_: acme.part.Part\n")
    outside._parts.cache_clear()
    words = [] if group == "verdict" else [f"{group}={'[mine]' if header else 'mine'}"]
    with pytest.raises(ExpError, match=said) as error:
        check_config(compose(words))
    assert "\n" not in str(error.value)


ROWS = (
    "from pathlib import Path\nfrom exp.data.base import RawData\nfrom exp.data.rows import Rows\n"
    f"{DATACLASS}:\n    max_train_samples: int\n    max_eval_samples: int\n    def read(self):\n"
)
LIMITS = "max_train_samples: 1\nmax_eval_samples: 1\n"
GIVES = {
    # group and what of it -> code, the YAML's keys, what is said
    "data": (
        f"{ROWS}        return []\n",
        LIMITS,
        r"data: read gives list in place of exp\.data\.base\.RawData",
    ),
    "model": (
        f"from exp.model.tiny import BertTiny\n{DATACLASS}(BertTiny):\n    def model(self, *_, **__): pass\n",
        "defaults: [bert_tiny]\n",
        r"model: model gives None in place of torch\.nn\.modules\.module\.Module",
    ),
    "adapter": (
        f"from exp.model.adapter import NoAdapter\n{DATACLASS}(NoAdapter):\n    def apply(self, *_): pass\n",
        "",
        r"adapter: apply gives None in place of torch\.nn",
    ),
    "adapter words": (
        f"from exp.model.adapter import NoAdapter\n{DATACLASS}(NoAdapter):\n    def load_kwargs(self): pass\n",
        "",
        r"adapter: load_kwargs gives None in place of collections\.abc\.Mapping",
    ),
    "data split": (
        f"{ROWS}        return RawData('mine', [{{'text': 'a'}}], {{}}, {{}})\n",
        LIMITS,
        r"data 'mine': a split is list in place of exp\.data\.rows\.Rows",
    ),
    "data sets": (
        f"{ROWS}        return RawData('mine', Rows(Path('a'), {{}}, []), None, {{}})\n",
        LIMITS,
        r"data 'mine': evals is no mapping of suffixes to exp\.data\.rows\.Rows",
    ),
    "data cells": (
        f"{ROWS}        return RawData('mine', Rows(Path('a'), {{'text': ['a']}}, [1, 2]), {{}}, {{}})\n",
        LIMITS,
        r"data 'mine': the column text has 1 cells, for 2 lines",
    ),
    "loss": (
        f"{DATACLASS}:\n    def build(self, facts): return 3\n",
        "",
        r"loss: build gives int in place of collections\.abc\.Callable",
    ),
    "scheduler": (
        f"{DATACLASS}:\n    def __call__(self, optimizer, total_steps, greater_is_better): return 0.1\n",
        "",
        r"scheduler gives float in place of torch\.optim\.lr_scheduler\.LRScheduler",
    ),
    "optimizer": (
        f"from exp.optim.optimizers import OptimizerOption\n{DATACLASS}(OptimizerOption):\n"
        "    def build(self, groups, model): pass\n",
        "lr: 0.1\nweight_decay: 0.0\nlayer_decay: 1.0\ndecay_to_init: 0.0\n",
        r"optimizer gives None in place of torch\.optim\.optimizer\.Optimizer",
    ),
    "callbacks": (
        f"{DATACLASS}:\n    def make(self): return self\n",
        "",
        r"callbacks\.mine gives Part in place of .*TrainerCallback",
    ),
}


@pytest.mark.parametrize("case", GIVES)
def test_what_a_part_gives_is_told_where_it_is_another_thing(case: str, folder: Path) -> None:  # noqa: F811
    group, (code, keys, said) = case.partition(" ")[0], GIVES[case]
    header = "# @package callbacks.mine\n" if group == "callbacks" else ""
    (folder / "acme" / "part.py").write_text(code)
    option(folder, f"{group}/mine.yaml", f"{header}{keys}_target_: acme.part.Part\n")
    outside._parts.cache_clear()
    _data.cache_clear()
    with pytest.raises(ExpError, match=said):
        parts = build(config_of(f"{group}={'[mine]' if header else 'mine'}"))
        parts.optimizer(parts.model)


def test_a_module_is_no_part(folder: Path) -> None:  # noqa: F811
    (folder / "acme" / "part.py").write_text("x = 1\n")
    option(folder, "loss/mine.yaml", "_target_: acme.part\n")
    outside._parts.cache_clear()
    with pytest.raises(ExpError, match=r"loss\._target_=acme\.part is a module; name a class or a function in it"):
        check_config(compose(["loss=mine"]))


@pytest.mark.parametrize(
    ("make", "said"),
    [
        ("wants_more", r"wants_more is called as \(config\): missing a required argument: 'width'"),
        ("WantsMore", r"WantsMore is called as \(config\): missing a required argument: 'width'"),
        ("Mean", None),
        ("made", None),
        ("Whole", None),
    ],
)
def test_what_makes_a_model_is_read_and_not_imported(make: str, said: str | None, folder: Path) -> None:  # noqa: F811
    words = ["model=mean", f"model.make=acme.heads.{make}"]
    if said is None:
        check_config(compose(words))
    else:
        with pytest.raises(ExpError, match=rf"model\.make=acme\.heads\.{said}"):
            check_config(compose(words))
    assert "acme.heads" not in sys.modules


def test_a_view_and_a_metric(folder: Path) -> None:  # noqa: F811
    (folder / "acme" / "odd.py").write_text("def odd(only):\n    return 1.0\n")
    option(folder, "view/odd.yaml", "_target_: acme.odd.odd\n")
    outside._parts.cache_clear()
    with pytest.raises(ExpError, match=r"view=odd: .*odd\.yaml is called as \(plan, results\): too many positional"):
        view("odd")
    with pytest.raises(ExpError, match=r"task\.metrics: acme\.odd\.odd is called as \(predictions, references\): too"):
        check_config(compose(["task.metrics=[acme.odd.odd]"]))


def test_a_callbacks_methods(folder: Path) -> None:  # noqa: F811
    (folder / "acme" / "watch.py").write_text(
        "from transformers import TrainerCallback\n\n\nclass Watch(TrainerCallback):\n"
        "    def on_log(self, args, state, control, logs): pass\n"
    )
    option(folder, "callbacks/watch.yaml", "# @package callbacks.watch\n_target_: acme.watch.Watch\n")
    (folder / "acme" / "plain.py").write_text(
        "from transformers import TrainerCallback as Plain\n\n\nclass Own(Plain): pass\n"
    )
    assert list(build_callbacks({"callbacks": {"plain": {"_target_": "acme.plain.Own"}}})) == ["plain"]
    config = {"callbacks": {"watch": {"_target_": "acme.watch.Watch"}}}
    with pytest.raises(ExpError, match=r"callbacks\.watch: Watch\.on_log is called as .*'model'"):
        build_callbacks(config)


def test_a_pruner_and_a_sampler(folder: Path) -> None:  # noqa: F811
    (folder / "acme" / "odd.py").write_text(
        "import optuna\n\n\nclass Odd(optuna.pruners.BasePruner):\n    def prune(self, study): return True\n"
    )
    node = {"pruner": {"_target_": "acme.odd.Odd"}, "sampler": {"_target_": "acme.search.Everything"}}
    with pytest.raises(ExpError, match=r"hydra/sweeper/pruner: Odd\.prune is called as \(study, trial\): too many"):
        check_made("pruner", lambda: make_pruner(node["pruner"]))
    with pytest.raises(ExpError, match=r"hydra/sweeper/sampler: a Everything is no optuna\.samplers\.BaseSampler"):
        check_made("sampler", lambda: make_sampler(node["sampler"], "", 0, None))


class Whole(Untuned):
    def __init__(self) -> None:
        self.names = ("accuracy",)

    def decode(self, answers, features, examples): ...  # type: ignore[no-untyped-def]
    def score(self, table): ...  # type: ignore[no-untyped-def]
    def item_scores(self, table): ...  # type: ignore[no-untyped-def]
    def chance(self, examples): ...  # type: ignore[no-untyped-def]
    def pictures(self, table): ...  # type: ignore[no-untyped-def]
    def summary(self, table): ...  # type: ignore[no-untyped-def]
    def said(self, row): ...  # type: ignore[no-untyped-def]
    def flat(self, table): ...  # type: ignore[no-untyped-def]


def test_a_readings_methods() -> None:
    def methods(one: type) -> set[str]:
        return {name for name in vars(one) if not name.startswith("_")} - {"names"}

    assert methods(Reading) == {*READING, *UNTUNED}
    assert methods(Untuned) == {*UNTUNED}
    check_reading(Whole())
    plain = type("Plain", (), {name: value for name, value in vars(Whole).items() if not name.startswith("__")})
    for one, said in (
        (type("Mute", (Whole,), {"said": None})(), r"Mute\.said is not there; a reading has said\(row\)$"),
        (
            type("Odd", (Whole,), {"flat": lambda self: ...})(),
            r"Odd\.flat is called as \(table\): too many positional arguments",
        ),
        (plain(), r"Plain\.names is not there; a reading has names"),
        (
            type("Sure", (plain,), {"names": ("accuracy",)})(),
            r"Sure\.additive is not there; a reading made from exp\.task\.base\.Untuned has additive\(table, metric\)$",
        ),
    ):
        with pytest.raises(ExpError, match=rf"^task: {said}"):
            check_reading(one)

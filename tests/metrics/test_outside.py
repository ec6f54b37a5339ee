"""A user's own metrics: functions of a trusted package, and local evaluate modules inside one."""

from __future__ import annotations

import importlib
import sys
from types import ModuleType, SimpleNamespace

import pytest

from exp.errors import ExpError
from exp.metrics import compute, names, outside

FUNCTIONS = """
def cost(predictions, references):
    return float(sum(abs(p - r) for p, r in zip(predictions, references)))

def reward(predictions, references):
    return -cost(predictions, references)
reward.greater_is_better = True

def score(predictions, references):
    return 7
score.greater_is_better = False

def several(predictions, references):
    return {"first": 0.25, "accuracy": 0.5, "loss": 9.0, "by/class": 0.75, "list": [1, 2]}

def text(predictions, references):
    return "good"

def one_argument(predictions):
    return 0.0

constant = 3
"""
MORE = """
def cost(predictions, references):
    return 0.0

def f1(predictions, references):
    return 0.0

def loss(predictions, references):
    return 0.0
"""
MODULE = """
import datasets
import evaluate


class Exact(evaluate.Metric):
    def _info(self):
        value = datasets.Value("int64")
        features = datasets.Features({"predictions": value, "references": value})
        return evaluate.MetricInfo(description="", citation="", features=features)

    def _compute(self, predictions, references):
        return {"exact": sum(p == r for p, r in zip(predictions, references)) / len(predictions)}
"""


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("home") / "own_pkg"
    folder.mkdir()
    for name, text in {"__init__": "", "metrics": FUNCTIONS, "more": MORE, "exact": MODULE}.items():
        (folder / f"{name}.py").write_text(text)
    return folder


@pytest.fixture
def package(written, tmp_path, monkeypatch):
    """A package `own_pkg` that is trusted, and nothing else."""
    folder = written
    monkeypatch.syspath_prepend(folder.parent)
    monkeypatch.setenv("EXP_TRUST", "own_pkg")
    monkeypatch.setenv("HF_MODULES_CACHE", str(tmp_path / "modules"))
    if not hasattr(importlib.import_module("exp.options.trust"), "permit"):
        _stand_in(monkeypatch, folder)
    return folder


def _stand_in(monkeypatch, folder):
    """For exp.options.trust and exp.options.project."""

    def resolve(target, where):
        module, _, name = target.rpartition(".")
        if not target.startswith("own_pkg."):
            raise ExpError(f"{where}: {target} is not trusted; [tool.exp] trust, EXP_TRUST or an entry point names it")
        try:
            return getattr(importlib.import_module(module), name)
        except (ImportError, AttributeError) as error:
            raise ExpError(f"{where}: {target} cannot be imported: {error}") from None

    trust, project = ModuleType("exp.options.trust"), ModuleType("exp.options.project")
    trust.resolve = resolve
    project.packages = lambda: (SimpleNamespace(name="own_pkg", folder=folder),)
    config = importlib.import_module("exp.config")
    for name, module in (("trust", trust), ("project", project)):
        monkeypatch.setitem(sys.modules, f"exp.config.{name}", module)
        monkeypatch.setattr(config, name, module, raising=False)


@pytest.mark.parametrize(
    ("name", "short"),
    [("own_pkg.metrics.cost", "cost"), ("metrics/exact.py", "exact"), ("./exact", "exact"), ("exact.py", "exact")],
)
def test_names_of_outside_metrics(name, short):
    assert outside.is_outside(name) and outside.short_name(name) == short


def test_built_in_names_are_no_outside_metrics():
    assert not any(outside.is_outside(name) for name in names.METRICS)
    assert all(outside.short_name(name) == name for name in names.METRICS)


def test_a_function_beside_built_in_metrics(package):
    metrics = ["accuracy", "own_pkg.metrics.cost"]
    names.check(metrics, "single_label", 3)
    found = compute(metrics, "single_label", ["c", "a", "b"], ["a", "a", "b"], labels=["a", "b", "c"])
    assert found == {"accuracy": pytest.approx(2 / 3), "cost": 2.0}  # class names come as their indices
    assert tuple(found) == names.produced(metrics, "single_label")


def test_which_way_it_gets_better(package):
    metrics = ["own_pkg.metrics.cost", "own_pkg.metrics.reward", "own_pkg.metrics.score", "accuracy"]
    assert names.directions(metrics) == {"reward": True, "score": False}
    assert not names.greater_is_better("cost")  # by its name


def test_a_dict_of_numbers(package):
    found = compute(["accuracy", "own_pkg.metrics.several"], "single_label", [1, 0], [1, 0])
    assert found == {
        "accuracy": 1.0,  # stays what it is
        "several": 0.25,
        "first": 0.25,
        "several_accuracy": 0.5,
        "several_loss": 9.0,
        "by_class": 0.75,
    }


def test_a_result_that_is_no_number(package):
    with pytest.raises(ExpError, match=r"own_pkg.metrics.text returned 'good'; it has to return a number"):
        compute(["own_pkg.metrics.text"], "single_label", [1], [1])


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("own_pkg.metrics.constant", "no function"),
        ("own_pkg.metrics.one_argument", r"is called as \(predictions, references\): too many positional"),
        ("own_pkg.metrics.costs", "cannot be imported"),
        ("os.path.commonprefix", "not trusted"),
        ("shutil.copyfile", "not trusted"),
        ("nowhere/exact.py", "no evaluate module: there is no file"),
    ],
)
def test_what_cannot_be_a_metric(package, name, message):
    with pytest.raises(ExpError, match=message) as caught:
        names.check([name], "single_label", 2)
    assert "\n" not in str(caught.value)


def test_two_metrics_of_one_name(package):
    with pytest.raises(ExpError, match="'cost' twice"):
        names.check(["own_pkg.metrics.cost", "own_pkg.more.cost"], "single_label", 2)


@pytest.mark.parametrize("name", ["f1", "loss"])
def test_a_metric_named_as_one_of_exps(package, name):
    """Its intervals would be those of exp's, and its numbers stand in the place of the loss."""
    with pytest.raises(ExpError, match=rf"own_pkg\.more\.{name} would be reported as '{name}', which is exp's"):
        names.check(["accuracy", f"own_pkg.more.{name}"], "single_label", 2)


def test_an_evaluate_module(package):
    metrics = [str(package / "exact.py"), "f1"]
    names.check(metrics, "single_label", 2)
    assert names.produced(metrics, "single_label") == ("exact", "f1")
    found = compute(metrics, "single_label", [1, 0, 1, 1], [1, 0, 0, 1])
    assert found == {"exact": 0.75, "f1": pytest.approx(0.8)}


def test_an_evaluate_module_outside_of_every_trusted_package(package, tmp_path):
    stray = tmp_path / "exact.py"
    stray.write_text(MODULE)
    (package / "link.py").symlink_to(stray)
    for path in (stray, package / "link.py"):
        with pytest.raises(ExpError, match=r"lies in no trusted package.*EXP_TRUST=my_pkg"):
            names.check([str(path)], "single_label", 2)

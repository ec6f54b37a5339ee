"""Every option of the groups data and task says all keys of its class, and importing it is light."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import MISSING, fields
from importlib import import_module

import pytest
from omegaconf import OmegaConf
from tests.reading import CONF, option

from exp.data.glue import METRICS

# Keys that configs saved earlier lack: they have a default in Python too.
ADDED_LATER = {(name, "roles") for name in ("hub", "wikitext", "wmt16", "xsum")}
OF_STREAMS = {"streaming", "shuffle_buffer"}
OPTIONS = sorted((path.parent.name, path.stem) for group in ("data", "task") for path in (CONF / group).glob("*.yaml"))


@pytest.mark.parametrize(("group", "name"), OPTIONS)
def test_every_default_stands_once_in_the_yaml(group: str, name: str) -> None:
    from exp.config.compose import compose

    node = OmegaConf.to_container(compose([f"{group}={name}"])[group])
    module, _, attribute = node.pop("_target_").rpartition(".")
    declared = fields(getattr(import_module(module), attribute))
    assert {one.name for one in declared} == set(node)
    later = {(name, one.name) for one in declared if one.default is not MISSING and one.name not in OF_STREAMS}
    assert later <= ADDED_LATER


@pytest.mark.parametrize("name", METRICS)
def test_the_metrics_of_glue_fit_their_task(name: str) -> None:
    roles = option("data", name)
    assert roles.task == name
    problem = {"problem_type": "regression"} if name == "stsb" else {}
    task = option("task", "text_classification")
    assert task.check_metrics({"metrics": METRICS[name], **problem}) == METRICS[name]


def test_options_import_nothing_heavy() -> None:
    """Nothing of a heavy library until rows are read."""
    names = [OmegaConf.load(CONF / group / f"{name}.yaml").get("_target_") for group, name in OPTIONS]
    rooms = sorted({name.rpartition(".")[0] for name in names if name} | {"exp.data.readers", "exp.task"})
    heavy = ("torch", "transformers", "tokenizers", "datasets", "numpy", "pandas", "pyarrow", "evaluate", "sklearn")
    code = (
        f"import sys, importlib; [importlib.import_module(room) for room in {rooms}];"
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")

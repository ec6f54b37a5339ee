from __future__ import annotations

import pytest
import yaml

from exp.options.confdir import conf_dir
from exp.run.option_name import option_name

OPTIONS = [path for group in ("optimizer", "scheduler", "loop") for path in sorted((conf_dir() / group).glob("*.yaml"))]


@pytest.mark.parametrize("path", OPTIONS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_an_option_is_shown_as_the_command_line_says_it(path) -> None:
    target = yaml.safe_load(path.read_text())["_target_"]
    assert option_name(f"{path.parent.name}._target_", target) == path.stem


def test_a_run_of_the_first_version_is_shown_alike() -> None:
    assert option_name("optimizer._target_", "exp.optim.optimizers.adamw_8bit") == "adamw_8bit"

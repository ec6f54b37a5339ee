"""No command line that cannot work is begun: one line says why, before anything is imported, made or written."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from exp import cli

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    code = f"import sys; sys.path[:0] = ['{ROOT}', '{ROOT / 'src'}']; from tests.command_lines import main; main()"
    folder = tmp_path_factory.mktemp("lines")
    env = {**os.environ, "COLUMNS": "80"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=folder, env=env)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    counts = {name: len(what) for name, what in result.items() if name != "tried"}
    print(sum(result["tried"].values()), "command lines:", result["tried"], counts)
    return result


def test_every_command_is_tried(found: dict[str, Any]) -> None:
    assert set(cli.COMMANDS) - {"sweep"} <= set(found["tried"])  # sweep is a word of `cli`
    assert sum(found["tried"].values()) > 500


@pytest.mark.parametrize("what", ["raised", "accepted", "unclear", "left", "heavy"])
def test_no_command_line(what: str, found: dict[str, Any]) -> None:
    """A traceback; a silent acceptance; more than one line, or another code than 2; a file; a heavy import."""
    assert found[what] == []

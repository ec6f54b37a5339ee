from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.wheel import built, environment

ROOT = Path(__file__).resolve().parents[1]


def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def locked() -> dict[str, str]:
    lines = (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
    pins = [line.partition("==") for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(name): version for name, _, version in pins}


def test_the_lock_pins_every_requirement_within_its_range() -> None:
    pins, extras = locked(), project()["optional-dependencies"]
    wanted = [*project()["dependencies"], *(word for words in extras.values() for word in words)]
    for requirement in map(Requirement, wanted):
        name = canonicalize_name(requirement.name)
        if name == "setuptools":  # comes with the environment, not from the lock
            continue
        assert name in pins, f"{name} is not locked"
        assert requirement.specifier.contains(pins[name], prereleases=True), f"{name}=={pins[name]}"


def test_the_lock_is_what_pip_reads_as_constraints() -> None:
    for line in (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines():
        assert line.startswith("#") or re.fullmatch(r"[\w.-]+==[\w.]+", line), line


def test_the_readmes_test_command_is_what_ci_runs() -> None:
    assert "make test" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert os.access(ROOT / ".ci" / "run", os.X_OK)


def test_the_sweeper_is_registered_and_found_by_hydra() -> None:
    names = {point.name for point in entry_points(group="hydra.plugins")}
    assert "exp_study" in names
    assert "StudySweeper" in plugins(sys.executable, ROOT)


def plugins(python: str, folder: Path) -> str:
    words = [python, "-m", "exp.train", "--info", "plugins"]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert not done.stderr, done.stderr
    return done.stdout


@pytest.mark.slow
def test_a_built_wheel_works_from_another_folder(tmp_path: Path) -> None:
    """Built and installed without a network: the new environment sees this one's packages, but not exp itself."""
    python = environment(tmp_path / "env", built(tmp_path))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    words = [str(python), "-m", "exp.train"]
    helped = subprocess.run([*words, "--help"], cwd=elsewhere, capture_output=True, text=True, timeout=120)
    assert helped.returncode == 0, helped.stderr
    assert "optimizer: adafactor, adam, adamw" in helped.stdout
    where = "import exp.options.confdir as c; print(c.conf_dir())"
    located = subprocess.run([str(python), "-c", where], cwd=elsewhere, capture_output=True, text=True, check=True)
    assert Path(located.stdout.strip()).is_relative_to(tmp_path / "env")
    assert "StudySweeper" in plugins(str(python), elsewhere)
    script = subprocess.run(
        [str(python), "-m", "exp", "--help"], cwd=elsewhere, capture_output=True, text=True, check=True
    )
    assert "sweep" in script.stdout
    assert list(elsewhere.iterdir()) == []

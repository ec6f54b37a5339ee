"""requirements.lock names a version for all that pyproject.toml asks for, and the Dockerfile is built from both."""

from __future__ import annotations

import importlib.metadata as metadata
import re
import shlex
import tomllib
from fnmatch import fnmatch
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LINES = [line.partition("#")[0].strip() for line in (ROOT / "requirements.lock").read_text().splitlines()]
PINS = {canonicalize_name(line.partition("==")[0]): line.partition("==")[2] for line in LINES if line}
ASKED = [
    Requirement(one) for group in [PROJECT["dependencies"], *PROJECT["optional-dependencies"].values()] for one in group
]


def test_every_line_is_a_version() -> None:
    assert [line for line in LINES if line and not re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][A-Za-z0-9.+]*", line)] == []
    assert len(PINS) == len([line for line in LINES if line])


def test_what_pyproject_asks_for_is_there_and_in_its_range() -> None:
    missing = [str(one) for one in ASKED if canonicalize_name(one.name) not in PINS]
    outside = [
        f"{one} is {PINS[canonicalize_name(one.name)]}"
        for one in ASKED
        if canonicalize_name(one.name) in PINS
        and not one.specifier.contains(PINS[canonicalize_name(one.name)], prereleases=True)
    ]
    assert (missing, outside) == ([], [])


def test_so_is_what_these_need() -> None:
    """As far as they are installed here."""
    todo = [(canonicalize_name(one.name), frozenset(one.extras)) for one in ASKED]
    seen, unpinned = set(), set()
    while todo:
        name, extras = todo.pop()
        if (name, extras) in seen:
            continue
        seen.add((name, extras))
        try:
            needs = metadata.distribution(name).requires or []
        except metadata.PackageNotFoundError:
            continue
        if name not in PINS:
            unpinned.add(name)
        for need in map(Requirement, needs):
            if need.marker is None or any(need.marker.evaluate({"extra": extra}) for extra in extras or {""}):
                todo.append((canonicalize_name(need.name), frozenset(need.extras)))
    assert unpinned == set()


def test_the_dockerfile_copies_what_is_not_ignored_and_names_extras_that_exist() -> None:
    text = re.sub(r"\\\n\s*", " ", (ROOT / "Dockerfile").read_text())
    steps = [line.split(maxsplit=1) for line in text.splitlines() if line and not line.startswith("#")]
    known = {"FROM", "ARG", "RUN", "ENV", "WORKDIR", "COPY", "SHELL", "USER", "ENTRYPOINT"}
    assert steps[0][0] == "FROM" and {name for name, _ in steps} <= known
    (python,) = re.findall(r"python:(\d+\.\d+)", steps[0][1])
    assert PROJECT["requires-python"] == f">={python}"
    copied = [word for name, rest in steps if name == "COPY" for word in shlex.split(rest)[:-1]]
    assert all((ROOT / word).exists() for word in copied)
    kept = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    assert all(any(fnmatch(word, one) for one in kept) for word in copied) and set(kept) <= set(copied)
    (extras,) = [rest.partition("=")[2] for name, rest in steps if name == "ARG" and rest.startswith("EXTRAS=")]
    assert set(extras.split(",")) <= set(PROJECT["optional-dependencies"])

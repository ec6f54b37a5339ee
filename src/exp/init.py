"""exp init NAME: a project of your own, which runs at once.

  exp init myproject    makes the folder myproject, with one worked part of each kind
  cd myproject && make train && make test

The last part of NAME is the name of the package in it.
"""

from __future__ import annotations

import keyword
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from exp.errors import ExpError
from exp.options import arguments
from exp.run.exits import plain_exits
from exp.run.files import write_atomic

GRAMMAR = arguments.Grammar(doc=__doc__, bare="NAME", least=1, most=1)
TEMPLATE = Path(__file__).parent / "template"
NAME = "myproject"  # in the template's files and file names
TAKEN = ("conf", "tests", "outputs", "multirun")
DOT = "dot_"  # begins the names of files that begin with a dot in the project


def make(folder: Path) -> list[Path]:
    """Writes the project. Returns its files.

    Raises:
        ExpError: The folder holds something, cannot be written, or its name is no name for a package.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ExpError(f"{folder} exists already and is never overwritten; choose another name")
    name = _package_name(folder)
    made = []
    try:
        for source in sorted(path for path in TEMPLATE.rglob("*") if path.is_file()):
            relative = source.relative_to(TEMPLATE)
            if "__pycache__" in relative.parts:
                continue
            parts = [part.replace(NAME, name).replace(DOT, ".") for part in relative.parts]
            target = folder.joinpath(*parts)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(source.read_text(encoding="utf-8").replace(NAME, name), encoding="utf-8")
            made.append(target)
        # Which Python has exp is this machine's affair, so git does not see the file.
        write_atomic(folder / "local.mk", f"PYTHON = {sys.executable}\n")
        _write_schemas(folder)
    except OSError as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise ExpError(f"{folder}: {error.strerror}; choose another folder") from None
    return made


def _package_name(folder: Path) -> str:
    name = folder.name.replace("-", "_")
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or keyword.iskeyword(name):
        raise ExpError(f"{folder.name!r} is no name for a package: small letters, digits and _, a letter first")
    if name in TAKEN:
        raise ExpError(f"{name} is a folder of the project itself; choose another name")
    found = find_spec(name)
    if found is not None and found.origin is not None:  # a folder of that name here is no package
        raise ExpError(f"there is a Python package {name} already, and one would hide the other; choose another name")
    return name


def _write_schemas(folder: Path) -> None:
    """So that an editor completes and checks the YAMLs from the first moment; a process that stands in the project."""
    words = [sys.executable, "-m", "exp.schema"]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ExpError(f"{folder} was made, without schemas for the editor: {done.stderr.strip()}")
    write_atomic(folder / ".vscode" / "settings.json", done.stdout)


def main(argv: list[str] | None = None) -> int:
    with plain_exits():
        given = arguments.parse(sys.argv[1:] if argv is None else argv, GRAMMAR)
        folder = Path(given.bare[0])
        made = make(folder)
        print(f"{folder}: {len(made)} files")
        for line in (f"cd {folder}", "make train", "make test"):
            print(f"  {line}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

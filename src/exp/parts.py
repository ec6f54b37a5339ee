"""exp parts: whose code is trusted here, and what options it adds.

exp parts               each trusted package, what trusts it, where it lies, its options
exp parts check=true    imports and checks each option as well
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import yaml

from exp.config.schema import place
from exp.config.targets import declaration
from exp.errors import ExpError
from exp.options import arguments, project, trust
from exp.options.arguments import Option
from exp.options.confdir import conf_dir
from exp.options.trusted_code import version
from exp.run.exits import plain_exits

GRAMMAR = arguments.Grammar(
    doc=__doc__, options={"check": Option("true: import and check each option as well", arguments.switch, False)}
)


def told(check: bool) -> Iterator[str]:
    """The lines of the command. Raises ExpError for a package that is trusted and not there."""
    found, own = project.packages(), project.project()
    if not found and own.conf is None:
        yield f"nothing is trusted here but exp itself; {trust.WAYS}"
        return
    owners: dict[tuple[str, str], str] = {}
    for package in found:
        yield f"{package.name} {version(package.name) or '(not installed)'}: {package.origin}"
        yield from (f"  {place}" for place in (package.file, *package.folders) if place)
        for folder in [*package.conf, *([package.of_project] if package.of_project else [])]:
            yield from _options(folder, package.name, owners, check)
    if own.conf is not None and own.conf not in [package.of_project for package in found]:
        yield f"options of the project: {own.conf}"
        yield from _options(own.conf, str(own.folder), owners, check)


def _options(conf: Path, owner: str, owners: dict[tuple[str, str], str], check: bool) -> Iterator[str]:
    files = sorted(conf.rglob("*.yaml"))
    for group in sorted({file.parent.relative_to(conf).as_posix() for file in files}):
        names = [file.stem for file in files if file.parent == conf / group]
        yield f"  {group}: {', '.join(names)}"
        for name in names:
            first = owners.setdefault((group, name), owner)
            if (conf_dir() / group / f"{name}.yaml").is_file():
                yield f"    {group}={name} is exp's own option; give this file another name"
            elif first != owner:
                yield f"    {group}={name} is in {first} too: rename one of them"
            if check and (wrong := _wrong(conf / group / f"{name}.yaml", group)):
                yield f"    {group}={name}: {wrong}"


def _wrong(path: Path, group: str) -> str | None:
    """What keeps an option from being chosen; None where nothing does, or where the file names no part."""
    try:
        node = yaml.safe_load(path.read_text(encoding="utf-8"))
        if isinstance(node, dict) and "_target_" in node:
            declaration({key: value for key, value in node.items() if key != "defaults"}, place(path, group))
    except (ExpError, OSError, yaml.YAMLError) as error:
        return " ".join(str(error).split())
    return None


def main(argv: list[str] | None = None) -> int:
    with plain_exits():
        given = arguments.parse(sys.argv[1:] if argv is None else argv, GRAMMAR)
        for line in told(given["check"]):
            print(line)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

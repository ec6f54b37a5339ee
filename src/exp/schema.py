"""Write the JSON schemas of the config and its options, so that an editor completes and checks YAML while you type.

exp schema                          writes .vscode/schema/*.json in the working folder
exp schema folder=elsewhere
exp schema print=optimizer/adamw    shows the schema of one option; print=optimizer of a group, print=config of all

VS Code finds them by the entry yaml.schemas of .vscode/settings.json, which is printed for a copy.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from exp.config import schema
from exp.errors import ExpError, nearest
from exp.options import arguments
from exp.options.arguments import Option
from exp.run.exits import plain_exits

FOLDER = ".vscode/schema"
GRAMMAR = arguments.Grammar(
    doc=__doc__,
    options={
        "folder": Option(f"where to write ({FOLDER})", arguments.folder, Path(FOLDER)),
        "print": Option("a schema to show: config, a group, or group/option"),
    },
)


def main(argv: Sequence[str] | None = None) -> int:
    with plain_exits():
        given = arguments.parse(sys.argv[1:] if argv is None else argv, GRAMMAR)
        if "print" in given:
            print(text(_named(given["print"])))
            return 0
        folder = given["folder"]
        write(folder)
        print(json.dumps({"yaml.schemas": mapping(folder)}, indent=2))
    return 0


def write(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, one in schema.schemas().items():
            (folder / f"{name}.json").write_text(text(one) + "\n", encoding="utf-8")
    except OSError as error:
        raise ExpError(f"folder={folder}: {error.strerror}; choose another folder") from None


def mapping(folder: Path) -> dict[str, list[str]]:
    """Schema file -> the YAMLs that it describes, as VS Code's setting yaml.schemas has it."""
    configs = ["conf/train.yaml", "conf/experiment/*.yaml", "conf/sweep/*.yaml", "conf/recipe/**/*.yaml"]
    found = {
        f"./{(folder / schema.CONFIG).as_posix()}.json": [*configs, "conf/speed/fast.yaml", "**/.hydra/config.yaml"]
    }
    for group in schema.schemas():
        if group != schema.CONFIG:
            ours = [f"conf/{group}/*.yaml"] if group != "speed" else ["conf/speed/exact.yaml"]
            found[f"./{(folder / group).as_posix()}.json"] = ours
    return found


def text(node: Any, depth: int = 0) -> str:
    """JSON with a line for each key of an option, so that a change reads well in a diff."""
    if not isinstance(node, dict) or not node or depth == 4:
        return json.dumps(node, ensure_ascii=False)
    lines = (f"{' ' * (depth + 1)}{json.dumps(key)}: {text(inner, depth + 1)}" for key, inner in node.items())
    return "{\n" + ",\n".join(lines) + "\n" + " " * depth + "}"


def _named(name: str) -> dict[str, Any]:
    group, _, option = name.partition("/")
    known = schema.schemas()
    if group not in known:
        raise ExpError(f"print={name}: no such schema{nearest(group, known)}")
    return schema.option_schema(group, option) if option else known[group]


if __name__ == "__main__":
    raise SystemExit(main())

"""Pages of the reference that mkdocs takes from the code: settings, options, commands, and llms.txt for agents."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import yaml
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from exp.cli import COMMANDS
from exp.config.schema import known_groups, option_schema, schemas
from exp.options.confdir import conf_dir
from exp.options.option import described, ranges

ROOT = Path(__file__).parents[2]
PYTHON = """# Python

::: exp.api
"""
EXITS = {
    "0": "it is done",
    "1": "evaluate and reproduce: a number differs",
    "2": "bad input: one line on stderr, and nothing is left behind",
    "75": "saved after SIGTERM, SIGUSR1, SIGUSR2 or the first Ctrl-C; `resume=` goes on",
    "130": "Ctrl-C outside of a training",
}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    pages = {
        "reference/settings.md": settings(),
        "reference/options.md": options(),
        "reference/commands.md": commands(),
        "reference/python.md": PYTHON,
        "results.md": (ROOT / "benchmarks" / "RESULTS.md").read_text(encoding="utf-8"),
        "llms.txt": llms(),
    }
    for name, text in pages.items():
        files.append(File.generated(config, name, content=text))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Links out of docs/ lead to files of the repository, which are pages here."""
    return markdown.replace("(../benchmarks/RESULTS.md", "(results.md").replace("(../README.md", "(index.md")


def settings() -> str:
    node = yaml.safe_load((conf_dir() / "train.yaml").read_text(encoding="utf-8"))
    properties = schemas()["config"]["properties"]
    lines = ["# Settings", "", "Keys of [conf/train.yaml], with the names of `transformers.TrainingArguments`.", ""]
    lines[2] = lines[2].replace("[conf/train.yaml]", "`conf/train.yaml`")
    return "\n".join([*lines, *_table(properties, node)])


def options() -> str:
    lines = ["# Groups and options", "", "`group=option` chooses one; `group.key=value` changes a key of it.", ""]
    for group in known_groups():
        lines += [f"## {group}", ""]
        for path in sorted((conf_dir() / group).glob("*.yaml")):
            text = path.read_text(encoding="utf-8")
            node = yaml.safe_load(text) or {}
            lines += [f"### `{group}={path.stem}`", "", " ".join(_head(text)), ""]
            if "_target_" in node:
                lines += [*_table(option_schema(group, path.stem)["properties"], node), ""]
    return "\n".join(lines)


def commands() -> str:
    lines = ["# Commands", "", "`exp <command>` and `python -m exp.<command>` are the same.", ""]
    for name, (module, what) in COMMANDS.items():
        lines += [f"## {name}", "", f"{what[0].upper()}{what[1:]}.", ""]
        words = (import_module(module).__doc__ or "").strip()
        lines += ["```text", words, "```", ""] if words else []
    lines += ["## Exit codes", "", "| code | meaning |", "| --- | --- |"]
    return "\n".join([*lines, *(f"| {code} | {text} |" for code, text in EXITS.items())])


def llms() -> str:
    """Plain text: what an agent needs to call exp and to read what it leaves."""
    lines = ["# exp", "", "> Fine-tuning experiments. `exp train group=option group.key=value`.", "", "## Commands", ""]
    lines += [f"- exp {name}: {what}" for name, (_, what) in COMMANDS.items()]
    lines += ["", "## Exit codes", "", *(f"- {code}: {text}" for code, text in EXITS.items())]
    lines += ["", "## Groups and options", ""]
    for group in known_groups():
        names = sorted(path.stem for path in (conf_dir() / group).glob("*.yaml"))
        lines.append(f"- {group}: {', '.join(names)}")
    lines += ["", "## Settings (root keys)", ""]
    node = yaml.safe_load((conf_dir() / "train.yaml").read_text(encoding="utf-8"))
    for key, one in schemas()["config"]["properties"].items():
        if key in node and "$ref" not in one and "_target_" not in str(node[key]):
            lines.append(f"- {key}={_value(node[key])}: {one.get('description', '')}")
    run_folder = ROOT / "docs" / "run-folder.md"
    return "\n".join([*lines, "", "## Files of a run", "", *_files(run_folder.read_text(encoding="utf-8")), ""])


def _files(text: str) -> Iterator[str]:
    """The first table of docs/run-folder.md as lines."""
    rows = [line.strip("| \n").split(" | ") for line in text.splitlines() if line.startswith("| `")]
    for name, *rest in rows:
        if "/" in name or "." in name:
            yield f"- {name}: {rest[-1]}"


def _head(text: str) -> list[str]:
    """The comment lines at the head of a YAML, without Hydra's package line."""
    found = []
    for line in text.splitlines():
        if not line.startswith("#"):
            break
        if "@package" not in line:
            found.append(line.lstrip("# "))
    return found


def _table(properties: Mapping[str, Any], node: Mapping[str, Any]) -> list[str]:
    rows = ["| key | default | takes | what and why |", "| --- | --- | --- | --- |"]
    for key, one in properties.items():
        if key in ("_target_", "defaults", "hydra") or "$ref" in one or key not in node:
            continue
        kinds = {"anyOf": [_tuples(kind) for kind in one.get("anyOf", [one]) if "pattern" not in kind]}
        cells = [f"`{key}`", f"`{_value(node[key])}`", f"{described(kinds)}{ranges(kinds)}", one.get("description", "")]
        rows.append("| " + " | ".join(re.sub(r"\|", "\\|", cell) for cell in cells) + " |")
    return rows


def _tuples(kind: Mapping[str, Any]) -> dict[str, Any]:
    """Draft 7 calls the items of a tuple `items`."""
    return {("prefixItems" if key == "items" and isinstance(one, list) else key): one for key, one in kind.items()}


def _value(value: Any) -> str:
    return yaml.safe_dump(value, default_flow_style=True, width=1000).removesuffix("...\n").strip()

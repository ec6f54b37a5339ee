"""No private name of a library is used outside exp/compat, where each has its reason and its test."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import exp
from exp.compat.transformers import MODEL_OVERRIDES, TRAINER_OVERRIDES

SOURCES = Path(exp.__file__).parents[1]
# Private by where they lie or by what their library says, though they have no underscore.
BY_NAME = {"rankallocator", "wbauth", "x_save_requirements", "support_avx512bf16_for_cpu", "hf_quantizer"}
PRIVATE_PACKAGES = ("wandb.sdk",)
ASKING = {"getattr", "hasattr", "setattr", "delattr"}
STANDARD = {"os._exit", "sys._getframe"}  # documented names of the standard library


def is_private(name: str) -> bool:
    return (name.startswith("_") and name.strip("_") != "" and not name.endswith("__")) or name in BY_NAME


def private_names(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Line and name of each private name that is not the module's own."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            base = node.module or "" if isinstance(node, ast.ImportFrom) else ""
            for alias in node.names:
                path = f"{base}.{alias.name}".strip(".")
                if base != "__future__" and (
                    any(map(is_private, path.split("."))) or path.startswith(PRIVATE_PACKAGES)
                ):
                    yield node.lineno, path
        elif isinstance(node, ast.Attribute) and is_private(node.attr):
            own = isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")
            if not own or node.attr in BY_NAME:
                yield node.lineno, ast.unparse(node)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ASKING:
            asked = node.args[1] if len(node.args) > 1 else None
            if isinstance(asked, ast.Constant) and isinstance(asked.value, str) and is_private(asked.value):
                yield node.lineno, f"{node.func.id}(..., {asked.value!r})"
        elif isinstance(node, ast.keyword) and node.arg in BY_NAME:
            yield node.value.lineno, node.arg


def files() -> list[Path]:
    found = [path for root in ("exp", "hydra_plugins/exp_study") for path in (SOURCES / root).rglob("*.py")]
    return sorted(path for path in found if path.parent != SOURCES / "exp" / "compat")


@pytest.mark.parametrize("path", files(), ids=lambda path: path.relative_to(SOURCES).as_posix())
def test_a_module_uses_no_private_name(path: Path) -> None:
    overrides = {"hf_trainer.py": TRAINER_OVERRIDES, "own_head.py": MODEL_OVERRIDES}.get(path.name, ())
    allowed = STANDARD | {f"super().{name}" for name in overrides}
    found = [f"line {line}: {name}" for line, name in private_names(ast.parse(path.read_text())) if name not in allowed]
    assert not found, f"{path.name} uses private names; take a public way, or move each to exp/compat: {found}"


@pytest.mark.parametrize(
    "line",
    [
        "from hydra._internal import utils",
        "from optuna.study._tell import tell",
        "from wandb.sdk.lib import x",
        "import a._b",
        "study._storage",
        "x = getattr(model, '_orig_mod', model)",
        "model.base_model.rankallocator",
        "wandb.Settings(x_save_requirements=False)",
        "self.study._study_id",
    ],
)
def test_the_scan_sees(line: str) -> None:
    assert list(private_names(ast.parse(line)))


@pytest.mark.parametrize(
    "line", ["self._own()", "from __future__ import annotations", "x.__class__ = y", "x = {'_target_': 1}"]
)
def test_the_scan_passes(line: str) -> None:
    assert not list(private_names(ast.parse(line)))

"""The committed schemas are the generated ones, and they judge a YAML as the check does."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator
from omegaconf import OmegaConf
from referencing import Registry, Resource

from exp import schema as command
from exp.config.schema import CONFIG, schemas
from exp.errors import ExpError
from exp.options.confdir import conf_dir

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / command.FOLDER
SETTINGS = json.loads((ROOT / ".vscode/settings.json").read_text())["yaml.schemas"]
PAIRS = [(file, path) for file, patterns in SETTINGS.items() for glob in patterns for path in sorted(ROOT.glob(glob))]


def content_of(path: Path) -> Any:
    """As YAML 1.2, Hydra and editors read it: 5e-5 is a number."""
    return OmegaConf.to_container(OmegaConf.load(path), resolve=False)


@pytest.fixture(scope="module")
def valid() -> Callable[[str, Any], bool]:
    made = schemas()
    resources = [(f"{name}.json", Resource.from_contents(one)) for name, one in made.items()]
    registry: Registry = Registry().with_resources(resources)

    def judge(name: str, content: Any) -> bool:
        return Draft7Validator(made[name], registry=registry).is_valid(content)

    return judge


def test_the_committed_schemas_are_the_generated_ones() -> None:
    made = {f"{name}.json": command.text(one) + "\n" for name, one in schemas().items()}
    committed = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.json")}
    assert committed == made, "run: python -m exp.schema"


def test_the_editor_settings_name_every_schema() -> None:
    assert command.mapping(Path(command.FOLDER)) == SETTINGS


@pytest.mark.parametrize(("file", "path"), PAIRS, ids=lambda part: str(part).removeprefix(str(ROOT)))
def test_every_yaml_fits_its_schema(valid: Callable[[str, Any], bool], file: str, path: Path) -> None:
    if ".hydra" not in path.parts:
        assert valid(Path(file).stem, content_of(path))


def test_every_option_has_a_schema() -> None:
    presets = ("experiment", "sweep", "recipe", "table", "hydra")
    paths = [path for path in conf_dir().rglob("*.yaml") if path.relative_to(conf_dir()).parts[0] not in presets]
    assert {path for _, path in PAIRS} >= set(paths)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("optimizer", {"lr": 0}),
        ("optimizer", {"lr": "fast"}),
        ("optimizer", {"betas": [0.9]}),
        ("optimizer", {"betas": [0.9, 1.5]}),
        ("optimizer", {"momentun": 0.9}),
        ("optimizer", {"fused": "yes"}),
        (CONFIG, {"eval_strategy": "step"}),
        (CONFIG, {"learning_rate": 1}),
        (CONFIG, {"hub": {"push": 1}}),
        (CONFIG, {"optimizer": {"_target_": "exp.optim.optimizers.SgdOptimizer", "momentum": 2}}),
    ],
)
def test_what_the_check_refuses_is_marked(valid: Callable[[str, Any], bool], name: str, change: dict[str, Any]) -> None:
    file = conf_dir() / ("train.yaml" if name == CONFIG else f"{name}/adamw.yaml")
    content = content_of(file)
    assert valid(name, content)
    assert not valid(name, content | change)


@pytest.mark.parametrize("value", ["${oc.env:LR}", "???", 1, 1e-3])
def test_what_hydra_fills_in_is_let_through(valid: Callable[[str, Any], bool], value: Any) -> None:
    content = content_of(conf_dir() / "optimizer/adamw.yaml")
    assert valid("optimizer", content | {"lr": value})


def test_an_option_says_what_its_yaml_says(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["print=scheduler/warmup_stable_decay"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["properties"]["decay_type"]["anyOf"][0]["enum"] == ["linear", "cosine", "1-sqrt"]
    assert shown["properties"]["decay_ratio"]["description"].startswith("share of all steps")
    assert shown["description"].startswith("Up, level, and down")


@pytest.mark.parametrize(
    ("word", "message"), [("print=optimiser", "'optimizer'"), ("print=optimizer/adamv", "'adamw'")]
)
def test_an_unknown_schema_names_its_neighbour(word: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises((ExpError, SystemExit)) as error:
        command.main([word])
    assert message in str(error.value) + capsys.readouterr().err


def test_it_writes_where_it_is_told(tmp_path: Path) -> None:
    assert command.main([f"folder={tmp_path / 'made'}"]) == 0
    assert {path.stem for path in (tmp_path / "made").glob("*.json")} == set(schemas())

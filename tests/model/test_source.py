from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from exp.errors import ExpError
from exp.model.source import check_folder, locate
from tests import forked
from tests.model.test_pretrained import head_of, tokenizer_of
from tests.optim.test_options import make
from tests.tiny_models import make_tiny


def test_a_hub_id_stays_as_it_is():
    assert locate("google-bert/bert-base-uncased") == "google-bert/bert-base-uncased"


def test_a_missing_folder_names_its_neighbour(tmp_path):
    (tmp_path / "minilm").mkdir()
    with pytest.raises(ExpError, match="did you mean 'minilm'"):
        locate(str(tmp_path / "minilmm"))
    with pytest.raises(ExpError, match="no such folder"):
        locate("./nowhere/at/all")


def test_a_folder_without_config_weights_or_tokenizer(tmp_path):
    folder = make_tiny("bert", tmp_path)
    (folder / "tokenizer.json").unlink()
    with pytest.raises(ExpError, match="has no tokenizer"):
        locate(str(folder))
    (folder / "config.json").unlink()
    with pytest.raises(ExpError, match=r"no config\.json"):
        locate(str(folder))
    (folder / "adapter_config.json").touch()
    with pytest.raises(ExpError, match="peft adapter"):
        locate(str(folder))


@pytest.mark.slow
def test_a_pickled_model_is_refused_and_the_printed_command_mends_it(tmp_path):
    import torch
    from safetensors.torch import load_file

    folder = make_tiny("bert", tmp_path / "old model", labels=("no", "yes"))
    weights = load_file(folder / "model.safetensors")
    torch.save(weights, folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    with pytest.raises(ExpError, match=r"pytorch_model\.bin, which may run code") as error:
        locate(str(folder))
    command = str(error.value).splitlines()[-1].strip()
    assert command.startswith("python -c ")
    subprocess.run(command.replace("python", forked.python(), 1), shell=True, check=True, capture_output=True)
    again = load_file(f"{folder}-safetensors/model.safetensors")
    assert torch.equal(again["classifier.weight"], weights["classifier.weight"])
    assert locate(f"{folder}-safetensors")


def test_an_unreachable_hub_is_named_with_the_way_round(monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    source = make("model", "electra_small")
    with pytest.raises(ExpError, match=r"Hub cannot be reached.*model.path=<folder"):
        tokenizer_of(source)
    with pytest.raises(ExpError, match="Hub cannot be reached"):
        source.model(head_of(), None)


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json", "config.json"])
def test_a_git_lfs_pointer_is_named(name: str, tmp_path: Path) -> None:
    folder = make_tiny("bert", tmp_path)
    (folder / name).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 90868376\n")
    with pytest.raises(ExpError, match=f"{name} is a Git LFS pointer, not the file itself; fetch it with: git -C"):
        check_folder(folder)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("model.safetensors", "junk"),
        ("tokenizer.json", "{}"),
        ("config.json", "[1]"),
        ("config.json", '{"model_type": 5}'),
    ],
)
def test_damaged_files_are_one_line(name: str, text: str, tmp_path: Path) -> None:
    from tests.model.test_pretrained import load

    folder = make_tiny("bert", tmp_path)
    (folder / name).write_text(text)
    with pytest.raises(ExpError, match=r"^model.path=.* cannot be loaded: ") as error:
        load(folder)
    assert "\n" not in str(error.value)

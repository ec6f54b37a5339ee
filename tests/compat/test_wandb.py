"""Fails in words when W&B changes a name that exp.compat.wandb uses."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import wandb

from exp.analysis.wandb_offline import read_log
from exp.compat import wandb as private

HOST = "https://wandb.example.org"


def test_a_key_is_found_or_not_without_asking(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("WANDB_CONFIG_DIR", str(tmp_path))
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    try:
        from wandb.sdk.lib.wbauth import authenticate_session  # noqa: F401
    except ImportError:
        pytest.fail(
            "wandb has no wandb.sdk.lib.wbauth.authenticate_session any more: find a way to see whether there is a key"
        )
    assert private.has_key(HOST) is False
    (tmp_path / "netrc").write_text(f"machine {HOST.removeprefix('https://')} login user password {'a' * 40}\n")
    (tmp_path / "netrc").chmod(0o600)
    assert private.has_key(HOST) is True
    assert list(tmp_path.iterdir()) == [tmp_path / "netrc"], "nothing is stored"


@pytest.mark.parametrize("name", private.NO_PACKAGES)
def test_a_setting_of_wandbs_own_is_still_there(name: str) -> None:
    assert name in wandb.Settings.model_fields, f"wandb has no setting {name} any more: init lists the packages again"


def test_wandbs_own_keys_are_where_we_read_them(tmp_path: Path) -> None:
    settings = wandb.Settings(silent=True, console="off")
    run = wandb.init(project="p", mode="offline", dir=tmp_path, config={"lr": 1}, settings=settings)
    run.log({"loss": 1.0, "picture": wandb.Image(np.zeros((2, 2)))})
    run.finish()
    [file] = tmp_path.rglob("*.wandb")
    log = read_log(file)
    [row] = log["rows"]
    for key in (private.STEP, private.RUNTIME):
        assert key in row, f"wandb writes no {key} into the history any more"
    assert f"picture{private.MEDIA_TYPE}" in row, "wandb marks pictures in another way now"
    assert private.CONFIG_NODE in log["config"], f"wandb puts no {private.CONFIG_NODE} into the config any more"
    assert {key for key in row if not private.is_own(key) and not key.startswith("picture.")} == {"loss"}, json.dumps(
        row
    )

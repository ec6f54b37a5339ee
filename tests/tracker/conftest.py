from __future__ import annotations

import pytest

from tests.tracker.surroundings import nobody_logged_in
from tests.tracker.wandb_server import KEY, WandbServer


@pytest.fixture
def wandb_home(tmp_path_factory, monkeypatch):
    with nobody_logged_in(tmp_path_factory.mktemp("home"), monkeypatch):
        yield


@pytest.fixture
def server(wandb_home, monkeypatch):
    server = WandbServer()
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    monkeypatch.setenv("WANDB_BASE_URL", server.url)
    yield server
    server.stop()

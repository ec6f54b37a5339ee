from __future__ import annotations

import pytest

from exp.run.secrets import HIDDEN, redacted


@pytest.mark.parametrize(
    "name", ["HF_TOKEN", "PGPASSWORD", "MYSQL_PWD", "AWS_SECRET_ACCESS_KEY", "DB_PASS", "WANDB_API_KEY", "MY_APIKEY"]
)
def test_values_of_secret_variables_are_hidden_wherever_they_stand(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "GEHEIM/1234")
    told = redacted({"a": ["xGEHEIM/1234x", ("GEHEIM%2F1234",)], "b": 1, "c": None})
    assert told == {"a": [f"x{HIDDEN}x", [HIDDEN]], "b": 1, "c": None}


@pytest.mark.parametrize("name", ["TOKENIZERS_PARALLELISM", "PWD", "OLDPWD", "KEYBOARD_LAYOUT"])
def test_ordinary_variables_are_no_secrets(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "/home/me/work")
    assert redacted("/home/me/work/data") == "/home/me/work/data"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("storage=postgresql://me:pw@db:5432/studies", f"storage=postgresql://me:{HIDDEN}@db:5432/studies"),
        ("mysql+pymysql://me:p%40w:d@db/x?charset=utf8", f"mysql+pymysql://me:{HIDDEN}@db/x?charset=utf8"),
        ("https://:tok3n@mlflow.example.org/a", f"https://:{HIDDEN}@mlflow.example.org/a"),
        ("https://x.org/a?token=abc&b=1", f"https://x.org/a?token={HIDDEN}&b=1"),
        ("postgresql://me@db/studies", "postgresql://me@db/studies"),
        ("http://localhost:8080/a@b", "http://localhost:8080/a@b"),
        ("postgresql://me:${oc.env:PW}@db/x", "postgresql://me:${oc.env:PW}@db/x"),
        ("me: pw@db", "me: pw@db"),
    ],
)
def test_passwords_in_addresses_are_hidden(text: str, shown: str) -> None:
    assert redacted(text) == shown


def test_keys_that_name_a_password_hide_it() -> None:
    assert redacted({"mlflow": {"password": "short", "user": "me"}}) == {"mlflow": {"password": HIDDEN, "user": "me"}}
    assert redacted({"pad_token": "[PAD]", "key": "a"}) == {"pad_token": "[PAD]", "key": "a"}

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy

from exp.work import database


def test_a_connection_that_died_while_idle_is_replaced_and_one_in_use_is_not_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = sqlalchemy.create_engine(f"sqlite:///{tmp_path / 'x.db'}", poolclass=sqlalchemy.QueuePool, pool_size=1)
    database.without_dead_connections(engine)
    asked: list[Any] = []
    monkeypatch.setattr(engine.dialect, "do_ping", lambda one: asked.append(one) or one.execute("select 1"))

    def use() -> Any:
        with engine.connect() as connection:
            assert connection.execute(sqlalchemy.text("select 2")).scalar() == 2
            return connection.connection.dbapi_connection

    first = use()
    assert use() is first and asked == []
    monkeypatch.setattr(database, "IDLE", 0.0)
    assert use() is first and asked == [first]
    first.close()  # as a server that restarts does
    assert use() is not first and asked == [first, first]

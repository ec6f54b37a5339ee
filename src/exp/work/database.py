"""How a database server is reached: by which driver, and over connections that are still there."""

from __future__ import annotations

import importlib.util
import time
from typing import TYPE_CHECKING, Any

from exp.errors import ExpError
from exp.run.secrets import redacted

if TYPE_CHECKING:
    from sqlalchemy import Engine

IDLE = 5.0  # seconds


def with_driver(url: str) -> str:
    """SQLAlchemy 2.1 takes psycopg 3 for a plain postgresql:// and pymysql is not its default: name what is here.

    Raises ExpError where no driver is installed.
    """
    kind, _, rest = url.partition("://")
    for name, drivers in (("postgresql", ("psycopg", "psycopg2")), ("mysql", ("MySQLdb", "pymysql"))):
        found = [driver for driver in drivers if importlib.util.find_spec(driver) is not None]
        if kind == name and not found:
            extra = "pip install 'exp[postgres]'" if kind == "postgresql" else "pip install pymysql"
            raise ExpError(f"cannot open storage={redacted(url)}: its driver is missing; {extra}")
        if kind == name:
            return f"{kind}+{found[0].replace('MySQLdb', 'mysqldb')}://{rest}"
    return url


def without_dead_connections(engine: Engine) -> None:
    """Asks the server of a connection that was not used for IDLE seconds whether it is still there.

    SQLAlchemy's `pool_pre_ping` asks before each of the dozen transactions of a trial, a quarter of what they cost.
    Where a connection dies within IDLE seconds, the call fails once, and is tried again (exp.work.storage.retrying).
    """
    from sqlalchemy import event, exc

    @event.listens_for(engine, "checkin")
    def left(connection: Any, record: Any) -> None:
        record.info["left"] = time.monotonic()

    @event.listens_for(engine, "checkout")
    def taken(connection: Any, record: Any, proxy: Any) -> None:
        if time.monotonic() - record.info.get("left", time.monotonic()) < IDLE:
            return
        try:
            there = engine.dialect.do_ping(connection)
        except Exception:  # of whatever driver
            there = False
        if not there:
            raise exc.DisconnectionError  # SQLAlchemy takes another connection

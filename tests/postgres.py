"""A PostgreSQL server of the tests' own."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

Postgres = tuple[str, Callable[[str], None]]


@pytest.fixture
def postgres() -> Iterator[Postgres]:
    """The URL of a database, and a function that starts or stops its server."""
    if not _control():
        pytest.skip("no PostgreSQL here (Debian: apt-get install postgresql)")
    if os.getuid() != 0 or shutil.which("runuser") is None:
        pytest.skip("a PostgreSQL of our own is started by root, under the user postgres")
    pytest.importorskip("psycopg2", reason="the extra postgres is not installed")
    with server() as started:
        yield started


def _control() -> list[Path]:
    return sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"))


@contextlib.contextmanager
def server() -> Iterator[Postgres]:
    """Under its own user and data folder."""
    found = _control()
    home = Path("/tmp") / f"exp-postgres-{os.getpid()}"
    home.mkdir()
    shutil.chown(home, "postgres", "postgres")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]

    def as_server(*words: str) -> None:
        subprocess.run(["runuser", "-u", "postgres", "--", *words], check=True, capture_output=True, cwd="/")

    def control(action: str) -> None:
        as_server(str(found[-1]), "-D", f"{home}/data", "-l", f"{home}/log", "-w", "-m", "immediate", "-o",
                  f"-p {port} -k {home} -c listen_addresses=127.0.0.1", action)  # fmt: skip

    try:
        as_server(str(found[-1].with_name("initdb")), "-D", f"{home}/data", "-A", "trust")
        control("start")
        as_server(str(found[-1].with_name("createdb")), "-h", "127.0.0.1", "-p", str(port), "studies")
        yield f"postgresql://postgres@127.0.0.1:{port}/studies", control
    finally:
        subprocess.run(["runuser", "-u", "postgres", "--", str(found[-1]), "-D", f"{home}/data", "-m", "immediate",
                        "stop"], capture_output=True, cwd="/")  # fmt: skip
        shutil.rmtree(home, ignore_errors=True)

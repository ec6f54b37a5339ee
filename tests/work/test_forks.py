"""Workers that are forks of one process: they share its imports, and end, are stopped and die as processes do."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import cloudpickle
import psutil
import pytest

from exp.work import forks
from exp.work.forks import Fork, ForkServer, forked
from exp.work.local_workers import pack_worker
from exp.work.settings import WorkSettings
from tests.study.conftest import until

SETTINGS = WorkSettings(None, None, 2, 1, False, 1, 3, 10.0, 60.0)


def shared(name: str) -> SimpleNamespace:
    return SimpleNamespace(imports=name)


@pytest.fixture
def server(fast_python: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[ForkServer]:
    monkeypatch.setattr(forks, "can_fork", lambda: True)
    with forked(SETTINGS, shared("wave")) as made:
        assert made is not None
        yield made


def start(server: ForkServer, work: str, log: Path, slot: int = 0) -> Fork:
    """A worker that executes `work`."""
    code = compile(work, "work", "exec")
    cloudpickle.register_pickle_by_value(sys.modules[__name__])

    class Worker:
        name = ""

        def __call__(self) -> None:
            exec(code, {"worker": self})

    with log.open("ab") as file:
        return server.start(slot, file, pack_worker(Worker()))


def test_a_worker_has_name_log_session_and_exit_code_of_its_own(server: ForkServer, tmp_path: Path) -> None:
    work = """
import os, sys
assert "wave" in sys.modules
print(worker.name, os.getsid(0) == os.getpid(), os.environ["OMP_NUM_THREADS"], flush=True)
print("to stderr", file=sys.stderr, flush=True)
raise SystemExit(7)
"""
    workers = [start(server, work, tmp_path / f"{slot}.log", slot) for slot in (3, 4)]
    assert [worker.wait(30) for worker in workers] == [7, 7]
    assert [worker.poll() for worker in workers] == [7, 7]
    for slot in (3, 4):
        assert (tmp_path / f"{slot}.log").read_text() == f"{slot} True 1\nto stderr\n"


def test_workers_draw_other_numbers(server: ForkServer, tmp_path: Path) -> None:
    work = "import random, numpy; print(random.random(), numpy.random.random(), flush=True)"
    for slot in (0, 1):
        assert start(server, work, tmp_path / f"{slot}.log", slot).wait(30) == 0
    one, two = ((tmp_path / f"{slot}.log").read_text().split() for slot in (0, 1))
    assert one[0] != two[0] and one[1] != two[1]


def test_a_worker_is_asked_and_killed(server: ForkServer, tmp_path: Path) -> None:
    work = "import time; print('at work', flush=True); time.sleep(100)"
    asked, killed = (start(server, work, tmp_path / f"{slot}.log", slot) for slot in (0, 1))
    with pytest.raises(subprocess.TimeoutExpired):
        asked.wait(0.1)
    asked.terminate()
    assert asked.wait(30) == -signal.SIGTERM
    for slot in range(2, 22):  # asked in the moment in which it begins
        asked = start(server, work, tmp_path / "log", slot)
        asked.terminate()
        assert asked.wait(30) == -signal.SIGTERM
    assert killed.poll() is None
    killed.kill()
    assert killed.wait(30) == -signal.SIGKILL


def test_the_end_of_its_input_reaches_a_worker(server: ForkServer, tmp_path: Path) -> None:
    work = "import os; assert os.read(0, 1) == b''"
    worker = start(server, work, tmp_path / "log")
    time.sleep(0.2)
    assert worker.poll() is None
    other = start(server, "pass", tmp_path / "other")  # it does not hold the first one's input open
    assert other.wait(30) == 0
    worker.stdin.close()
    assert worker.wait(30) == 0


def test_a_server_that_dies_is_begun_again(server: ForkServer, tmp_path: Path) -> None:
    worker = start(server, "import os; os.read(0, 1)", tmp_path / "log")
    time.sleep(0.3)
    assert server.process is not None
    server.process.kill()
    assert worker.wait(30) == -signal.SIGKILL  # nobody knows how it ends
    worker.stdin.close()  # it does then
    assert start(server, "raise SystemExit(5)", tmp_path / "other").wait(30) == 5


def test_all_workers_of_a_dead_server_have_ended(server: ForkServer, tmp_path: Path) -> None:
    """Also those that nobody has asked about before the next one starts."""
    worker = start(server, "import os; os.read(0, 1)", tmp_path / "log")
    assert worker.poll() is None and server.process is not None
    server.process.kill()
    server.process.wait()
    assert start(server, "", tmp_path / "other").wait(30) == 0
    assert worker.poll() == -signal.SIGKILL


def test_the_server_outlives_what_a_scheduler_sends_to_all(server: ForkServer, tmp_path: Path) -> None:
    work = "import signal; signal.signal(signal.SIGTERM, lambda *_: exit(75)); print('set', flush=True); signal.pause()"
    worker = start(server, work, tmp_path / "log")
    until(lambda: (tmp_path / "log").read_text() == "set\n")
    assert server.process is not None
    for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2, signal.SIGINT):
        server.process.send_signal(number)
    worker.terminate()
    assert worker.wait(30) == 75


def test_workers_that_nobody_has_forked_yet_are_stopped_at_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(forks, "can_fork", lambda: True)
    monkeypatch.setattr(forks, "BEGIN", "import time; time.sleep(1000)  # {!r}")
    with forked(SETTINGS, shared("wave")) as server:
        assert server is not None and server.process is None
        worker = start(server, "", tmp_path / "log")
        worker.terminate()
        assert worker.wait(30) == -signal.SIGKILL


def test_what_fails_to_import_is_the_workers_own_to_say(
    fast_python: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(forks, "can_fork", lambda: True)
    with forked(SETTINGS, shared("no_such_module")) as server:
        assert server is not None
        assert start(server, "import no_such_module", tmp_path / "log").wait(30) == 1
    assert "No module named 'no_such_module'" in (tmp_path / "log").read_text()


def test_a_folder_named_as_a_library_hides_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(forks, "can_fork", lambda: True)
    (tmp_path / "wave.py").write_text("raise SystemExit('of the project')")
    monkeypatch.chdir(tmp_path)
    with forked(SETTINGS, shared("wave")) as server:
        assert server is not None
        assert start(server, "import sys; assert 'lib' in sys.modules['wave'].__file__", tmp_path / "log").wait(60) == 0


def test_nothing_is_left_of_it(fast_python: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(forks, "can_fork", lambda: True)
    with forked(SETTINGS, shared("wave")) as server:
        assert server is not None and server.process is None  # a command that is refused starts nothing
        start(server, "", tmp_path / "log").wait(30)
        assert server.process is not None
        process = psutil.Process(server.process.pid)
    assert not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def test_no_forks_with_a_gpu_or_for_a_function(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forks, "gpus", lambda: ["0"])
    with forked(SETTINGS, shared("wave")) as server:
        assert server is None
    monkeypatch.setattr(forks, "can_fork", lambda: True)
    for task in (lambda cfg: 1.0, None):
        with forked(SETTINGS, task) as server:
            assert server is None


def test_what_trainings_share_leaves_no_thread_and_no_user_of_a_gpu() -> None:
    """Else a fork may hang: the thread that held a lock is not there. pyarrow's jemalloc knows of forks."""
    ask = (
        "import exp.training.shared_imports, pathlib, sys, torch; assert not torch.cuda.is_initialized(); "
        "assert not {'wandb', 'peft'} & sys.modules.keys(); "
        "print(*[file.read_text().strip() for file in pathlib.Path('/proc/self/task').glob('*/comm')][1:])"
    )
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, env=environment)
    assert not done.returncode, done.stderr
    assert set(done.stdout.split()) <= {"jemalloc_bg_thd"}

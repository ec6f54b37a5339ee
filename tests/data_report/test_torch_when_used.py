"""In interpreters of their own, because this one has torch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

NOT_YET = "assert 'torch._C' not in sys.modules, 'torch is loaded'"
USES = {
    "an attribute": "import torch as found; found.ones(2)",
    "a name": "from torch import ones",
    "a submodule": "import torch.nn.functional as found; found.relu",
    "a thread": "import threading, torch; t = threading.Thread(target=lambda: torch.ones(2)); t.start(); t.join()",
}


def run(code: str, *words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    begin = "import sys; from exp.data_report.torch_when_used import load_torch_when_used as later\n"
    return subprocess.run(
        [sys.executable, "-c", begin + code, *words], cwd=cwd, capture_output=True, text=True, timeout=300
    )


def test_a_look_at_texts_loads_no_torch(tmp_path: Path) -> None:
    (tmp_path / "train.jsonl").write_text('{"text": "one", "label": "a"}\n{"text": "two", "label": "b"}\n' * 9)
    words = ["data=files", "data.train_file=train.jsonl", "data.validation_file=train.jsonl"]
    done = run(f"from exp.data_report.command import main; main(); {NOT_YET}", *words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "eval: 18 of 18 rows stand in train" in done.stdout


def test_whatever_asks_for_torch_gets_all_of_it(tmp_path: Path) -> None:
    """Each in a fork, so that libraries are imported once."""
    code = f"""
import os, types, importlib.util, inspect
later()
import torch, transformers
from transformers import AutoConfig, AutoTokenizer
assert transformers.utils.is_torch_available() and importlib.util.find_spec("torch").name == "torch"
inspect.getmodule(run := inspect.currentframe())  # looks into every module
{NOT_YET}
for what, use in {USES!r}.items():
    if not (child := os.fork()):
        exec(use)
        assert type(torch) is types.ModuleType and torch is sys.modules["torch"] and torch.nn.Linear(2, 3), what
        assert isinstance(torch.zeros(1), torch.Tensor) and not hasattr(torch, "nothing"), what
        before = dict(sys.modules)
        later()
        assert before == sys.modules
        sys.stdout.flush()
        os._exit(0)
    print(what, os.waitpid(child, 0)[1])
"""
    done = run(code, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [f"{what} 0" for what in USES], done.stderr


def test_a_torch_that_cannot_be_loaded_says_why(tmp_path: Path) -> None:
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "__init__.py").write_text("raise OSError('libtorch is not there')")
    done = run("later()\nimport torch\nprint('imported')\ntorch.ones(2)", cwd=tmp_path)
    assert done.stdout == "imported\n" and done.stderr.endswith("OSError: libtorch is not there\n")

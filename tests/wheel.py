"""exp as a user gets it: built into a wheel, and installed by pip into an environment of its own."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def built(folder: Path) -> Path:
    """The wheel of this checkout. An sdist comes first, as a user's build makes one: what MANIFEST.in forgets is
    missing then."""
    source = folder / "source"
    tracked = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\0")
    for name in filter(None, tracked):
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
    return built_from(source, folder / "dist")


def built_from(source: Path, folder: Path) -> Path:
    """The wheel of the project in `source`, made in `folder` without a network."""
    build = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(source)]
    subprocess.run(build, check=True, capture_output=True, timeout=300)
    [wheel] = folder.glob("*.whl")
    return wheel


def environment(folder: Path, *wheels: Path) -> Path:
    """The Python of a new environment in `folder` with the wheels in it. Of this environment it sees everything but
    exp itself, so pip finds what the wheels require, and needs no network."""
    venv.create(folder, with_pip=False)
    python = folder / "bin" / "python"
    paths = {"base": str(folder), "platbase": str(folder)}
    site = Path(sysconfig.get_path("purelib", "venv", paths))
    # A plain path entry: .pth files there (our editable install) are not read.
    (site / "others.pth").write_text(sysconfig.get_path("purelib") + "\n")
    install = ["install", "--quiet", "--no-index", "-c", str(ROOT / "requirements.lock"), *map(str, wheels)]
    words = [sys.executable, "-m", "pip", "--python", str(python), *install]
    done = subprocess.run(words, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return python

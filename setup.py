"""Puts conf/ into the wheel as exp/conf; everything else stands in pyproject.toml.

`package-dir` could map conf/ as well, but it makes the editable install use a finder, which hides the
namespace package hydra_plugins from Hydra. A checkout reads conf/ where it stands (exp.training.launch.conf_dir).
"""

from __future__ import annotations

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

SOURCE = Path("conf")


class BuildWithConf(build_py):
    def run(self) -> None:
        super().run()
        if not self.editable_mode:
            shutil.copytree(SOURCE, self._target(), dirs_exist_ok=True)

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        files = (path for path in SOURCE.rglob("*") if path.is_file())
        ours = [] if self.editable_mode else [str(self._target() / path.relative_to(SOURCE)) for path in files]
        return [*super().get_outputs(include_bytecode), *ours]

    def _target(self) -> Path:
        return Path(self.build_lib) / "exp" / "conf"


setup(cmdclass={"build_py": BuildWithConf})

"""Where a run's words go: stderr for whoever watches, train.log in the run folder for whoever comes later."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from exp.run.secrets import redacted
from exp.run.shape import visible


class _BesideBar(logging.StreamHandler):
    """Lifts a progress bar out of the way of a line."""

    def emit(self, record: logging.LogRecord) -> None:
        if "tqdm" not in sys.modules:
            super().emit(record)
            return
        from tqdm import tqdm

        tqdm.write(self.format(record), file=sys.stderr)


class _TrainLog(logging.FileHandler):
    """Does without what a full disk does not take; the run itself says that it is full."""

    def handleError(self, record: logging.LogRecord) -> None:
        if not isinstance(sys.exc_info()[1], OSError):
            super().handleError(record)

    def close(self) -> None:
        with contextlib.suppress(OSError):  # what is still to be written
            super().close()


class _Discreet(logging.Formatter):
    """Hides passwords and tokens, and signs that a terminal would obey: labels and file names may hold some."""

    def format(self, record: logging.LogRecord) -> str:
        return visible(redacted(super().format(record)))


TO_FILE_ONLY = {"file_only": True}  # `extra` of a log call


def _for_the_screen(record: logging.LogRecord) -> bool:
    loud = record.name.startswith("exp") or record.levelno >= logging.WARNING
    return loud and not getattr(record, "file_only", False)


@contextmanager
def logged_to(path: Path, screen: bool = True) -> Iterator[None]:
    """Everything from INFO up into `path`; what exp says, and every warning, to the screen (stderr) as well."""
    file = _TrainLog(path, encoding="utf-8")
    file.setFormatter(_Discreet("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    shown = _BesideBar(sys.stderr)
    shown.setFormatter(_Discreet("%(message)s"))
    shown.addFilter(_for_the_screen)
    # Said whenever bitsandbytes is installed, whether it is used or not.
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    root = logging.getLogger()
    level, handlers = root.level, (file, shown) if screen else (file,)
    root.setLevel(logging.INFO)
    logging.captureWarnings(True)
    for handler in handlers:
        root.addHandler(handler)
    try:
        yield
    finally:
        for handler in handlers:
            root.removeHandler(handler)
            handler.close()
        logging.captureWarnings(False)
        root.setLevel(level)

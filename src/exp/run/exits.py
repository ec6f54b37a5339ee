"""How an entry ends: bad input is one message and code 2, Ctrl-C is code 130, a bug is a traceback."""

from __future__ import annotations

import codecs
import errno
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from exp.errors import ExpError
from exp.run import ranks
from exp.run.secrets import redacted
from exp.run.shape import visible

BAD_INPUT = 2
# What a path that a user gave can run into, by itself.
OF_PATHS = (errno.ENAMETOOLONG, errno.ELOOP, errno.ENOTDIR, errno.EISDIR, errno.EACCES, errno.ENOENT, errno.EROFS)
INTERRUPTED = 130  # 128 + SIGINT, as shells count
PIPE_CLOSED = 141  # 128 + SIGPIPE


# What a terminal without UTF-8 shows of our signs.
ASCII = {
    "±": "+-",
    "–": "-",
    "−": "-",
    "Δ": "d",
    "↑": "^",
    "↓": "v",
    "→": "->",
    "·": "*",
    "…": "...",
    "×": "x",
    "≥": ">=",
    "≤": "<=",
}


def _in_ascii(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)
    return "".join(ASCII.get(sign, "?") for sign in error.object[error.start : error.end]), error.end


codecs.register_error("exp-ascii", _in_ascii)


@contextmanager
def plain_exits() -> Iterator[None]:
    """Around an entry's whole work. What the terminal's encoding lacks is written as ASCII."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="exp-ascii")
    try:
        yield
        sys.stdout.flush()  # where a reader has gone, it is noticed here and not at the end of the process
    except ExpError as error:
        complain(error)
        raise SystemExit(BAD_INPUT) from None
    except BrokenPipeError:  # `exp runs list | head`; Python would flush once more at exit, and complain
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(PIPE_CLOSED) from None
    except OSError as error:
        if error.errno not in OF_PATHS or error.filename is None:
            raise
        complain(ExpError(f"{shortened(str(error.filename))}: {os.strerror(error.errno)}"))
        raise SystemExit(BAD_INPUT) from None
    except RuntimeError as error:
        if "home directory" not in str(error):  # pathlib's words: ~nosuchuser, or a container without HOME
            raise
        complain(ExpError("no home folder is known for the ~ of a path: set HOME, or write the whole path"))
        raise SystemExit(BAD_INPUT) from None
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        raise SystemExit(INTERRUPTED) from None


def complain(error: ExpError) -> None:
    """Prints an error, once for all processes of a run."""
    if ranks.current.get().tells_user(str(error)):
        print(visible(redacted(f"exp: {error}")), file=sys.stderr, flush=True)


def shortened(name: str) -> str:
    return name if len(name) <= 200 else f"{name[:100]}...{name[-20:]} ({len(name)} characters)"

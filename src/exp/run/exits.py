"""How an entry ends: bad input is one message and code 2, Ctrl-C is code 130, a bug is a traceback."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from exp.errors import ExpError
from exp.run import ranks
from exp.run.secrets import redacted

BAD_INPUT = 2
INTERRUPTED = 130  # 128 + SIGINT, as shells count


@contextmanager
def plain_exits() -> Iterator[None]:
    """Around an entry's whole work."""
    try:
        yield
    except ExpError as error:
        complain(error)
        raise SystemExit(BAD_INPUT) from None
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        raise SystemExit(INTERRUPTED) from None
    except BrokenPipeError:  # `exp runs | head`; Python would complain once more while flushing at exit
        sys.stderr.close()
        raise SystemExit(INTERRUPTED) from None


def complain(error: ExpError) -> None:
    """Prints an error, once for all processes of a run."""
    if ranks.current.get().tells_user(str(error)):
        print(redacted(f"exp: {error}"), file=sys.stderr, flush=True)

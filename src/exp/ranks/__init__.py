"""The processes that train one run together: who is the first, what they agree on, and what one's end means.

Light until there are several: one process imports no torch for this, and `current` is then `Alone`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from exp.errors import ExpError
from exp.ranks.alone import Alone, Ranks
from exp.ranks.place import place

BAD_INPUT = 2
current: ContextVar[Ranks] = ContextVar("ranks", default=Alone())  # noqa: B039 (stateless)


@contextmanager
def joined() -> Iterator[Ranks]:
    """Around an entry's whole work: meets the other processes that the launcher started, if it started any.

    Raises ExpError where they cannot meet; that is said once a host.
    """
    where = place(os.environ)
    if where.size == 1:
        yield current.get()
        return
    from exp.ranks.together import Together

    # Broken connections are said once and in our words.
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    try:
        together = Together(where)
    except ExpError:
        if where.local_rank:
            raise SystemExit(BAD_INPUT) from None
        raise
    before = current.set(together)
    try:
        yield together
    finally:
        together.leave()
        current.reset(before)

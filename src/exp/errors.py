"""What a user is told when something they gave cannot work."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class ExpError(ValueError):
    """Bad input. The message names the bad value, where it stands, and the mend.

    The entry prints the message without a traceback and exits with 2; inside a sweep it passes as an
    ordinary exception, so that one trial fails and not the sweep.
    """

    def _render_traceback_(self) -> list[str]:
        """What IPython shows in a notebook in place of a traceback."""
        return [f"exp: {self}"]


def nearest(wrong: str, known: Iterable[str], count: int = 3) -> str:
    """`"; did you mean 'a' or 'b'?"` for the known names nearest to `wrong`, or all of them when few."""
    known = sorted(known)
    close = get_close_matches(wrong, known, n=count, cutoff=0.5)
    if close:
        return "; did you mean " + " or ".join(repr(name) for name in close) + "?"
    if known and len(known) <= 12:
        return "; known: " + ", ".join(known)
    return ""

"""A self-contained HTML page in this project's look: for the report, and for tables beside a paper's numbers."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from html import escape
from importlib.resources import files
from typing import Any

from exp.run.files import finite

# The library of charts compiles its shaders with Function(), hence unsafe-eval. Everything else is closed: no
# address can be loaded, and only scripts with these hashes run, so a name that slips through stays dead text.
POLICY = (
    "default-src 'none'; script-src 'unsafe-eval' {hashes}; style-src 'unsafe-inline'; img-src data: blob:; "
    "media-src data:; base-uri 'none'; form-action 'none'"
)


def page(
    title: str, body: str, *, data: Any = None, scripts: Sequence[str] = (), library: str = "", styles: str = ""
) -> str:
    """`title` is text and is escaped; `body` is HTML and is not: escape what comes from configs.

    `data` (anything JSON knows; NaN becomes null) stands in the element #data, before the `scripts`; `styles` is
    further CSS. `library` is a script that waits as the text of #library until another one appends it. The page
    has this project's style (page.css says which elements and classes it dresses), follows the reader's light
    or dark setting, and makes a button with the attribute data-theme-toggle the switch between them.
    """
    own = (files(__package__) / "page.js").read_text(encoding="utf-8")
    css = (files(__package__) / "page.css").read_text(encoding="utf-8")
    texts = [_inline(text) for text in (own, *scripts)]
    hashes = " ".join(f"'sha256-{_digest(text)}'" for text in (*texts, *([_inline(library)] if library else [])))
    held = "" if data is None else f'<script type="application/json" id="data">{embedded(data)}</script>\n'
    if library:
        held += f'<script type="text/plain" id="library">{_inline(library)}</script>\n'
    run = "\n".join(f"<script>{text}</script>" for text in texts)
    head = f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{escape(POLICY.format(hashes=hashes))}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{escape(title)}</title>
<link rel="icon" href="data:,">
<style>
{css}
{styles}
</style>
</head>
"""
    # A path on disk may hold bytes that are no text; Python carries them as lone surrogates.
    text = f"{head}<body>\n{body}\n{held}{run}\n</body>\n</html>\n"
    return text.encode("utf-8", "replace").decode("utf-8")


def embedded(value: Any) -> str:
    """JSON that cannot leave a script element: `<` would begin `</script>` or `<!--`."""
    text = json.dumps(finite(value), separators=(",", ":"), allow_nan=False, default=str)
    return text.replace("<", "\\u003c")


def _inline(script: str) -> str:
    return script.replace("</script", "<\\/script").replace("<!--", "<\\!--")


def _digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")

"""What W&B shows of a finished run: its pictures and, where asked for, its surest wrong answers."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from exp.tracker.media import pictures, wrong_examples, wrong_media

if TYPE_CHECKING:
    from exp.run.folder import Run

LONGEST = 500  # characters of a cell
HIDDEN = ("item_score", "scores")  # numbers for machines


def media(run: Run, examples: int) -> dict[str, Any]:
    """The pictures of predictions/, and `<split>/wrong`: so many of each split of errors/.

    Images and recordings are shown as such, texts as a page.
    """
    import wandb

    found: dict[str, Any] = {key: wandb.Image(picture) for key, picture in pictures(run).items()}
    for split, rows in wrong_examples(run).items() if examples else ():
        files = wrong_media(run, split, rows[:examples])
        if files:
            found[f"{split}/wrong"] = [_shown(file, words) for file, words in files]
        else:
            # Not a table of W&B's own: those are artifacts, which an offline run keeps outside of its folder.
            found[f"{split}/wrong"] = wandb.Html(_page(rows[:examples]))
    return found


def _shown(file: Path, words: str) -> Any:
    import wandb
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(file) as image:
            return wandb.Image(image.convert("RGB"), caption=words)
    except UnidentifiedImageError:
        import soundfile

        return wandb.Audio(*soundfile.read(file), caption=words)


def _page(rows: Sequence[Mapping[str, Any]]) -> str:
    columns = [name for name in rows[0] if name not in HIDDEN]
    head = "".join(f"<th>{html.escape(name)}</th>" for name in columns)
    body = "".join(f"<tr>{''.join(f'<td>{_cell(row[name])}</td>' for name in columns)}</tr>" for row in rows)
    return f"<table border=1 style='border-collapse:collapse;font:13px sans-serif'><tr>{head}</tr>{body}</table>"


def _cell(value: Any) -> str:
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    return html.escape(text if len(text) <= LONGEST else text[:LONGEST] + " ...")

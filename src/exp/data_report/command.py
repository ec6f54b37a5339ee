"""exp data data=mrpc model=bert_base: what the rows are, and what a model would be shown of them, before any training.

  exp data data=files data.train_file=my.csv task.text_columns=[text] model=minilm_l6
  exp data data=mrpc html=mrpc.html near=true

Takes the words of exp train. No weights are loaded, no folder is made. Tokens are counted on 3,000 rows a split.

  html=FILE    a page besides
  near=true    near duplicates between train and the other splits too (needs the extra evidence)
"""

from __future__ import annotations

import gc
import logging
import sys
from pathlib import Path

from exp.data_report.torch_when_used import load_torch_when_used
from exp.options import arguments
from exp.options.arguments import Option
from exp.run.exits import plain_exits
from exp.run.shape import visible

OWN = arguments.Grammar(
    doc=__doc__,
    options={
        "html": Option("a file for a page", arguments.file),
        "near": Option("true: look for near duplicates", arguments.switch, False),
    },
)


def main() -> None:
    logging.basicConfig(format="%(message)s", level=logging.WARNING, stream=sys.stderr)
    with plain_exits():
        words = sys.argv[1:]
        if {"-h", "--help"} & set(words) or not words:
            print(__doc__.strip())
            return
        own = [word for word in words if word.partition("=")[0].lstrip("-") in OWN.options]
        given = arguments.parse(own, OWN)
        load_torch_when_used()
        look([word for word in words if word not in own], given["html"], given["near"])


def look(words: list[str], html: Path | None, near: bool) -> None:
    """Prints the report, and writes the page."""
    from exp.data_report.report import make
    from exp.data_report.text import body, text

    gc.disable()  # for a few seconds: collecting would only walk over all rows again and again
    try:
        report = make(words, near)
    finally:
        gc.enable()
    print(visible(text(report)))  # rows may hold signs that a terminal would obey
    if html is not None:
        from exp.analysis.report.page import page
        from exp.run.files import write_atomic

        write_atomic(html, page(f"exp data: {report.name}", body(report)))
        print(f"\nwrote {html}")

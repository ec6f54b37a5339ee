"""exp share outputs/2026-11-20/12-00-00 repo_id=me/mrpc-bert

Pushes the model of a finished run to the Hugging Face Hub, with its card and learning curve. hub.push=true does the
same at the end of a training.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from typing import Any

from exp.errors import ExpError
from exp.options import arguments
from exp.options.arguments import Option
from exp.run.exits import plain_exits
from exp.run.links import check_inside
from exp.saved import finished, hub

GRAMMAR = arguments.Grammar(
    doc=__doc__,
    bare="RUN",
    least=1,
    most=1,
    key="run",
    options={
        "repo_id": Option("owner/name on the Hub; made where it does not exist"),
        "private": Option(
            "true (the default) or false: who sees a repository that is made now", arguments.switch, True
        ),
    },
)


def share(place: str, given: Mapping[str, Any]) -> None:
    """Prints the address. Raises ExpError for bad input, before anything is sent."""
    if "repo_id" not in given:
        raise ExpError(f"repo_id is not given; it is {GRAMMAR.options['repo_id'].help}")
    run = finished.find(place)
    check_inside(run.folder / "model")
    print(hub.upload(run.folder, hub.check_target(given["repo_id"]), given.get("private", True)))


def main() -> None:
    logging.basicConfig(format="%(message)s", level=logging.WARNING, stream=sys.stderr)
    with plain_exits():
        given = arguments.parse(sys.argv[1:], GRAMMAR)
        share(given.bare[0], given)


if __name__ == "__main__":
    main()

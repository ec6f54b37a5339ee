"""python -m exp.share run=outputs/2026-11-20/12-00-00 repo_id=me/mrpc-bert

Pushes the model of a finished run to the Hugging Face Hub, with its card and learning curve. hub.push=true does the
same at the end of a training.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping

from exp.config import arguments
from exp.errors import ExpError
from exp.run.exits import plain_exits
from exp.run.links import check_inside
from exp.saved import finished, hub

KEYS = {
    "run": "the run folder",
    "repo_id": "owner/name on the Hub; made where it does not exist",
    "private": "true (the default) or false: who sees a repository that is made now",
}


def share(given: Mapping[str, str]) -> None:
    """Prints the address. Raises ExpError for bad input, before anything is sent."""
    for key in ("run", "repo_id"):
        if key not in given:
            raise ExpError(f"{key} is not given; it is {KEYS[key]}")
    private = arguments.flag("private", given["private"]) if "private" in given else True
    run = finished.find(given["run"])
    check_inside(run.folder / "model")
    print(hub.upload(run.folder, hub.check_target(given["repo_id"]), private))


def main() -> None:
    logging.basicConfig(format="%(message)s", level=logging.WARNING, stream=sys.stderr)
    with plain_exits():
        share(arguments.parse(sys.argv[1:], KEYS, __doc__ or ""))


if __name__ == "__main__":
    main()

"""A tracker that breaks must not end a training."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from exp.run.secrets import redacted

log = logging.getLogger(__name__)


class Guard:
    """Swallows what goes wrong inside `with guard("logging"):` and says so once a run."""

    def __init__(self, service: str) -> None:
        self.service = service
        self.said = False

    @contextmanager
    def __call__(self, doing: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # whatever a foreign service raises; Ctrl-C passes
            if not self.said:
                log.warning(
                    "%s failed while %s (%s: %s); the run goes on and metrics.jsonl keeps every number",
                    self.service,
                    doing,
                    type(error).__name__,
                    redacted(str(error).strip()) or "no message",
                )
            self.said = True

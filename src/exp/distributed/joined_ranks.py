"""Several processes: they meet in the store that their launcher keeps (torch.distributed), before Hydra acts."""

from __future__ import annotations

import json
import math
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from exp.distributed.heartbeat import HeartbeatMonitor
from exp.errors import ExpError
from exp.run.place import Place, place
from exp.run.ranks import BAD_INPUT, Ranks, current

if TYPE_CHECKING:
    from torch.distributed import Store

JOIN_SECONDS = 120.0  # until all have come; importing from a slow network disk takes most of it
TELL_SECONDS = 5.0
POLL = 0.02  # seconds between two looks at the store


class JoinedRanks:
    """Ranks of several processes. The store holds what they agreed on, how each ended, and their heartbeats."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.join_seconds = float(os.environ.get("EXP_JOIN_SECONDS", JOIN_SECONDS))
        self.store = _store(place, self.join_seconds)
        self.heartbeat = HeartbeatMonitor(self.store, place)
        self.user_told = False
        self.asked: Counter[tuple[str, str]] = Counter()

    def decide(self, name: str, ask: Callable[[], Any]) -> Any:
        key = self._key("decided", name)
        if self.place.first:
            answer = ask()
            self.store.set(key, json.dumps(answer))
            return answer
        return json.loads(self._wait_for(key, 0))

    def collect(self, name: str, value: Any) -> list[Any]:
        key = self._key("collected", name)
        self.store.set(f"{key}/{self.place.rank}", json.dumps(value, default=str))
        if not self.place.first:
            return []
        return [json.loads(self._wait_for(f"{key}/{rank}", rank)) for rank in range(self.place.size)]

    def tells_user(self, message: str) -> bool:
        self.heartbeat.publish(message)
        if self.place.first:
            self.user_told = True
            with suppress(RuntimeError):
                self.store.set("told", "1")
            return True
        end = time.monotonic() + TELL_SECONDS  # the first process tells the user; if it has ended, another one must
        try:
            while time.monotonic() < end:
                if self._has("told"):
                    self.store.add("heard", 1)
                    return False
                time.sleep(POLL)
        except ExpError:  # the store belonged to the first process and ended with it
            return self.place.local_rank == 0
        return self.is_first_to("teller")

    @contextmanager
    def first_on_host(self, name: str) -> Iterator[None]:
        key = self._key("passed", f"{name}/{os.uname().nodename}")
        if self.place.local_rank == 0:
            yield
            self.store.set(key, "1")
        else:
            # Wait without a limit: the heartbeats tell whether the other process lives.
            self._wait_for(key, 0, patient=True)
            yield

    def leave(self) -> None:
        end = time.monotonic() + TELL_SECONDS / 2
        # The store may end with this process. So wait until the others know that the user was told.
        with suppress(RuntimeError):
            while self.user_told and time.monotonic() < end and self.store.add("heard", 0) < self.place.size - 1:
                time.sleep(POLL)
        self.heartbeat.stop()

    def _key(self, kind: str, name: str) -> str:
        """A new key for each call. All processes call in the same order and get the same keys."""
        self.asked[kind, name] += 1
        return f"{kind}/{name}/{self.asked[kind, name]}"

    def _wait_for(self, key: str, rank: int, patient: bool = False) -> str:
        """The value that process `rank` writes under `key`. Raises ExpError if it does not come."""
        end = time.monotonic() + (math.inf if patient else self.join_seconds)
        while not self._has(key):
            failure = self.heartbeat.failure()
            if failure is not None:
                raise ExpError(failure)
            if time.monotonic() > end:
                raise ExpError(
                    f"process {rank} of {self.place.size} has not come within {self.join_seconds:g} s; see its output"
                )
            time.sleep(POLL)
        return self.store.get(key).decode()

    def _has(self, key: str) -> bool:
        try:
            return self.store.check([key])
        except RuntimeError:
            raise ExpError("the launcher that holds the processes together is gone") from None

    def is_first_to(self, name: str) -> bool:
        try:
            return self.store.add(name, 1) == 1
        except RuntimeError:
            return False


def _store(place: Place, seconds: float) -> Store:
    """Raises ExpError if nobody answers, or if the port is taken."""
    from torch.distributed import DistError, PrefixStore, rendezvous

    address = f"{os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']}"
    try:
        store, _, _ = next(rendezvous("env://", timeout=timedelta(seconds=seconds)))
    except (DistError, RuntimeError, ValueError) as error:
        told = str(error)
        if "address already in use" in told or "EADDRINUSE" in told:
            raise ExpError(
                f"port {os.environ['MASTER_PORT']} (MASTER_PORT) is taken by another program: choose another one, "
                f"with torchrun: --standalone, or --master-port"
            ) from None
        if place.first:
            raise ExpError(
                f"no rendezvous: process 0 of {place.size} waited at {address} and the others have not come within "
                f"{seconds:g} s: start each with the same MASTER_ADDR, MASTER_PORT and WORLD_SIZE and a RANK of its own"
            ) from None
        raise ExpError(
            f"no rendezvous: process {place.rank} of {place.size} found nobody at {address} within {seconds:g} s "
            f"(MASTER_ADDR, MASTER_PORT). The first process has to run there, and the network has to let it through"
        ) from None
    restart = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
    return PrefixStore(f"exp/{restart}", store)


@contextmanager
def joined() -> Iterator[Ranks]:
    """Around an entry's whole work: meets the other processes that the launcher started, if it started any.

    Raises ExpError where they cannot meet; one process a host says so.
    """
    where = place(os.environ)
    if where.size == 1:
        yield current.get()
        return
    # Broken connections are said once and in our words.
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    try:
        together = JoinedRanks(where)
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

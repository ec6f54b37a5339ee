"""Contenders side by side, each in a process of its own, that take turns of a few steps: A B C, A B C.

A drift of the machine meets all of them, and what one does to its process (memory, threads) does not touch another.
Each turn gives seconds a step, and at the end each process its peak memory.

The child is `python -m benchmarks.turns <JSON>`; it answers every line on its standard input with one turn.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass


@dataclass
class Contender:
    name: str
    process: subprocess.Popen[str]

    @classmethod
    def start(cls, name: str, words: Sequence[str], steps: int, chunk: int) -> Contender:
        given = json.dumps({"name": name, "words": list(words), "steps": steps, "chunk": chunk})
        process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", "benchmarks.turns", given],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=None if os.environ.get("BENCHMARK_VERBOSE") else subprocess.DEVNULL,
            text=True,
        )
        return cls(name, process)

    def turn(self) -> dict[str, float]:
        """Seconds of one turn, and the peak memory so far in bytes."""
        self.begin()
        if (told := self.ended()) is not None:
            return told
        raise SystemExit(f"{self.name} ended early; BENCHMARK_VERBOSE=1 shows why")

    def begin(self) -> None:
        """Asks for a turn whose answer `ended` reads: several contenders may load side by side."""
        assert self.process.stdin is not None
        self.process.stdin.write("go\n")
        self.process.stdin.flush()

    def ended(self) -> dict[str, float] | None:
        """None where the contender ended early."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith("turn "):
                return json.loads(line[5:])
        return None

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()


def take_turns(
    names: Sequence[str], words: Sequence[str], chunk: int, rounds: int
) -> tuple[dict[str, list[float]], dict[str, float]]:
    """Seconds a turn of `chunk` steps by contender, one turn a round, and peak memory in bytes.

    The first turn of each is warm-up and does not count.
    """
    seconds: dict[str, list[float]] = {name: [] for name in names}
    peaks: dict[str, float] = {}
    running: list[Contender] = []
    try:
        for name in names:  # one after the other: what they load is loaded in peace
            running.append(Contender.start(name, words, chunk * (rounds + 2), chunk))
            running[-1].turn()
        for _ in range(rounds):
            for contender in running:
                told = contender.turn()
                seconds[contender.name].append(told["seconds"])
                peaks[contender.name] = told["peak"]
            print(".", end="", file=sys.stderr, flush=True)
    finally:
        for contender in running:
            contender.stop()
    print(file=sys.stderr)
    return seconds, peaks


def waves(
    asked: Sequence[tuple[Sequence[str], Sequence[str]]], chunk: int, rounds: int, at_once: int = 2
) -> Iterator[tuple[dict[str, list[float]], dict[str, float]]]:
    """As `take_turns` for several (names, words), on a machine of many cores: the contenders of `at_once` of them load
    and warm up side by side, then take turns alone. A contender that ends early is told of and left out."""
    for start in range(0, len(asked), at_once):
        wave = asked[start : start + at_once]
        steps = chunk * (rounds + 3)
        running = [[Contender.start(name, words, steps, chunk) for name in names] for names, words in wave]
        try:
            for _ in range(2):  # the second turn is warm-up too: compilers meet more shapes
                for contender in (one for some in running for one in some):
                    contender.begin()
                running = [[one for one in some if _answers(one)] for some in running]
            for some in running:
                seconds: dict[str, list[float]] = {one.name: [] for one in some}
                peaks: dict[str, float] = {}
                for _ in range(rounds):
                    for one in some:
                        told = one.turn()
                        seconds[one.name].append(told["seconds"])
                        peaks[one.name] = told["peak"]
                yield seconds, peaks
        finally:
            for contender in (one for some in running for one in some):
                contender.stop()


def _answers(contender: Contender) -> bool:
    found = contender.ended() is not None
    if not found:
        print(f"{contender.name} ended early; BENCHMARK_VERBOSE=1 shows why", file=sys.stderr, flush=True)
        contender.stop()
    return found


def child(given: str) -> None:
    from benchmarks.contenders import CONTENDERS

    asked = json.loads(given)
    begun = 0.0

    def wait_for_turn() -> None:
        nonlocal begun
        if not sys.stdin.readline():
            os._exit(0)
        begun = time.perf_counter()

    def turn() -> None:
        import torch

        if torch.cuda.is_available():
            torch.cuda.synchronize()
            peak = torch.cuda.max_memory_allocated()
        else:
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        print("turn " + json.dumps({"seconds": time.perf_counter() - begun, "peak": peak}), flush=True)
        wait_for_turn()

    wait_for_turn()
    CONTENDERS[asked["name"]](asked["words"], asked["steps"], asked["chunk"], turn)


if __name__ == "__main__":
    child(sys.argv[1])

"""Which run a command goes on with: `resume=<run folder or checkpoint>`, `resume=auto`; and `repeat=<run>`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from exp.config.command_line import Command, value_of
from exp.config.compose import compose, plain
from exp.config.grammar import quoted
from exp.errors import ExpError
from exp.options.confdir import groups
from exp.run import ranks
from exp.run.continuation import FREE, interrupted_run
from exp.training.claim import TIME, written_dir

AUTO = "auto"


def resumed(command: Command) -> Command:
    """`resume=<run or checkpoint>` takes the saved config and the run's folder, `repeat=<run>` the config alone."""
    resume, repeat = value_of(command.words, "resume"), value_of(command.words, "repeat")
    if repeat is not None:
        words = tuple(word for word in command.words if not word.startswith("repeat="))
        return replace(command, words=words, saved=run_folder_of(repeat, "repeat"))
    if resume is None:
        return command
    if command.multirun:
        raise ExpError(
            f"resume={resume} goes on with one run: leave --multirun out. A sweep with hydra/sweeper=study goes on by "
            f"itself when the same command is given again"
        )
    if resume == AUTO:
        # One process looks: a moment later the run counts as running.
        found = ranks.current.get().decide("resume", lambda: str(_newest_interrupted(command) or ""))
        if not found:
            return command
        free = tuple(_again(word) for word in command.words if _changes_no_number(word))
        return replace(command, words=(f"resume={quoted(Path(found))}", *free), saved=Path(found), goes_on=True)
    folder = run_folder_of(resume, "resume")
    for word in command.words:
        key = word.partition("=")[0].lstrip("+~")
        if "=" in word and key in groups():
            raise ExpError(
                f"{word} cannot change a run that goes on: {folder} keeps the parts it was started with. "
                f"Leave it out, or start a new run without resume"
            )
        if key.startswith("hydra.run"):
            raise ExpError(f"{word}: a run that goes on stays in its folder, {folder}; leave it out")
    words = (
        f"resume={quoted(Path(resume).expanduser().resolve())}",
        *(word for word in command.words if not word.startswith("resume=")),
    )
    return replace(command, words=words, saved=folder, goes_on=True)


def _newest_interrupted(command: Command) -> Path | None:
    """The newest run below outputs/ that the command would repeat and that was stopped before its end."""
    cfg = compose(command.words, config_dir=command.config_dir)
    root = Path(written_dir(cfg, "run").partition(TIME)[0])
    found = interrupted_run(plain(cfg), root) if root.is_dir() else None
    return found.resolve() if found else None


def _changes_no_number(word: str) -> bool:
    """What the run that was found does not say itself: the other words made its condition, so its config holds them."""
    key = word.partition("=")[0].lstrip("+")
    return key.partition(".")[0] in FREE and key != "resume" and key not in groups() and not word.startswith("~")


def _again(word: str) -> str:
    """A key that was added with + stands in the saved config already."""
    return f"++{word.lstrip('+')}" if word.startswith("+") else word


def run_folder_of(given: str, word: str) -> Path:
    """The run folder that `given` is or lies in (a checkpoint), absolute.

    Args:
        given: What the user wrote.
        word: Of which override, for messages.

    Raises:
        ExpError: There is no such folder, or it is no part of a run.
    """
    try:
        path = Path(given).expanduser().resolve()
        there = path.exists()
    except (OSError, RuntimeError, ValueError) as error:  # ~nosuchuser, a name that is too long, a loop of links
        raise ExpError(f"{word}={given}: cannot be looked at: {error}") from None
    if not there:
        raise ExpError(f"{word}={given}: no such folder; give a run folder (it holds run.json) or a checkpoint in one")
    for folder in (path, *path.parents[:2]):
        if (folder / "run.json").exists() and (folder / ".hydra" / "config.yaml").exists():
            return folder
    if (path / ".hydra").is_dir():
        raise ExpError(
            f"{word}={given}: the run was ended before it wrote run.json, so there is nothing to go on with; start it "
            f"again by its own command (hydra.run.dir={path} may stay as it is)"
        )
    raise ExpError(f"{word}={given}: neither a run folder nor a checkpoint in one (no run.json beside .hydra there)")

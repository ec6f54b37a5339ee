"""The promises as pytest classes: subclass one, say which part, and pytest runs them all.

from exp.testing import PartSuite

class TestLion(PartSuite):
    words = ("optimizer=lion",)
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import pytest

from exp.testing import promises, trackers
from exp.tracker.base import Tracker


class OptionSuite:
    """What a config alone shows of any option."""

    words: ClassVar[Sequence[str]]

    def test_its_yaml_is_accepted(self) -> None:
        """The option is made from its YAML and trusted; what other groups need is in `words` too."""
        from exp.config.compose import compose
        from exp.training.launch import check_config

        check_config(compose([*self.words]))


class PartSuite(OptionSuite):
    """For an optimizer, scheduler, loss, data, model or task."""

    def test_both_loops_equal_a_plain_loop(self, tmp_path: Path) -> None:
        promises.both_loops_equal_a_plain_loop(tmp_path, self.words)

    @pytest.mark.parametrize("loop", promises.LOOPS)
    def test_accumulation_changes_no_loss(self, loop: str, tmp_path: Path) -> None:
        promises.accumulation_changes_no_loss(tmp_path, self.words, loop)

    @pytest.mark.parametrize("loop", promises.LOOPS)
    def test_a_run_that_was_cut_ends_as_one_that_never_was(self, loop: str, tmp_path: Path) -> None:
        promises.a_run_that_was_cut_ends_as_one_that_never_was(tmp_path, self.words, loop)

    def test_the_saved_model_gives_the_recorded_numbers(self, tmp_path: Path) -> None:
        promises.the_saved_model_gives_the_recorded_numbers(tmp_path, self.words)


class AdapterSuite(OptionSuite):
    """For an adapter, over which a plain loop knows nothing."""

    def test_both_loops_agree(self, tmp_path: Path) -> None:
        promises.both_loops_agree(tmp_path, self.words)

    def test_a_run_that_was_cut_ends_as_one_that_never_was(self, tmp_path: Path) -> None:
        promises.a_run_that_was_cut_ends_as_one_that_never_was(tmp_path, self.words)


class TrackerSuite:
    """For a tracker; `make` gives a new one."""

    def make(self) -> Tracker:
        raise NotImplementedError

    @pytest.mark.parametrize("status", trackers.ENDS)
    def test_a_whole_life(self, status: str, tmp_path: Path) -> None:
        trackers.a_whole_life(self.make, tmp_path, status)

    def test_a_run_without_a_number(self, tmp_path: Path) -> None:
        trackers.a_run_without_a_number(self.make, tmp_path)

    def test_the_numbers_given_are_not_changed(self, tmp_path: Path) -> None:
        trackers.the_numbers_given_are_not_changed(self.make, tmp_path)

    def test_one_run_after_another(self, tmp_path: Path) -> None:
        trackers.one_run_after_another(self.make, tmp_path)

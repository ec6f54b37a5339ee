"""The runs of exp.testing, under the name that the tests of this repository know."""

from exp.testing.loops import SMALL, Recorder, config_of, parts_of, plain_evaluation, plain_loop, run_loop

__all__ = ["SMALL", "Recorder", "config_of", "parts_of", "plain_evaluation", "plain_loop", "run_loop"]

"""The parts keep exp's promises: loops agree, a cut run ends as a whole one, the saved model repeats its numbers."""

from myproject.metrics import cost

from exp.testing import PartSuite


class TestBaseline(PartSuite):
    words = ("experiment=baseline",)  # all parts at once; one alone: ("optimizer=lion",)


def test_cost_is_the_mean_price() -> None:
    assert cost([0, 1, 2, 0], [0, 0, 1, 0]) == (5 + 2) / 4

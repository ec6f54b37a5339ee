"""Which tokens of a text a masked language model has to find: the 15%, 80/10/10 rule of BERT (Devlin et al. 2019)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from exp.data.collate import IGNORED
from exp.data.features import FeatureSet

_MASKED, _RANDOM = 0.8, 0.1  # of the chosen tokens; the rest stay as they are


@dataclass(frozen=True)
class Masker:
    probability: float  # share of the tokens (or words) of a row that are chosen
    whole_words: bool
    mask_id: int
    ordinary: NDArray[np.int64]  # ids that may stand in for a token: the vocabulary without special tokens

    def chosen(self, words: NDArray[np.int32], dice: np.random.Generator) -> NDArray[np.int64]:
        """Places to predict: the rounded share of all that can be, at least one, as BERT's own data maker has it.

        Args:
            words: [tokens] the word of each token; -1 for special tokens, which are never chosen.
        """
        places = np.flatnonzero(words >= 0)
        if not self.whole_words:
            return np.sort(dice.permutation(places)[: self._count(len(places))])
        # A word's tokens stand together; in a block of several texts neighbours may have the same number.
        begins = np.flatnonzero(np.diff(words[places], prepend=-1) != 0)
        groups = np.split(places, begins[1:]) if len(begins) else []
        wanted = self._count(len(places))
        found: list[int] = []
        for number in dice.permutation(len(groups)):
            if len(found) + len(groups[number]) <= wanted or not found:
                found += groups[number].tolist()
            if len(found) >= wanted:
                break
        return np.sort(np.asarray(found, np.int64))

    def masked(
        self, ids: NDArray[np.int32], words: NDArray[np.int32], dice: np.random.Generator
    ) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """What the model is shown, and the labels: the ids where a token was chosen, else IGNORED."""
        places = self.chosen(words, dice)
        labels = np.full(len(ids), IGNORED, np.int32)
        labels[places] = ids[places]
        shown, draws = ids.copy(), dice.random(len(places))
        shown[places[draws < _MASKED]] = self.mask_id
        random = places[(draws >= _MASKED) & (draws < _MASKED + _RANDOM)]
        shown[random] = self.ordinary[dice.integers(len(self.ordinary), size=len(random))]
        return shown, labels

    def _count(self, places: int) -> int:
        return min(places, max(1, round(self.probability * places)))


class MaskedFeatures(FeatureSet):
    """Rows that are masked when they are asked for.

    The draws of a row depend on a seed, the epoch and the row alone: in training they are new in every epoch, and a run
    that goes on draws the same. Before the first epoch, and so in every evaluation, they are those of `fixed_seed`.
    """

    def __init__(self, plain: FeatureSet, masker: Masker, fixed_seed: int) -> None:
        super().__init__(plain.fields, plain.targets, plain.kept, plain.example)
        self.masker = masker
        self.seed: tuple[int, ...] = (fixed_seed,)

    def begin_epoch(self, epoch: int, seed: int) -> None:
        self.seed = (seed, epoch)

    def __getitem__(self, row: int) -> dict[str, Any]:
        item = super().__getitem__(row)
        row %= len(self)
        dice = np.random.default_rng((*self.seed, row))
        shown, labels = self.masker.masked(self.fields["input_ids"][row], self.kept["word"][row], dice)
        return {**item, "input_ids": shown.tolist(), "labels": labels.tolist()}

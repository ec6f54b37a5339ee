"""What all generated data sets share: three sizes, a seed, and how their rows become a source."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Annotated, Any, ClassVar

from annotated_types import Ge

from exp.data.base import RawData, Sampled
from exp.data.rows import Rows
from exp.errors import ExpError


@dataclass(frozen=True)
class Generated(Sampled):
    """Rows that a seed decides, the same on every machine."""

    name: ClassVar[str]
    most: ClassVar[int] = 200_000  # rows in all, below the number of different ones

    train_size: Annotated[int, Ge(1)]
    eval_size: Annotated[int, Ge(2)]  # what guessing gives for generated text asks for another row
    test_size: Annotated[int, Ge(2)]
    generator_seed: Annotated[int, Ge(0)]

    def __post_init__(self) -> None:
        if sum(self.sizes) > self.most:
            raise ExpError(f"data.train_size={self.train_size}: the three sizes together can be at most {self.most:,}")

    @property
    def sizes(self) -> tuple[int, int, int]:
        """Rows of the train, evaluation and test split."""
        return self.train_size, self.eval_size, self.test_size

    @property
    @abstractmethod
    def roles(self) -> dict[str, Any]:
        """As `RawData.roles`."""

    @abstractmethod
    def draw(self) -> tuple[Rows, Rows, Rows]:
        """The train, evaluation and test split, of `sizes` rows."""

    def read(self) -> RawData:
        train, evaluation, test = _drawn(replace(self, max_train_samples=None, max_eval_samples=None))
        return RawData(
            name=self.name,
            train=train,
            evals={"": evaluation},
            tests={"": test},
            roles=self.roles,
            max_train_samples=self.max_train_samples,
            max_eval_samples=self.max_eval_samples,
        )


@lru_cache(maxsize=2)
def _drawn(source: Generated) -> tuple[Rows, Rows, Rows]:
    """Once a process for one seed and size: trials of a sweep differ in how many of the rows they take."""
    return source.draw()

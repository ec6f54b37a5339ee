"""What language models answer: how likely each example's tokens were, kept as sums and never as logits."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from exp.data.examples import Examples
from exp.metrics import names as metric_names
from exp.task.base import Answers, Floors, Untuned, named_inputs
from exp.task.pictures import Picture

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    import torch

    from exp.data.features import FeatureSet
    from exp.metrics.sums import Additive

RESERVED = ("id", "nll", "tokens", "correct", "words", "bytes", "prompt", "generated")
_VALUES = 1 << 24  # logits that are turned to log probabilities at once: 64 MB


def token_sums(logits: torch.Tensor, labels: torch.Tensor, ends: Any) -> dict[str, Any]:
    """Of one row, over each of its segments.

    Args:
        logits: [tokens, vocabulary], each for the label at the same place.
        labels: [tokens], -100 where nothing is predicted.
        ends: of the segments, see exp.task.blocks.

    Returns:
        `nll` in nats, `tokens` that were predicted, and `correct` ones among them, each [segments].
    """
    import numpy as np
    import torch

    from exp.task.blocks import sums

    places = (labels >= 0).nonzero()[:, 0]
    nll, hits, counted = (np.zeros(len(labels)) for _ in range(3))
    size = max(1, _VALUES // logits.shape[-1])
    for part in places.split(size):
        chosen, wanted = logits[part].float(), labels[part]
        where = part.cpu().numpy()
        nll[where] = torch.nn.functional.cross_entropy(chosen, wanted, reduction="none").cpu().numpy()
        hits[where] = (chosen.argmax(-1) == wanted).cpu().numpy()
        counted[where] = 1
    return {"nll": sums(nll, ends), "tokens": sums(counted, ends), "correct": sums(hits, ends)}


@dataclass(frozen=True)
class LikelihoodReading(Untuned):
    """`kind`: next_tokens or masked_tokens, in the words of exp.metrics."""

    kind: str
    metrics: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        return metric_names.produced(self.metrics, self.kind)

    def decode(self, answers: Answers, features: FeatureSet, examples: Examples) -> pa.Table:
        """One row an example, although a block holds several and a long example lies in several blocks.

        nll: sum over the example's tokens, in nats; tokens, correct: how many were predicted, and rightly; words,
        bytes: of the text that they spell; prompt, generated: how the model went on, where it was asked to. Null
        where there is nothing to measure.
        """
        import numpy as np
        import pyarrow as pa

        names = ("nll", "tokens", "correct") if "nll" in answers else ()
        found = {name: np.zeros(len(examples)) for name in (*names, "words", "bytes")}
        texts: dict[str, list[str | None]] = {name: [None] * len(examples) for name in ("prompt", "generated")}
        for row in range(len(features)):
            owners = features.kept["of"][row]
            for name in names:
                np.add.at(found[name], owners, answers[name][row])
            for name in ("words", "bytes"):
                np.add.at(found[name], owners, features.kept[name][row])
            if answers["generated"][row] is not None:
                owner = int(features.kept["prompt_of"][row][0])
                texts["prompt"][owner], texts["generated"][owner] = answers["generated"][row]
        nothing = [None] * len(examples)
        columns: dict[str, Any] = {
            "id": [str(one) for one in examples.ids],
            "nll": pa.array(found.get("nll", nothing), pa.float64()),
            **{
                name: pa.array(found[name].astype("int64") if name in found else nothing, pa.int64())
                for name in ("tokens", "correct", "words", "bytes")
            },
            **{name: pa.array(cells, pa.string()) for name, cells in texts.items()},
        }
        return pa.table(columns | named_inputs(examples.inputs, RESERVED))

    def score(self, table: pa.Table) -> dict[str, float]:
        from exp import metrics

        return metrics.compute(self.metrics, self.kind, *_sums(table))

    def additive(self, table: pa.Table, metric: str) -> Additive | None:
        from exp.metrics.additive import additive

        return additive(metric, self.kind, *_sums(table))

    def item_scores(self, table: pa.Table) -> np.ndarray:
        """The mean log likelihood of each example's tokens; 0.0 where it has none."""
        import numpy as np

        nll, tokens = (table[name].to_numpy().astype(float) for name in ("nll", "tokens"))
        return -nll / np.maximum(tokens, 1)

    def chance(self, examples: Examples) -> Floors:
        """What guessing gives depends on the tokenizer, which this half does not know."""
        return Floors(None, {})

    def pictures(self, table: pa.Table) -> list[Picture]:
        return []

    def summary(self, table: pa.Table) -> str:
        import numpy as np

        tokens = sum(table["tokens"].to_pylist()) if table["nll"].null_count == 0 else 0
        if not tokens:
            return f"{len(table) - table['generated'].null_count} continued, none measured"
        return f"perplexity {np.exp(sum(table['nll'].to_pylist()) / tokens):.4f} over {tokens:,} tokens"

    def said(self, row: Mapping[str, Any]) -> str:
        return row["generated"].strip() or "(nothing)"

    def flat(self, table: pa.Table) -> tuple[list[str], list[list[Any]]]:
        """Chats become JSON; every row has its perplexity besides."""
        import numpy as np

        measured = table["nll"].null_count == 0
        each = np.exp(-self.item_scores(table)).tolist() if measured else [None] * len(table)
        header = [*table.column_names[:2], "perplexity", *table.column_names[2:]]
        rows = [
            [cells[0], cells[1], perplexity, *cells[2:]]
            for cells, perplexity in zip(map(_flat_cells, table.to_pylist()), each, strict=True)
        ]
        return header, rows


def _sums(table: pa.Table) -> tuple[np.ndarray, np.ndarray]:
    """Predictions and references, as exp.metrics.likelihood has them."""
    import numpy as np

    sums = {name: table[name].to_numpy() for name in ("nll", "correct", "tokens", "words", "bytes")}
    predictions = np.stack([sums["nll"], sums["correct"]], axis=1)
    return predictions, np.stack([sums["tokens"], sums["words"], sums["bytes"]], axis=1)


def _flat_cells(row: Mapping[str, Any]) -> Sequence[Any]:
    return [json.dumps(cell, ensure_ascii=False) if isinstance(cell, list) else cell for cell in row.values()]

"""Questions with long contexts: windows that a model can read, and the best spans of each window."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from exp.data.collate import Collator
from exp.data.features import EncodedRows, Ragged
from exp.errors import ExpError
from exp.task import tokens
from exp.task.forward import surely_all
from exp.task.terms import Term

if TYPE_CHECKING:
    from torch import Tensor

    from exp.task.gold import Gold

POSITIONS = ("start_positions", "end_positions")  # a model's arguments; one token each


@dataclass(frozen=True)
class Windows:
    """`lost`: examples with an answer that no window holds as a whole."""

    made: EncodedRows
    lost: list[int]


def windows(
    tokenizer: Any,
    questions: Sequence[str],
    contexts: Sequence[str],
    gold: Sequence[Gold] | None,
    names: Sequence[Any],
    max_length: int,
    stride: int,
) -> Windows:
    """Every question with its context, in as many windows of `max_length` tokens as that takes.

    Two windows share `stride` tokens. The label of a window is the first gold answer where the window holds it as a
    whole, else its [CLS] token twice, as in BERT (Devlin et al. 2019). `kept`: where in the context each of a window's
    context tokens `begins` and `ends` (characters), and at which token of the window they begin, and [CLS] is
    (`places`).

    Raises:
        ExpError: a question leaves no room for its context; it is named by its one of `names`.
    """
    fields: dict[str, list[Any]] = {name: [] for name in ("input_ids", "token_type_ids", *POSITIONS)}
    kept: dict[str, list[Any]] = {name: [] for name in ("begins", "ends", "places")}
    example: list[int] = []
    held: set[int] = set()
    for start in range(0, len(questions), tokens.BATCH):
        asked, texts = (list(column[start : start + tokens.BATCH]) for column in (questions, contexts))
        _check_room(tokenizer, asked, texts, names[start : start + tokens.BATCH], max_length, stride)
        batch = tokenizer(
            asked,
            texts,
            truncation="only_second",
            max_length=max_length,
            stride=stride,
            return_overflowing_tokens=True,
            return_offsets_mapping=True,
            padding=False,
            return_attention_mask=False,
        )
        for window, owner in enumerate(batch["overflow_to_sample_mapping"]):
            ids, parts = batch["input_ids"][window], batch.sequence_ids(window)
            first = parts.index(1) if 1 in parts else len(parts)
            last = len(parts) - parts[::-1].index(1) if 1 in parts else first
            spans = np.asarray(batch["offset_mapping"][window][first:last], np.int32).reshape(-1, 2)
            cls = ids.index(tokenizer.cls_token_id) if tokenizer.cls_token_id in ids else 0
            row = start + owner
            example.append(row)
            fields["input_ids"].append(np.asarray(ids, np.int32))
            if "token_type_ids" in batch:
                fields["token_type_ids"].append(np.asarray(batch["token_type_ids"][window], np.int8))
            kept["begins"].append(spans[:, 0])
            kept["ends"].append(spans[:, 1])
            kept["places"].append(np.asarray([first, cls], np.int32))
            if gold is None:
                continue
            found = _span(gold[row], spans)
            if found is not None:
                held.add(row)
            at = (cls, cls) if found is None else (first + found[0], first + found[1])
            for name, place in zip(POSITIONS, at, strict=True):
                fields[name].append(np.asarray([place], np.int32))
    tokens.without_length_options(tokenizer)
    made = EncodedRows(_ragged(fields), _ragged(kept), np.asarray(example, np.int64))
    return Windows(made, [row for row, one in enumerate(gold or ()) if one.texts and row not in held])


def _check_room(
    tokenizer: Any, questions: list[str], contexts: list[str], names: Sequence[Any], max_length: int, stride: int
) -> None:
    """The tokenizer panics where a further window has no room for new tokens."""

    def count(text: str) -> int:
        return len(tokenizer(text, add_special_tokens=False)["input_ids"])

    room = max_length - tokenizer.num_special_tokens_to_add(pair=True)
    asked = [len(ids) for ids in tokenizer(questions, add_special_tokens=False)["input_ids"]]
    for row, taken in enumerate(asked):
        left = room - taken
        if left <= stride and (left <= 0 or count(contexts[row]) > left):
            raise ExpError(
                f"the question with the id {names[row]} has {taken} tokens and leaves {max(left, 0)} of "
                f"task.max_length={max_length} for a window of its context, no more than the task.doc_stride={stride} "
                f"that windows share; raise the one or lower the other"
            )


def _span(gold: Gold, spans: np.ndarray) -> tuple[int, int] | None:
    """First and last of the window's context tokens that cover the first answer; None where it holds none as a whole.

    spans: [context tokens, 2], first character and the one behind the last.
    """
    if not gold.texts or not len(spans):
        return None
    begin, end = gold.starts[0], gold.starts[0] + len(gold.texts[0])
    if spans[0, 0] > begin or spans[-1, 1] < end:
        return None
    first = int(np.searchsorted(spans[:, 0], begin, side="right")) - 1
    last = int(np.searchsorted(spans[:, 1], end, side="left"))
    return first, max(first, last)


def _ragged(columns: Mapping[str, list[Any]]) -> dict[str, Ragged]:
    return {name: Ragged.of(rows, rows[0].dtype) for name, rows in columns.items() if rows}


def without(made: EncodedRows, examples: Sequence[int]) -> EncodedRows:
    """All windows but those of `examples`."""
    assert made.example is not None
    rows = np.flatnonzero(~np.isin(made.example, np.asarray(examples, np.int64)))

    def taken(group: dict[str, Ragged]) -> dict[str, Ragged]:
        return {name: Ragged.of([one[row] for row in rows.tolist()], one.values.dtype) for name, one in group.items()}

    return EncodedRows(taken(made.fields), taken(made.kept), made.example[rows])


class SpanCollator(Collator):
    """Positions are counted in the padded row."""

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, Tensor]:
        import torch

        batch = super().__call__(rows)
        longest = batch["input_ids"].shape[1]
        for name in POSITIONS:
            if name in rows[0]:
                moved = [row[name][0] + (longest - len(row["input_ids"]) if self.left else 0) for row in rows]
                batch[name] = torch.tensor(moved)
        return batch


def without_padding(batch: Mapping[str, Any], output: Any) -> Any:
    """Padding cannot be an answer, and takes no part in the loss.

    transformers has it in the softmax, so that a row's loss there depends on the longest row beside it. Where no row is
    padded the numbers are the same.
    """
    from torch.nn.functional import cross_entropy

    mask = batch["attention_mask"].bool()
    if surely_all(mask):
        return output
    # fp16 holds it, and e^-1e4 is 0 beside any logit
    start, end = (one.masked_fill(~mask, -1e4) for one in (output.start_logits, output.end_logits))
    if output.loss is not None:
        first, last = (batch[name] for name in POSITIONS)
        output.loss = (cross_entropy(start, first) + cross_entropy(end, last)) / 2
    output.start_logits, output.end_logits = start, end
    return output


def span_terms(batch: Mapping[str, Any], output: Any) -> list[Term]:
    """Where an answer begins, and where it ends (exp.task.terms)."""
    real = batch["attention_mask"].bool()
    pairs = zip((output.start_logits, output.end_logits), POSITIONS, strict=True)
    return [Term("class", logits.float(), batch[name], real) for logits, name in pairs]


@dataclass(frozen=True)
class BestSpans:
    """The best spans of each window, in characters of the context; the best first."""

    begins: list[Any]  # [spans] int32 a window
    ends: list[Any]
    scores: list[Any]  # [spans] float32: sum of the start's and the end's logit
    nulls: list[float]  # score of "no answer": the sum at [CLS]


def best_spans(
    output: Any,
    mask: Tensor,
    kept: Mapping[str, Ragged],
    rows: Sequence[int],
    n_best: int,
    max_tokens: int,
) -> BestSpans:
    """Of each window the `n_best` best pairs of its `n_best` best starts and ends, of `max_tokens` at most.

    Args:
        output: of a model, with `start_logits` and `end_logits` [windows, tokens].
        mask: [windows, tokens], 0 where a window is padded.
        kept: of `windows`.
        rows: whose of `kept` the windows are.
    """
    import torch

    places = torch.tensor(np.stack([kept["places"][row] for row in rows]), device=mask.device)
    counts = torch.tensor([len(kept["begins"][row]) for row in rows], device=mask.device)
    padded = mask.argmax(1)  # padding on the left moves all
    first, cls = places[:, 0] + padded, places[:, 1] + padded
    at = torch.arange(mask.shape[1], device=mask.device)
    context = (at >= first[:, None]) & (at < (first + counts)[:, None])
    starts, ends = output.start_logits.float(), output.end_logits.float()
    nulls = (starts.gather(1, cls[:, None]) + ends.gather(1, cls[:, None]))[:, 0]
    size = min(n_best, mask.shape[1])
    start, end = (logits.masked_fill(~context, -torch.inf).topk(size, dim=1) for logits in (starts, ends))
    tokens_of = end.indices[:, None, :] - start.indices[:, :, None]
    fits = (tokens_of >= 0) & (tokens_of < max_tokens)
    sums = (start.values[:, :, None] + end.values[:, None, :]).masked_fill(~fits, -torch.inf).flatten(1)
    best = sums.topk(min(n_best, sums.shape[1]), dim=1)
    chosen_starts = start.indices.gather(1, best.indices // size) - first[:, None]
    chosen_ends = end.indices.gather(1, best.indices % size) - first[:, None]
    found = BestSpans([], [], [], nulls.cpu().tolist())
    columns = (chosen_starts.cpu().numpy(), chosen_ends.cpu().numpy(), best.values.cpu().numpy())
    for row, from_token, to_token, score in zip(rows, *columns, strict=True):
        real = np.isfinite(score)
        found.begins.append(kept["begins"][row][from_token[real]])
        found.ends.append(kept["ends"][row][to_token[real]])
        found.scores.append(score[real])
    return found

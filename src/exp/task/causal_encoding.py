"""Documents and chats as token rows for a causal model."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from exp.data.collate import IGNORED
from exp.data.features import EncodedRows, Ragged
from exp.errors import ExpError
from exp.task import blocks, chat_template
from exp.task.blocks import TokenSequence
from exp.task.chats import Chat, answers
from exp.task.documents import Between, between_text
from exp.task.tokens import BATCH

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Encoding:
    tokenizer: Any
    name: str  # of the data, for messages
    block_size: int
    packing: bool
    between: Between
    truncation: str
    samples: int

    def key(self) -> dict[str, Any]:
        """What the rows depend on beside the tokenizer."""
        names = ("block_size", "packing", "between", "truncation", "samples")
        return {name: getattr(self, name) for name in names}

    def documents(self, texts: Sequence[str], labelled: bool) -> EncodedRows:
        """All texts in blocks, or each kept apart. Without `labelled` each is a row, to be gone on with."""
        begin = [self._context()]
        after = between_text(self.between)
        end = [self._end()] if self.between == "end_token" else []
        if not labelled:
            prompts = [begin + ids for ids in self._ids([str(text) for text in texts])]
            return self._made(blocks.separate([_whole(i, ids, "") for i, ids in enumerate(prompts)]), prompts, False)
        sequences, prompts = [], []
        for example, (text, ids) in enumerate(zip(texts, self._ids([text + after for text in texts]), strict=True)):
            own = ids + end if ids else []
            if example < self.samples:
                prompts.append(begin + ids[: max(1, len(ids) // 2)])  # the first half, to be completed
            if self.packing:
                sequences += [_whole(example, begin + own, text)] if own else []
            else:
                sequences.append(_whole(example, own, text + after))
        if self.packing:
            return self._made(blocks.packed(sequences, self.block_size), prompts, True)
        return self._made(blocks.concatenated(sequences, self.block_size, begin, overlap=1), prompts, True)

    def chats(self, chats: Sequence[Chat], ids: Sequence[int | str], labelled: bool) -> EncodedRows:
        """A row each, or several packed. Rows without an answer left teach nothing and are left out, said with their
        number."""
        sequences: list[TokenSequence] = []
        prompts: list[list[int]] = []
        cut: list[int] = []
        for example, chat in enumerate(chats):
            where = f"{self.name}, row {example + 1} (id {ids[example]})"
            if example < self.samples or not labelled:
                text = chat_template.prompt_text(self.tokenizer, chat, where)
                prompts.append(self._plain_ids(text))
            if not labelled:
                sequences.append(_whole(example, prompts[-1][-self.block_size :], ""))
                continue
            one = self._chat(example, chat, where)
            if (one.labels[1:] != IGNORED).any():
                sequences.append(one)
            elif answers(chat):
                cut.append(example)
        if cut:
            first = f"{len(cut)} of {len(chats)} chats keep no answer within task.block_size={self.block_size} tokens"
            mend = "raise task.block_size, or set task.truncation=left"
            if not sequences:
                raise ExpError(f"{first}, and no other is left: {mend}")
            log.warning("%s and are left out, the first is row %d (id %s); %s", first, cut[0] + 1, ids[cut[0]], mend)
        pack = self.packing and labelled
        return self._made(
            blocks.packed(sequences, self.block_size) if pack else blocks.separate(sequences), prompts, labelled
        )

    def _chat(self, example: int, chat: Chat, where: str) -> TokenSequence:
        ids: list[int] = []
        labels: list[int] = []
        for piece in chat_template.pieces(self.tokenizer, chat, where):
            found = self._plain_ids(piece.text)
            ids += found
            labels += found if piece.answer else [IGNORED] * len(found)
        texts = answers(chat)
        words, size = sum(len(text.split()) for text in texts), sum(len(text.encode()) for text in texts)
        if len(ids) <= self.block_size:
            return TokenSequence(example, np.asarray(ids, np.int32), np.asarray(labels, np.int32), words, size)
        if self.truncation == "error":
            raise ExpError(
                f"{where} has {len(ids)} tokens, more than task.block_size={self.block_size}: raise it, or set "
                f"task.truncation=left (keeps the end) or right (keeps the beginning)"
            )
        kept = slice(None, self.block_size) if self.truncation == "right" else slice(-self.block_size, None)
        ids, labels = ids[kept], labels[kept]
        said = self.tokenizer.decode([one for one in labels[1:] if one != IGNORED], skip_special_tokens=True)
        sizes = (len(said.split()), len(said.encode()))  # of what is left; the whole would make the text look easier
        return TokenSequence(example, np.asarray(ids, np.int32), np.asarray(labels, np.int32), *sizes)

    def _made(self, rows: list[blocks.Row], prompts: Sequence[list[int]], labelled: bool) -> EncodedRows:
        """The prompt of example k comes with row k, whatever that row holds; fewer rows show fewer prompts."""
        made = blocks.made(rows, labelled)
        held = [np.asarray(prompts[row] if row < len(prompts) else [], np.int32) for row in range(len(rows))]
        owner = [np.asarray([row] if row < len(prompts) else [], np.int32) for row in range(len(rows))]
        return EncodedRows(
            made.fields,
            {**made.kept, "prompt": Ragged.of(held, np.int32), "prompt_of": Ragged.of(owner, np.int32)},
            made.example,
        )

    def _ids(self, texts: Sequence[str]) -> list[list[int]]:
        found: list[list[int]] = []
        for start in range(0, len(texts), BATCH):
            batch = list(texts[start : start + BATCH])
            found += self.tokenizer(batch, add_special_tokens=False, return_attention_mask=False, verbose=False)[
                "input_ids"
            ]
        return found

    def _plain_ids(self, text: str) -> list[int]:
        return self.tokenizer(text, add_special_tokens=False, return_attention_mask=False, verbose=False)["input_ids"]

    def _end(self) -> int:
        end = self.tokenizer.eos_token_id
        if end is None:
            end = self.tokenizer.sep_token_id
        if end is None:
            raise ExpError(
                f"{self.tokenizer.name_or_path or 'the tokenizer'} has no end token to put between two texts; set "
                f"task.between_rows=line_break, or take another model"
            )
        return end

    def _context(self) -> int:
        """What the first token of a text is predicted from."""
        begin = self.tokenizer.bos_token_id
        return self._end() if begin is None else begin


def _whole(example: int, ids: list[int], text: str) -> TokenSequence:
    array = np.asarray(ids, np.int32)
    return TokenSequence(example, array, array, len(text.split()), len(text.encode()))

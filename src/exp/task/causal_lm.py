"""The next token: plain text in blocks, or chats of which the assistant's answers are learned (instruction tuning)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Gt, Le

from exp.data.collate import IGNORED, Collator
from exp.data.examples import Examples, TaskData
from exp.data.rows import Rows
from exp.errors import ExpError
from exp.metrics import names as metric_names
from exp.task import chat_template, documents, terms, tokens
from exp.task.assemble import assemble, read_splits
from exp.task.base import Answers, EvaluatedBatch, Generation, Head
from exp.task.chats import answers, chats_of, paired
from exp.task.likelihood import LikelihoodReading, token_sums
from exp.task.tokens import MOST_TOKENS

if TYPE_CHECKING:
    import torch

    from exp.data.base import RawData
    from exp.data.features import Encoded

BLOCK_SIZE = 256  # tokens; nanoGPT's for characters, a paragraph or two of word pieces
METRICS = {  # the first is the one that seeds, sweeps and tables compare by
    "text": ("perplexity", "perplexity_word", "bits_per_byte", "token_accuracy"),
    "chat": ("perplexity", "token_accuracy", "bits_per_byte"),
}
KIND = "next_tokens"


@dataclass(frozen=True)
class CausalLm:
    """See conf/task/causal_lm.yaml for the keys."""

    streams: ClassVar[bool] = True

    text_column: str | None
    messages_column: str | None
    prompt_column: str | None
    completion_column: str | None
    between_rows: documents.Between | None
    block_size: Annotated[int, Ge(8), Le(MOST_TOKENS)] | None
    packing: bool
    truncation: Literal["error", "right", "left"]
    chat_template: str | None
    samples: Annotated[int, Ge(0)]
    max_new_tokens: Annotated[int, Ge(1), Le(MOST_TOKENS)]
    do_sample: bool
    temperature: Annotated[float, Gt(0)]
    top_k: Annotated[int, Ge(1)] | None
    top_p: Annotated[float, Gt(0), Le(1)]
    sample_seed: Annotated[int, Ge(0)]
    metrics: list[str] | None

    def __post_init__(self) -> None:
        self._own_columns()
        chat_template.check_template(self.chat_template)

    # ---- rows to batches ----

    def columns_of(self, roles: Mapping[str, Any]) -> list[str]:
        return list(self.columns_read(roles).values())

    def check_metrics(self, roles: Mapping[str, Any]) -> tuple[str, ...]:
        kind = "text" if "text" in self.columns_read(roles) else "chat"
        named = tuple(self.metrics or roles.get("metrics") or METRICS[kind])
        metric_names.check(named, KIND)
        return named

    def read(self, raw: RawData) -> TaskData:
        columns, metrics = self.columns_read(raw.roles), self.check_metrics(raw.roles)
        block_size = self.block_size or raw.roles.get("block_size") or BLOCK_SIZE
        between = self.between_rows or raw.roles.get("between_rows") or "end_token"
        if "text" in columns:
            if self.packing and between != "end_token":
                raise ExpError(
                    f"task.packing=true keeps rows apart, and here they are parts of one text "
                    f"(between_rows={between}); set task.packing=false, or, if each row is a document, "
                    f"task.between_rows=end_token"
                )
            facts = {"columns": columns, "between_rows": between}
            return documents.read_documents(raw, columns["text"], between, metrics, block_size, facts)
        inputs = [columns.get("messages") or columns["prompt"]]
        facts = {"columns": columns, "inputs": inputs, "label_column": columns.get("completion"), "label_names": None}

        return assemble(
            raw,
            read_splits(raw, partial(self.examples, facts=facts)),
            metrics=metrics,
            max_length=block_size,
            facts=facts,
        )

    def examples(self, rows: Rows, facts: Mapping[str, Any], *, labelled: bool) -> Examples:
        """Chats: targets are the assistant's answers; none where no chat of the file has one."""
        columns = facts["columns"]
        if "text" in columns:
            return documents.text_examples(rows, columns["text"])
        ids = list(range(len(rows)))
        if "messages" in columns:
            chats = _asked(rows, columns["messages"]) or chats_of(rows, columns["messages"], labelled)
            known = any(answers(chat) for chat in chats)
            return Examples(ids, {columns["messages"]: chats}, [answers(chat) for chat in chats] if known else None)
        prompt, completion = columns["prompt"], columns["completion"]
        cells = rows.column(prompt)
        prompts = chats_of(rows, prompt, False) if cells and isinstance(cells[0], list) else rows.texts(prompt)
        empty = completion not in rows or all(cell in (None, "") for cell in rows.column(completion))
        if empty and not labelled:
            return Examples(ids, {prompt: prompts}, None)
        found = rows.texts(completion)
        for row, text in enumerate(found):
            if not text.strip():
                raise ExpError(f"{rows.where(row)}: column {completion!r} is empty; there is nothing to learn from it")
        return Examples(ids, {prompt: prompts}, found)

    def head(self, data: TaskData) -> Head:
        return Head(
            auto_class="AutoModelForCausalLM",
            labels=None,
            problem_type=None,
            peft_task="CAUSAL_LM",
            pipeline="text-generation",
            max_length=data.max_length,
            drawn=False,
            lengths={"block_size": data.max_length},
            generation=Generation(self._generation()),
            prepare=self._prepare,
            terms=terms.NEXT_TOKENS,
        )

    def encode(self, data: TaskData, processor: Any, cache_dir: Path) -> Encoded:
        """Raises ExpError for chats longer than a block, where `task.truncation` says so, naming split and row."""
        from exp.data.features import EncodedRows, encode_splits
        from exp.task.causal_encoding import Encoding

        tokens.longest(processor, data.max_length, pair=False)
        tokens.without_length_options(processor)
        chats = "text" not in data.facts["columns"]
        if chats:
            chat_template.fit_template(processor, self.chat_template)
        encoding = Encoding(
            processor,
            data.name,
            block_size=data.max_length,
            packing=self.packing,
            between=data.facts.get("between_rows", "end_token"),
            truncation=self.truncation,
            samples=self.samples,
        )
        key = {
            "task": "causal_lm",
            **encoding.key(),
            "template": processor.chat_template if chats else None,
            **tokens.tokenizer_key(processor),
        }

        def make(split: Examples) -> EncodedRows:
            (cells,) = split.inputs.values()
            if not chats:
                return encoding.documents(cells, labelled=split.targets is not None)
            if "completion" in data.facts["columns"]:
                cells = paired(cells, split.targets)
            return encoding.chats(cells, split.ids, labelled=split.targets is not None)

        return encode_splits(data, key, cache_dir, make, lambda split: None)

    def collate(self, processor: Any, pad_to_multiple_of: int | None, labels: Sequence[str] | None) -> Collator:
        """Padding comes last, whatever the tokenizer says: positions are counted from the row's beginning. A packed row
        has no mask: its position ids tell the model where a text begins, and nothing looks ahead to the padding."""
        pad = processor.pad_token_id
        if self.packing:  # any token but the padding one, of which transformers would warn without a mask
            fills = {"input_ids": int(pad == 0), "position_ids": 0, "labels": IGNORED}
        else:
            fills = {"input_ids": pad, "attention_mask": 0, "labels": IGNORED}
        return Collator(fills, left=False, pad_to_multiple_of=pad_to_multiple_of)

    def units(self, batch: Mapping[str, torch.Tensor]) -> int:
        """Tokens that are predicted: the model shifts the labels, so that the first of a row is none."""
        return int((batch["labels"][:, 1:] != IGNORED).sum())

    def answer(self, batch: EvaluatedBatch) -> Answers:
        """Sums over each segment's tokens, and what the model wrote where the row is one to go on with."""
        from exp.task.continuation import written

        features = batch.features
        found: dict[str, list[Any]] = {"nll": [], "tokens": [], "correct": []} if "labels" in batch.inputs else {}
        for number, row in enumerate(batch.rows if found else ()):
            size = features.lengths[row]
            labels = batch.inputs["labels"][number, :size].roll(-1)
            labels[-1] = IGNORED  # logits at one place are for the token at the next
            ends = features.kept["end"][row] - 1  # as places of logits
            ends[-1:] = size
            for name, sums in token_sums(batch.output.logits[number, :size], labels, ends).items():
                found[name].append(sums)
        shown = [written(batch, row, self.max_new_tokens, self.sample_seed) for row in batch.rows]
        return {**found, "generated": shown}

    def typed(self, texts: Sequence[str], columns: Sequence[str]) -> Rows:
        """A text to go on with, or a user's turn to answer."""
        (column,), (text,) = columns, texts
        return Rows(Path("typed"), {column: [documents.Prompt(text)]}, [1])

    def reading(self, facts: Mapping[str, Any]) -> LikelihoodReading:
        return LikelihoodReading(KIND, tuple(facts["metrics"]))

    # ---- columns ----

    def _own_columns(self) -> dict[str, str]:
        """Of the keys that are set, by role. Raises ExpError for keys that do not belong together."""
        named = {role: getattr(self, f"{role}_column") for role in ("text", "messages", "prompt", "completion")}
        found = {role: column for role, column in named.items() if column is not None}
        if set(found) not in (set(), {"text"}, {"messages"}, {"prompt", "completion"}):
            given = " ".join(f"task.{role}_column={column}" for role, column in found.items())
            raise ExpError(
                f"{given}: give task.text_column, or task.messages_column, or task.prompt_column with "
                f"task.completion_column"
            )
        if len(set(found.values())) < len(found):
            raise ExpError(f"task.prompt_column={self.prompt_column} is task.completion_column too")
        return found

    def columns_read(self, roles: Mapping[str, Any]) -> dict[str, str]:
        own = self._own_columns()
        names = ("text", "messages", "prompt", "completion")
        told = {role: roles[f"{role}_column"] for role in names if roles.get(f"{role}_column")}
        return own or told or {"text": documents.TEXT_COLUMN}

    def _generation(self) -> dict[str, Any]:
        """Settings of sampling are left out where nothing is drawn: transformers would warn of them."""
        names = ("max_new_tokens", "do_sample", "temperature", "top_k", "top_p")
        return {name: getattr(self, name) for name in (names if self.do_sample else names[:2])}

    def _prepare(self, model: Any, processor: Any) -> None:
        from exp.task import causal_check

        if model.loss_type is None:  # GPT2LMHeadModel, whose name does not say it: transformers would warn
            model.loss_type = "ForCausalLM"
        model.config.use_cache = False  # keys and values of a whole pass would be kept for nothing
        causal_check.check_causal(model)
        if self.packing:
            causal_check.check_packing(model)


def _asked(rows: Rows, column: str) -> list[Any]:
    """What somebody typed, as a user's turn; nothing for rows of a file."""
    cells = rows.columns.get(column, [])
    typed = bool(cells) and all(isinstance(cell, documents.Prompt) for cell in cells)
    return [[{"role": "user", "content": str(cell)}] for cell in cells] if typed else []

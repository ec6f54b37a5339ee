"""Where a pretrained model's files are: a folder or the Hub, and what is said when they cannot be had."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from exp.errors import ExpError, nearest
from exp.model.unmerged import ADAPTER, BASE, is_unmerged
from exp.run.files import user_path

_WEIGHTS = ("model.safetensors", "model.safetensors.index.json")
_LFS = b"version https://git-lfs.github.com/spec/"
PROCESSORS = ("preprocessor_config.json", "processor_config.json")
TOKENIZERS = ("tokenizer.json", "vocab.txt", "vocab.json", "spm.model", "sentencepiece.bpe.model", "spiece.model")


def locate(path: str, processor: str | None = "tokenizer") -> str:
    """The folder that `path` names, checked, or the Hub id as it is. Touches no network.

    Raises ExpError for a folder that is missing, or that lacks a config, safetensors weights or the processor, which is
    of a kind of Head.processor; None: whatever its processor is.
    """
    folder = user_path(path)
    if folder.is_dir():
        check_folder(folder, processor)
        return str(folder)
    if folder.exists():
        raise ExpError(f"model.path={path} is a file; give the folder that save_pretrained wrote")
    looks_local = path.startswith(("/", ".", "~")) or path.count("/") > 1 or path.endswith("/")
    if looks_local or not path.strip():
        beside = [entry.name for entry in folder.parent.iterdir()] if folder.parent.is_dir() else []
        hint = nearest(folder.name, beside) if beside else f"; there is no folder {folder.parent} either"
        raise ExpError(f"model.path={path}: no such folder{hint}")
    return path


def check_folder(folder: Path, processor: str | None = "tokenizer") -> None:
    """Raises ExpError, with the mend, when `from_pretrained` could not load `folder` as we load it."""
    names = {entry.name for entry in folder.iterdir()}
    for name in sorted(names & {"config.json", *_WEIGHTS, *TOKENIZERS}):
        if _is_pointer(folder / name):
            raise ExpError(
                f"model.path={folder}: {name} is a Git LFS pointer, not the file itself; fetch it with: "
                f"git -C {shlex.quote(str(folder))} lfs pull"
            )
    if "config.json" not in names:
        if is_unmerged(folder):
            raise ExpError(
                f"model.path={folder} holds an adapter that cannot be merged; the plain model that it was trained on "
                f"is in {folder / BASE}"
            )
        if ADAPTER in names:
            raise ExpError(
                f"model.path={folder} holds a peft adapter, not a model. Merge it first (PeftModel.merge_and_unload,"
                " then save_pretrained)"
            )
        raise ExpError(f"model.path={folder} has no config.json; give the folder that save_pretrained wrote")
    if not names & set(_WEIGHTS):
        pickled = sorted(name for name in names if name.endswith((".bin", ".pt", ".pth", ".ckpt")))
        why = f" (it has {', '.join(pickled)}, which may run code when loaded)" if pickled else ""
        raise ExpError(
            f"model.path={folder} has no model.safetensors{why}. Convert it once, if you trust it:\n  "
            + conversion(folder)
        )
    if processor is not None and processor != "tokenizer" and not names & set(PROCESSORS):
        raise ExpError(
            f"model.path={folder} has no {processor.replace('_', ' ')} ({' or '.join(PROCESSORS)}); copy that file of "
            "the model that it was trained from into it"
        )
    if processor == "tokenizer" and not names & set(TOKENIZERS):
        raise ExpError(
            f"model.path={folder} has no tokenizer ({', '.join(TOKENIZERS)}); copy the tokenizer files of the model"
            " that it was trained from into it"
        )


def _is_pointer(file: Path) -> bool:
    """Whether Git left a text of three lines in place of a large file."""
    try:
        with file.open("rb") as stream:
            return stream.read(len(_LFS)) == _LFS
    except OSError:
        return False


def conversion(folder: Path) -> str:
    """A shell line that writes the folder anew with safetensors, its task head kept."""
    try:
        kind = str(json.loads((folder / "config.json").read_text(encoding="utf-8"))["architectures"][0])
    except (OSError, ValueError, TypeError, LookupError):
        kind = ""
    auto = "AutoModel"
    for head in ("ForSequenceClassification", "ForMaskedLM", "ForPreTraining"):
        if kind.endswith(head):
            auto += head
    old, new = (json.dumps(text) for text in (str(folder), f"{folder}-safetensors"))
    code = (
        f"from transformers import {auto} as M, AutoTokenizer as T;"
        f" M.from_pretrained({old}, use_safetensors=False).save_pretrained({new});"
        f" T.from_pretrained({old}).save_pretrained({new})"
    )
    return f"python -c {shlex.quote(code)}"


@contextmanager
def hub_errors(path: str, revision: str | None) -> Iterator[None]:
    """Turns what transformers and huggingface_hub raise while fetching into one ExpError each."""
    from huggingface_hub import errors

    try:
        yield
    except ExpError:
        raise
    except Exception as error:  # tokenizers, safetensors and a foreign config.json raise whatever they like
        causes = list(_chain(error))
        if any(isinstance(c, errors.GatedRepoError) for c in causes):
            text = (
                f"model.path={path} is gated: accept its terms on https://huggingface.co/{path}"
                " and log in (hf auth login)"
            )
        elif any(isinstance(c, errors.RepositoryNotFoundError | errors.HFValidationError) for c in causes):
            text = f"model.path={path} is neither a folder here nor a model on the Hub; check its spelling"
        elif any(isinstance(c, errors.RevisionNotFoundError) for c in causes):
            text = f"model.revision={revision}: {path} has no such branch, tag or commit"
        elif any(_is_unreachable(c) for c in causes):
            text = (
                f"the Hub cannot be reached, and {path} is not in the local cache. Work offline with"
                " model.path=<folder that save_pretrained wrote>, or fetch it once where there is a network:"
                f" hf download {path}"
            )
        elif "safetensors" in str(error):
            text = (
                f"{path} at revision {revision} has no safetensors weights."
                f" Fetch it (hf download {path} --local-dir DIR) and give model.path=DIR;"
                " exp then prints the command that converts the folder"
            )
        elif str(error).startswith("Unrecognized configuration class"):
            text = _no_such_head(path, str(error))
        else:
            kind = "" if isinstance(error, OSError | ValueError | ImportError) else f"{type(error).__name__}: "
            text = f"model.path={path} cannot be loaded: {kind}{' '.join(str(error).split())}"
        raise ExpError(text) from error


def _no_such_head(path: str, said: str) -> str:
    """transformers lists the config classes that have the head; their names without `Config` are the families."""
    head, _, fitting = said.partition("Model type should be one of ")
    own, auto_class = re.search(r"(\w+)Config'", head), re.search(r"AutoModel\w+", head)
    return (
        f"model.path={path}: transformers has no {auto_class.group() if auto_class else 'head of this task'} for "
        f"{own.group(1) if own else 'this model'}; families that have it: {fitting.replace('Config', '').strip('. ')}"
    )


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _is_unreachable(error: BaseException) -> bool:
    from huggingface_hub import errors

    return (
        isinstance(error, errors.LocalEntryNotFoundError | errors.OfflineModeIsEnabled | ConnectionError | TimeoutError)
        or "couldn't connect" in str(error).lower()
    )

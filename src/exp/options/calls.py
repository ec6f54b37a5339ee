"""How exp calls a part of each kind: a part that cannot be called so is told before a run has a folder."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Mapping
from inspect import Parameter, Signature
from typing import Any

from exp.errors import ExpError
from exp.options.project import source_of

# Group -> method -> what it is called with, by position; a `*` before a name: by that name.
METHODS: Mapping[str, Mapping[str, str]] = {
    "optimizer": {"__call__": "model"},
    "scheduler": {"__call__": "optimizer total_steps greater_is_better"},
    "loss": {"build": "facts"},
    "data": {"read": ""},
    "model": {"processor": "data head", "model": "head processor"},
    "adapter": {
        "load_kwargs": "",
        "apply": "model total_steps peft_task",
        "after_optimizer_step": "model step",
        "merge": "model",
    },
    "task": {
        "read": "raw",
        "columns_of": "roles",
        "check_metrics": "roles",
        "examples": "rows facts *labelled",
        "head": "data",
        "encode": "data processor cache_dir",
        "collate": "processor pad_to_multiple_of labels",
        "units": "batch",
        "answer": "batch",
        "typed": "texts columns",
        "reading": "facts",
    },
    "tracker": {"start": "run", "log": "metrics *step *epoch", "alert": "title text", "finish": "status"},
    "verdict": {"__call__": "curve facts limits"},
    "view": {"__call__": "plan results"},
}
# Those that a part may lack, and that are called so where it has them.
OPTIONAL: Mapping[str, Mapping[str, str]] = {
    "optimizer": {"build": "groups model"},
    "callbacks": {"make": "", "check_config": "config"},
    "model": {"load": "place head"},
    "adapter": {"check_config": "config", "check_head": "head", "check_room": "head longest"},
}
# Of what a task's `reading` gives (exp.task.base.Reading), and of it what exp.task.base.Untuned brings.
READING: Mapping[str, str] = {
    "decode": "answers features examples",
    "score": "table",
    "item_scores": "table",
    "chance": "examples",
    "pictures": "table",
    "summary": "table",
    "said": "row",
    "flat": "table",
}
UNTUNED: Mapping[str, str] = {
    "additive": "table metric",
    **dict.fromkeys(("by_class", "confidence", "probabilities", "tuned", "applied"), "table"),
}
# Optuna's, as it calls them.
SEARCH: Mapping[str, Mapping[str, str]] = {
    "pruner": {"prune": "study trial"},
    "sampler": {
        "infer_relative_search_space": "study trial",
        "sample_relative": "study trial search_space",
        "sample_independent": "study trial param_name param_distribution",
    },
}
# Of a transformers.TrainerCallback, what the session calls (exp.loop.callbacks).
EVENT = "args state control *model *processing_class *optimizer *lr_scheduler *train_dataloader *eval_dataloader"
EVENTS = {
    **dict.fromkeys(("on_init_end", "on_train_begin", "on_epoch_begin", "on_step_begin", "on_substep_end"), EVENT),
    **dict.fromkeys(("on_pre_optimizer_step", "on_optimizer_step", "on_step_end", "on_epoch_end", "on_save"), EVENT),
    "on_train_end": EVENT,
    "on_log": f"{EVENT} *logs",
    "on_evaluate": f"{EVENT} *metrics",
}


def check_methods(option: type, where: str) -> None:
    """Args:
        option: The class that `_target_` names at `where`.
        where: The dotted place of the part in the config.

    Raises:
        ExpError: It lacks a method of its kind, or one takes other arguments.
    """
    group = where.partition(".")[0]
    _check_methods(option, where, METHODS.get(group, {}), f"a part of the group {group}")
    _check_methods(option, where, OPTIONAL.get(group, {}), None)


def check_reading(reading: Any) -> None:
    """Raises ExpError where what a task's `reading` gave lacks a method, or one takes other arguments."""
    if not hasattr(reading, "names"):  # a property or a field
        raise ExpError(f"task: {type(reading).__name__}.names is not there; a reading has names, the primary one first")
    _check_methods(type(reading), "task", READING, "a reading")
    _check_methods(type(reading), "task", UNTUNED, "a reading made from exp.task.base.Untuned")


def _check_methods(option: type, where: str, methods: Mapping[str, str], owner: str | None) -> None:
    """`owner`: what has all of them; None where they may be missing."""
    for name, words in methods.items():
        method = inspect.getattr_static(option, name, None)
        said = f"{where}: {option.__name__}{'' if name == '__call__' else f'.{name}'}"
        if method is None:
            if owner is not None:
                raise ExpError(f"{said} is not there; {owner} has {name}({_shown(words)})")
        elif inspect.isfunction(method):
            bind(inspect.signature(method), f"self {words}".strip(), said)


def bind(signature: Signature, words: str, said: str, **more: Any) -> None:
    """Raises ExpError, which begins with `said`, where a call with `words` (as in METHODS) and `more` cannot work."""
    given = words.split()
    try:
        named = {word[1:]: None for word in given if word.startswith("*")}
        signature.bind(*(None for word in given if not word.startswith("*")), **named, **more)
    except TypeError as error:
        raise ExpError(
            f"{said} is called as ({_shown(words)}){' and with its keys' if more else ''}: {error}"
        ) from None


def _shown(words: str) -> str:
    return ", ".join(f"{word[1:]}=..." if word.startswith("*") else word for word in words.split() if word != "self")


def check_function(function: Callable[..., Any], words: str, said: str) -> None:
    """As `bind`, for something that is imported already."""
    try:
        signature = inspect.signature(function)
    except ValueError:  # built-in
        return
    bind(signature, words, said)


def checked(given: Any, kind: Any, said: str) -> Any:
    """`given`, which a part has made. Raises ExpError, which begins with `said`, where it is no `kind` (a class)."""
    if not isinstance(given, kind):
        what = "None" if given is None else type(given).__name__
        raise ExpError(f"{said} gives {what} in place of {kind.__module__}.{kind.__qualname__}")
    return given


def giving(part: Callable[..., Any], kind: type, said: str) -> Callable[..., Any]:
    """`part`, whose result is `checked` at every call."""
    return lambda *given: checked(part(*given), kind, said)


def check_events(callback: Any, where: str) -> None:
    """Raises ExpError where a method of a transformers.TrainerCallback cannot be called."""
    for name, words in EVENTS.items():
        check_function(getattr(callback, name), words, f"{where}: {type(callback).__name__}.{name}")


def check_unimported(target: str, words: str, said: str) -> None:
    """As `check_function`, from the source alone: of a function, or of how a class of torch is made.

    What the source does not show (a name that is imported there, a class without __init__) is left for the call.
    """
    module, _, name = target.rpartition(".")
    path = source_of(module)
    if path is None:
        return
    try:
        body = ast.parse(path.read_text(encoding="utf-8")).body
    except (OSError, SyntaxError, ValueError):  # importing it says more
        return
    found = next((node for node in body if getattr(node, "name", None) == name), None)
    if isinstance(found, ast.ClassDef):
        made = [node for node in found.body if isinstance(node, ast.FunctionDef) and node.name == "__init__"]
        if made:
            bind(_signature(made[0]), f"self {words}", said)
    elif isinstance(found, ast.FunctionDef) and not found.decorator_list:
        bind(_signature(found), words, said)


def _signature(function: ast.FunctionDef) -> Signature:
    """Names, kinds, and which have a default."""
    args = function.args
    positional = [*args.posonlyargs, *args.args]
    without = len(positional) - len(args.defaults)
    found = [
        Parameter(
            arg.arg,
            Parameter.POSITIONAL_ONLY if at < len(args.posonlyargs) else Parameter.POSITIONAL_OR_KEYWORD,
            default=Parameter.empty if at < without else None,
        )
        for at, arg in enumerate(positional)
    ]
    if args.vararg:
        found.append(Parameter(args.vararg.arg, Parameter.VAR_POSITIONAL))
    for arg, default in zip(args.kwonlyargs, args.kw_defaults, strict=True):
        found.append(Parameter(arg.arg, Parameter.KEYWORD_ONLY, default=Parameter.empty if default is None else None))
    if args.kwarg:
        found.append(Parameter(args.kwarg.arg, Parameter.VAR_KEYWORD))
    return Signature(found)

"""What a config's node names by `_target_`: looked up, checked, and made."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from dataclasses import is_dataclass
from typing import Any

from exp.errors import ExpError
from exp.optim.torch_classes import by_target
from exp.options import trust
from exp.options.calls import METHODS, bind, check_methods
from exp.options.option import check_keys, construct, signature_of

# What a loop calls a function of the user's with.
CALLED_WITH = {group: METHODS[group]["__call__"] for group in ("optimizer", "scheduler")}


def check_node(node: Mapping[str, Any], where: str) -> Any:
    """Checks a node with `_target_`, and all nodes inside it.

    Returns:
        The option, where it is one; None for a callable, which is called when the run is built.

    Raises:
        ExpError: What is named is not trusted, or a key or value does not fit it.
    """
    declared, values = _declared(node, where)
    inner = [(at, one) for key, value in values.items() for at, one in _targets(value, f"{where}.{key}")]
    if declared is not None:
        if inner:
            raise ExpError(f"{inner[0][0]}._target_: an option cannot hold another one; leave it out")
        check_methods(declared, where)
        return construct(declared, values, where)
    for at, one in inner:
        check_node(one, at)
    _check_callable(trust.resolve(node["_target_"], where), node, values, where)
    return None


def make(node: Mapping[str, Any], where: str) -> Any:
    """The option of a node, or what its callable returns. Raises ExpError as check_node does."""
    declared, values = _declared(node, where)
    if declared is not None:
        return construct(declared, values, where)
    from hydra.utils import instantiate

    return instantiate(node, _convert_="all")  # lists and dicts, not OmegaConf's


def declaration(node: Mapping[str, Any], where: str) -> type:
    """The dataclass that says which keys `node` may have."""
    declared, values = _declared(node, where)
    if declared is not None:
        return declared
    later = bool(node.get("_partial_"))
    return signature_of(trust.resolve(node["_target_"], where), values, later).declared


def _declared(node: Mapping[str, Any], where: str) -> tuple[type | None, dict[str, Any]]:
    """The option's class, or None for a callable, and its keys."""
    target = node.get("_target_")
    if not isinstance(target, str) or not target:
        raise ExpError(f"{where}._target_={target!r} names no class: it takes a text such as package.module.Class")
    values = {key: value for key, value in node.items() if key not in ("_target_", "_partial_")}
    for key in values:
        if str(key).startswith("_"):
            raise ExpError(f"{where}.{key}: no such key; exp takes _target_ and the option's own keys")
    renamed = by_target(target, values, where)
    found: Any = None
    if renamed is not None:
        found, values = renamed
    else:
        found = trust.resolve(target, where)
        if not callable(found):
            raise ExpError(f"{where}._target_={target} is neither a class nor a function")
    if not (isinstance(found, type) and is_dataclass(found)):
        return None, values
    if "_partial_" in node:
        raise ExpError(f"{where}._partial_: {target} is an option and needs it no more; leave it out")
    return found, values


def _check_callable(target: Any, node: Mapping[str, Any], values: dict[str, Any], where: str) -> None:
    partial = node.get("_partial_", False)
    if not isinstance(partial, bool):
        raise ExpError(f"{where}._partial_={partial!r} has the wrong type: it takes true or false")
    plain = {key: value for key, value in values.items() if next(_targets(value, ""), None) is None}
    signature = signature_of(target, values, partial)
    if signature.anything:
        known = inspect.signature(target).parameters
        plain = {key: value for key, value in plain.items() if key in known}
    else:
        check_keys(signature.declared, values, where)
    construct(signature_of(target, plain, later=True).declared, plain, where)
    if partial and where in CALLED_WITH:
        try:
            called = inspect.signature(target)
        except ValueError:  # a class without a signature to read
            return
        bind(called, CALLED_WITH[where], f"{where}: {node['_target_']}", **values)
    elif not partial and isinstance(target, type) and where.partition(".")[0] in METHODS:
        check_methods(target, where)


def _targets(value: Any, where: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The outermost nodes with `_target_` in a value, however deep."""
    if isinstance(value, dict):
        if "_target_" in value:
            yield where, value
            return
        for key, inner in value.items():
            yield from _targets(inner, f"{where}.{key}")
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _targets(inner, f"{where}[{number}]")

"""Fails in words when torch changes a name that exp.compat.torch uses."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.fsdp import fully_shard

from exp.compat.torch import SHARD_HOOKS, SHARD_STATE, onednn_product, write_count
from exp.distributed.sharding import unshard


def test_writing_in_place_is_counted() -> None:
    tensor = torch.zeros(3)
    assert hasattr(tensor, "_version"), "torch tensors have no _version any more: speed.embedding needs another count"
    before = write_count(tensor)
    tensor[0] = 1
    assert write_count(tensor) > before, "torch counts no writes in place any more"
    before = write_count(tensor)
    tensor.sum()
    assert write_count(tensor) == before


@pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="this torch is built without oneDNN")
def test_onednn_multiplies_in_fp32() -> None:
    assert hasattr(torch.ops.mkldnn, "_linear_pointwise"), (
        "torch has no torch.ops.mkldnn._linear_pointwise any more: speed.onednn_linear needs another way to oneDNN"
    )
    left, right, bias = torch.randn(5, 7), torch.randn(3, 7), torch.randn(3)
    found = onednn_product(left, right, bias)
    assert torch.allclose(found, nn.functional.linear(left, right, bias), atol=1e-5)
    assert torch.allclose(onednn_product(left, right, None), left @ right.t(), atol=1e-5)


@pytest.fixture
def one_process(tmp_path: Path) -> Iterator[None]:
    dist.init_process_group("gloo", init_method=f"file://{tmp_path}/meet", rank=0, world_size=1)
    yield
    dist.destroy_process_group()


def test_a_sharded_model_becomes_ordinary_again(one_process: None) -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 2))
    plain = copy.deepcopy(model)
    mesh = dist.device_mesh.init_device_mesh("cpu", (1,))
    for module in (*model, model):
        fully_shard(module, mesh=mesh)
    model(torch.ones(1, 4))
    assert type(model[0]).__mro__[2] is nn.Linear, "fully_shard changes a module's class in another way now"
    assert any(key.startswith(SHARD_STATE) for key in vars(model)), "fully_shard keeps its state under another name now"
    for hooks in SHARD_HOOKS:
        assert hasattr(model, hooks), f"torch modules have no {hooks} any more"
    unshard(model)
    assert [type(module) for module in model.modules()] == [type(module) for module in plain.modules()]
    assert not any(getattr(module, hooks) for module in model.modules() for hooks in SHARD_HOOKS)
    for (name, found), (_, expected) in zip(model.named_parameters(), plain.named_parameters(), strict=True):
        assert type(found) is nn.Parameter and torch.equal(found, expected), name
    copy.deepcopy(model)

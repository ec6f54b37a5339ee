"""Where weights lie."""

from __future__ import annotations

import torch
from safetensors.torch import load_file, save_file

from exp.speed.memory import ALIGNMENT, align


def test_weights_of_a_mapped_file_get_memory_of_their_own(tmp_path):
    """Products of aligned and of mapped weights differ in their last bits on some processors."""
    model = torch.nn.Sequential(torch.nn.Linear(7, 5), torch.nn.Linear(5, 3))
    wanted = {name: weight.clone() for name, weight in model.state_dict().items()}
    save_file(wanted, tmp_path / "weights.safetensors", metadata={"odd": "x" * 13})
    loaded = load_file(tmp_path / "weights.safetensors")
    for name, parameter in model.named_parameters():
        parameter.data = loaded[name]
    odd = [parameter for parameter in model.parameters() if parameter.data_ptr() % ALIGNMENT]
    assert odd and align(model) == len(odd)
    assert not [parameter for parameter in model.parameters() if parameter.data_ptr() % ALIGNMENT]
    assert all(torch.equal(weight, wanted[name]) for name, weight in model.state_dict().items())
    assert align(model) == 0

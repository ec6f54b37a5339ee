from __future__ import annotations

import io

import pytest
import torch
from transformers.optimization import get_scheduler

from exp.config.targets import make as make_node
from exp.errors import ExpError
from tests.optim.test_options import make

TOTAL = 40
EXTRA = {
    "linear": {},
    "cosine": {"num_cycles": 0.5},
    "cosine_with_restarts": {"num_cycles": 2},
    "polynomial": {"lr_end": 1e-7, "power": 1.0},
    "constant": {},
    "constant_with_warmup": {},
    "inverse_sqrt": {"timescale": None},
    "warmup_stable_decay": {"num_decay_steps": 4, "decay_type": "cosine", "min_lr_ratio": 0.0},
}
WARM = sorted(set(EXTRA) - {"constant", "polynomial"})


def optimizer(lr=1e-3):
    first, second = torch.nn.Parameter(torch.zeros(1)), torch.nn.Parameter(torch.zeros(1))
    return torch.optim.SGD([{"params": [first]}, {"params": [second], "lr": lr / 2}], lr=lr)


def rates(made, opt, steps=TOTAL):
    seen = []
    for _ in range(steps):
        seen.append([group["lr"] for group in opt.param_groups])
        opt.step()
        made.step()
    return seen


@pytest.mark.parametrize("warmup", [{}, {"warmup_steps": 7}, {"warmup_ratio": 0.1}], ids=str)
@pytest.mark.parametrize("name", EXTRA)
def test_every_step_has_transformers_rate(name, warmup):
    if warmup and name == "constant":
        return
    ours, theirs = optimizer(), optimizer()
    made = make("scheduler", name, **warmup)(ours, TOTAL, True)
    steps = warmup.get("warmup_steps", 4 if warmup else 0)
    reference = get_scheduler(name, theirs, steps, TOTAL, scheduler_specific_kwargs=EXTRA[name])
    assert rates(made, ours) == rates(reference, theirs)


def test_linear_has_the_tutorials_numbers():
    opt = optimizer(5e-5)
    seen = rates(make("scheduler", "linear")(opt, 1377, True), opt, 1377)
    assert seen[0] == [5e-5, 2.5e-5]
    assert seen[1376][0] == pytest.approx(5e-5 / 1377)


@pytest.mark.parametrize("name", [*EXTRA, "reduce_on_plateau"])
def test_state_survives_a_safe_load(name):
    def start():
        opt = optimizer()
        return opt, make("scheduler", name)(opt, TOTAL, True)

    def step(opt, made, number):
        opt.step()
        made.step(*((1.0 / (number + 1),) if name == "reduce_on_plateau" else ()))

    opt, made = start()
    for number in range(11):
        step(opt, made, number)
    file = io.BytesIO()
    torch.save({"o": opt.state_dict(), "s": made.state_dict()}, file)
    file.seek(0)
    saved = torch.load(file, weights_only=True)
    opt2, made2 = start()
    opt2.load_state_dict(saved["o"])
    made2.load_state_dict(saved["s"])
    for number in range(11, 25):
        step(opt, made, number)
        step(opt2, made2, number)
        assert [g["lr"] for g in opt.param_groups] == [g["lr"] for g in opt2.param_groups]


@pytest.mark.parametrize(("greater", "series"), [(True, [0.5, 0.6, 0.6, 0.6, 0.6]), (False, [0.5, 0.4, 0.4, 0.4, 0.4])])
def test_plateau_follows_the_direction_of_the_metric(greater, series):
    opt = optimizer()
    made = make("scheduler", "reduce_on_plateau", patience=2, factor=0.5)(opt, TOTAL, greater)
    seen = []
    for value in series:
        made.step(value)
        seen.append(opt.param_groups[0]["lr"])
    assert seen == [1e-3, 1e-3, 1e-3, 1e-3, 5e-4]


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("linear", {"warmup_steps": -1}, "warmup_steps=-1"),
        ("cosine", {"warmup_ratio": 1.0}, "warmup_ratio=1.0"),
        ("linear", {"warmup_steps": 41}, "41 .* 40 optimizer steps"),
        ("warmup_stable_decay", {"warmup_steps": 37}, "together longer"),
        ("constant", {"warmup_steps": 5}, "constant_with_warmup"),
        ("reduce_on_plateau", {"warmup_ratio": 0.1}, "no warmup"),
        ("polynomial", {"lr_end": 1e-2}, "below optimizer.lr"),
        ("polynomial", {"warmup_steps": 40}, "whole run"),
        ("warmup_stable_decay", {"warmup_steps": 38}, "together longer"),
    ],
)
def test_impossible_warmup_is_refused(name, changes, message):
    with pytest.raises(ExpError, match=message):
        make("scheduler", name, **changes)(optimizer(), TOTAL, True)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("warmup_stable_decay", {"decay_type": "cosin"}, "decay_type"),
        ("warmup_stable_decay", {"decay_ratio": 1.5}, "decay_ratio"),
        ("reduce_on_plateau", {"factor": 1.0}, "factor"),
    ],
)
def test_the_config_alone_shows_it(name, options, message):
    with pytest.raises(ExpError, match=message):
        make("scheduler", name, **options)


@pytest.mark.parametrize("name", WARM)
def test_warmup_may_fill_the_whole_run(name):
    decay = {"decay_ratio": 0.0} if name == "warmup_stable_decay" else {}
    opt = optimizer()
    seen = rates(make("scheduler", name, warmup_steps=TOTAL, **decay)(opt, TOTAL, True), opt)
    assert seen[20][0] == pytest.approx(5e-4)


def test_steps_of_warmup_overrule_a_ratio():
    assert make("scheduler", "linear", warmup_steps=5, warmup_ratio=0.1).warmup(100) == 5
    assert make("scheduler", "linear", warmup_ratio=0.101).warmup(100) == 11


def test_any_torch_scheduler_by_name():
    ours, theirs = optimizer(), optimizer()
    made = make("scheduler", "by_name", name="StepLR", options={"step_size": 3})(ours, TOTAL, True)
    assert rates(made, ours) == rates(torch.optim.lr_scheduler.StepLR(theirs, 3), theirs)
    direct = make_node({"_target_": "torch.optim.lr_scheduler.StepLR", "step_size": 3}, "scheduler")
    assert direct == make("scheduler", "by_name", name="StepLR", options={"step_size": 3})


@pytest.mark.parametrize(("greater", "mode"), [(True, "max"), (False, "min")])
def test_torchs_plateau_follows_the_direction_of_the_metric(greater, mode):
    made = make("scheduler", "by_name", name="ReduceLROnPlateau", options={"patience": 1})
    assert made(optimizer(), TOTAL, greater).mode == mode


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "StepLRR"}, "did you mean 'StepLR'"),
        ({"name": "LambdaLR"}, "takes a Python function"),
        ({"name": "StepLR"}, "step_size is not given"),
        ({"name": "StepLR", "options": {"step_size": 0}}, "step_size=0 must be 1 or more"),
        ({"name": "StepLR", "options": {"step_size": 3, "gama": 1}}, "did you mean 'gamma'"),
        ({"name": "MultiStepLR", "options": {"milestones": ["a"]}}, "a list, each a whole number"),
    ],
)
def test_by_name_refuses(options, message):
    with pytest.raises(ExpError, match=message):
        make("scheduler", "by_name", **options)

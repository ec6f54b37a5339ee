"""Energy from counters, the peak of a device, and what a run is charged with."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest
import torch

from exp.errors import ExpError
from exp.loop import energy, peak
from exp.loop.charges import Charges
from exp.loop.cost import Cost


def zone(root, name, kind, now, most=999_999):
    folder = root / name
    folder.mkdir(parents=True)
    for file, text in (("name", kind), ("energy_uj", now), ("max_energy_range_uj", most)):
        (folder / file).write_text(f"{text}\n")
    return folder / "energy_uj"


@pytest.fixture
def powercap(tmp_path, monkeypatch):
    monkeypatch.setattr(energy, "POWERCAP", tmp_path)
    return tmp_path


def test_rapl_counts_packages_and_memory_and_survives_a_counter_that_runs_over(powercap):
    package = zone(powercap, "intel-rapl:0", "package-0", 900_000)
    zone(powercap, "intel-rapl:0:0", "core", 5)
    memory = zone(powercap, "intel-rapl:0:1", "dram", 10)
    zone(powercap, "intel-rapl:1", "psys", 7)
    meter = energy.energy("auto")
    assert meter.source == "RAPL (2 zones, the whole machine)"
    package.write_text("100000")  # 200,000 uJ later
    memory.write_text("50010")
    assert meter.joules() == pytest.approx(0.25)
    package.write_text("150000")
    assert meter.joules() == pytest.approx(0.3)


def test_a_meter_that_fails_is_dropped(powercap, caplog):
    counter = zone(powercap, "intel-rapl:0", "package-0", 1)
    meter = energy.energy("auto")
    counter.unlink()
    assert meter.joules() == 0 and meter.source is None
    assert "cannot be read any more" in caplog.text


def test_a_device_that_cannot_be_measured_has_no_mfu(monkeypatch):
    def full(*_):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr("exp.loop.cost.peak_of", full)
    monkeypatch.setattr("exp.loop.cost.FlopCount.of", lambda model: SimpleNamespace(per_token=1, per_pair=1))
    cost = charged()
    cost.begin()
    told, basis = cost.summary(1)
    assert "mfu" not in told and basis == {}


def test_nothing_to_read_is_no_meter(powercap):
    assert energy.energy("auto").source is None
    assert energy.energy("off").joules() == 0


def test_nvml_counts_from_the_start(powercap, monkeypatch):
    spent = {"GPU-a": 5_000, "GPU-b": 7_000}
    nvml = SimpleNamespace(
        NVMLError=RuntimeError,
        nvmlInit=lambda: None,
        nvmlDeviceGetHandleByUUID=lambda one: one,
        nvmlDeviceGetTotalEnergyConsumption=lambda one: spent[one],
    )
    monkeypatch.setitem(sys.modules, "pynvml", nvml)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda at: SimpleNamespace(uuid="ab"[at]))
    meter = energy.energy("auto")
    assert meter.source == "NVML (2 GPUs)"
    spent["GPU-b"] += 3_000
    assert meter.joules() == pytest.approx(3.0)


def test_codecarbon_adds_up_what_it_estimates(monkeypatch):
    class Tracker:
        def __init__(self, **options):
            assert options["save_to_file"] is False

        def start_task(self):
            pass

        def stop_task(self):
            return SimpleNamespace(energy_consumed=1e-6)

    monkeypatch.setitem(sys.modules, "codecarbon", SimpleNamespace(OfflineEmissionsTracker=Tracker))
    meter = energy.energy("codecarbon")
    assert (meter.joules(), meter.joules()) == (pytest.approx(3.6), pytest.approx(7.2))


@pytest.mark.parametrize(
    ("name", "kind", "flops"),
    [
        ("NVIDIA H100 80GB HBM3", "bf16", 989.4e12),
        ("NVIDIA H100 PCIe", "bf16", 756e12),
        ("NVIDIA A100-SXM4-80GB", "tf32", 156e12),
        ("NVIDIA A10G", "fp16", 125e12),
        ("NVIDIA L40", "bf16", 181e12),
        ("NVIDIA L40S", "bf16", None),
        ("Tesla T4", "fp32", 8.1e12),
        ("Tesla T4", "bf16", None),
        ("NVIDIA GeForce GTX 1080", "fp32", None),
    ],
)
def test_peaks_by_name(name, kind, flops):
    assert peak.listed_peak(name, kind) == flops


def test_a_cpu_is_measured():
    found, source = peak.peak_of(torch.device("cpu"), "no")
    assert 1e8 < found < 1e15 and "fp32, a product of matrices" in source


def charged(**charges):
    parts = SimpleNamespace(
        charges=Charges(**{"energy": "off", "rate_per_hour": None, "currency": "EUR", "peak_flops": None} | charges),
        mixed_precision="no",
        world=SimpleNamespace(size=2, rank=0),
        encoded=SimpleNamespace(train=SimpleNamespace(lengths=[10, 20])),
        model=None,
    )
    return Cost(parts, torch.device("cpu"))


def test_mfu_and_money(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr("exp.loop.cost.time.perf_counter", lambda: clock[0])
    flops = SimpleNamespace(per_token=100, per_pair=1)
    monkeypatch.setattr("exp.loop.cost.FlopCount.of", lambda model: flops)
    cost = charged(peak_flops=1000.0, rate_per_hour=36.0)
    cost.begin()
    for _ in range(Cost.warmup + 2):
        clock[0] += 4.0
        cost.step([0, 1])
        cost.resume()
    clock[0] += 72.0  # an evaluation
    told, basis = cost.summary(7)
    assert told["mfu"] == pytest.approx((100 * 30 + 500) / 4.0 / (1000.0 * 2))
    assert told["wall_seconds"] == 100.0 and told["money"] == pytest.approx(1.0)
    assert basis == {"peak_flops": 1000.0, "peak_from": "cost.peak_flops", "rate_per_hour": 36.0, "currency": "EUR"}
    again = charged(rate_per_hour=36.0)
    again.restore(cost.state())
    again.begin()
    clock[0] += 100.0
    assert again.summary(7)[0]["money"] == pytest.approx(2.0)  # over all resumes


def test_codecarbon_has_to_be_there(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ExpError, match=r"pip install 'exp\[energy\]'"):
        Charges("codecarbon", None, "EUR", None)

"""The folder .hydra of a run: written by exp, once, by the process that has claimed the folder.

Hydra itself (hydra.output_subdir) would write over those of a run that is there already, and passwords in clear.
"""

from __future__ import annotations

from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from exp.distributed import ranks
from exp.errors import ExpError
from exp.run import lock
from exp.run.files import write_atomic
from exp.run.secrets import redacted


def write(cfg: DictConfig) -> None:
    """config.yaml, hydra.yaml and overrides.yaml of a new run, in Hydra's output folder.

    Nothing where a run goes on. Raises ExpError where another job of the sweep has claimed the folder.
    """
    hydra = HydraConfig.get()
    folder = Path(hydra.runtime.output_dir)
    if not ranks.current.get().place.first:
        return
    started = (folder / "run.json").exists()
    # A study goes on with its trials; any other sweep has a folder of its own, which nobody was in before.
    own = hydra.mode != RunMode.MULTIRUN or hydra.runtime.choices.get("hydra/sweeper") == "study"
    if started and own:
        return
    if hydra.mode == RunMode.MULTIRUN and (started or not lock.claim(folder)):
        raise ExpError(
            f"{folder} belongs to another job of this sweep: hydra.sweep.subdir={hydra.sweep.subdir} has to name each "
            "job's own folder, e.g. hydra.sweep.subdir=${hydra:job.num}"
        )
    texts = {
        "config.yaml": OmegaConf.to_yaml(cfg),
        "hydra.yaml": OmegaConf.to_yaml(OmegaConf.create({"hydra": hydra})),
        "overrides.yaml": OmegaConf.to_yaml(hydra.overrides.task),
    }
    (folder / ".hydra").mkdir(exist_ok=True)
    for name, text in texts.items():
        write_atomic(folder / ".hydra" / name, redacted(text))

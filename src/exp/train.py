"""python -m exp.train optimizer=adamw loop=accelerate"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from exp.api.callable_module import make_callable
from exp.training import launch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from omegaconf import DictConfig

    from exp.api.run import LoadedRun
    from exp.api.sweep import Sweep
    from exp.loop.trial import Trial

log = logging.getLogger("exp")


def train(cfg: DictConfig, trial: Trial) -> float:
    """One run: config -> parts -> loop -> result. Returns the objective."""
    # Imported here, because --help and a typo should not wait for torch.
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode
    from omegaconf import OmegaConf

    from exp.curves import summary as curves
    from exp.curves.verdict import Thresholds
    from exp.loop import outputs
    from exp.loop.trial import NoTrial
    from exp.run.interrupts import Interrupted
    from exp.run.result import write_result
    from exp.saved import card, next_steps
    from exp.training.build import build_hub, build_tracker
    from exp.training.fit import fit
    from exp.training.lifecycle import afterwards, opened, recorded

    folder = Path(HydraConfig.get().runtime.output_dir)
    config: dict[str, Any] = OmegaConf.to_container(cfg, resolve=True)  # type: ignore[assignment]
    with opened(folder, config, trial.study) as run:
        tracker = build_tracker(config)
        with recorded(run, tracker) as ending:
            parts, result = fit(config, run, tracker, trial)
            if result.status == "interrupted":
                raise Interrupted(result.reason)
            if not run.kept:  # of several processes the first one writes what follows
                return result.objective["value"]
            outputs.save_model(parts, run, result)
            ending.settle(result.status, result.reason, lambda: write_result(run.result_path, result))
            outputs.summarize(run, result)
            with afterwards(run, "the curve"):
                # A trial's picture would cost more than its overhead is allowed; `exp.curves` draws it when asked.
                alone = isinstance(trial, NoTrial)
                log.info("%s", curves.draw_and_judge(folder, Thresholds(), picture=alone))
            with afterwards(run, "the model card"):
                card.write(folder, result)
            log.info("%s", next_steps.left(folder))
            for line in next_steps.next_steps(folder) if HydraConfig.get().mode != RunMode.MULTIRUN else ():
                log.info("%s", line)
        with afterwards(run, "the upload"):
            build_hub(config).share(run.folder)
    return result.objective["value"]


def main() -> None:
    launch.main(train)


def from_python(words: Sequence[str] = (), *, config_dir: str | Path | None = None) -> LoadedRun:
    """exp.train([...]): one run in this process, by the same way as from a command line.

    Args:
        words: What a command line would have: ["data=mrpc", "optimizer.lr=2e-5"].
        config_dir: A folder of options, as --config-dir.

    Returns:
        The run. One that was stopped and has saved has the status "interrupted".

    Raises:
        ExpError: The words, the data or the parts cannot work; the message says why.
    """
    from exp.api import running

    return running.train(train, words, config_dir)


def sweep(words: Sequence[str] = (), *, config_dir: str | Path | None = None) -> Sweep:
    """exp.sweep([...]): runs or trials as `exp train --multirun` has them; arguments as for exp.train."""
    from exp.api import running

    return running.sweep(train, words, config_dir)


make_callable(__name__)

if __name__ == "__main__":
    main()

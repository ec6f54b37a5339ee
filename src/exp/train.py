"""python -m exp.train optimizer=adamw loop=accelerate"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from exp.training import launch

if TYPE_CHECKING:
    from omegaconf import DictConfig

log = logging.getLogger("exp")


def train(cfg: DictConfig) -> float:
    """One run: config -> parts -> loop -> result. Returns the objective."""
    # Imported here, because --help and a typo should not wait for torch.
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode
    from omegaconf import OmegaConf

    from exp.curves import summary as curves
    from exp.curves.verdict import Thresholds
    from exp.loop import outputs, trial
    from exp.run.interrupts import Interrupted
    from exp.run.result import write_result
    from exp.saved import card, next_steps
    from exp.training.build import build_hub, build_tracker
    from exp.training.fit import fit
    from exp.training.lifecycle import afterwards, opened, recorded

    folder = Path(HydraConfig.get().runtime.output_dir)
    config: dict[str, Any] = OmegaConf.to_container(cfg, resolve=True)  # type: ignore[assignment]
    with opened(folder, config) as run:
        tracker = build_tracker(config)
        with recorded(run, tracker) as ending:
            parts, result = fit(config, run, tracker, trial.current.get())
            if result.status == "interrupted":
                raise Interrupted(result.reason)
            if not run.kept:  # of several processes the first one writes what follows
                return result.objective["value"]
            outputs.save_model(parts, run, result)
            ending.settle(result.status, result.reason, lambda: write_result(run.result_path, result))
            outputs.summarize(run, result)
            with afterwards(run, "the curve"):
                # A trial's picture would cost more than its overhead is allowed; `exp.curves` draws it when asked.
                alone = isinstance(trial.current.get(), trial.NoTrial)
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


if __name__ == "__main__":
    main()

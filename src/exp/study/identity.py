"""When two sweeps are the same study: its derived name, and what is compared when it goes on."""

from __future__ import annotations

import hashlib
import json
import re
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, OmegaConf

from exp.errors import ExpError
from exp.metrics.key import Key
from exp.run.files import user_path
from exp.run.identity import condition_hash, fingerprints
from exp.run.secrets import redacted
from exp.study import frozen_config
from exp.study.objective import Objective
from exp.study.settings import StudySettings
from exp.study.space import Space
from exp.work.trial_queue import code_commit

if TYPE_CHECKING:
    from optuna import Study


def plain_config(config: DictConfig) -> dict[str, Any]:
    """The task's config in plain containers, resolved where it can be; what is missing stays out."""
    plain: dict[str, Any] = {}
    written: dict[Any, Any] = OmegaConf.to_container(config)  # type: ignore[assignment]
    for key in config:
        if key == "hydra" or OmegaConf.is_missing(config, key):
            continue
        try:
            value = config[key]
            plain[str(key)] = OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value
        except Exception:  # an interpolation that only a trial can resolve
            plain[str(key)] = written[key]
    return plain


def derive_name(config: DictConfig, plain: Mapping[str, Any], space: Space, objective: Objective) -> str:
    """From preset, objective, search space and condition: the same search finds its study again.

    Trials, workers, sampler and pruner are not part of it: they may change while a study goes on.
    """
    choices = config.hydra.runtime.choices
    words = [str(choices.get("sweep") or "study")]
    words += [str(choices[key]) for key in ("data", "model") if isinstance(choices.get(key), str)]
    fixed = {key: value for key, value in space.fixed.items() if not key.startswith("hydra")}
    what = [
        condition_hash(plain) if plain else "",
        space.signature(),
        sorted(fixed.items()),
        objective.names,
        objective.directions,
    ]
    mark = hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:8]
    return "-".join([*(re.sub(r"[^\w.]+", "_", word) for word in words), mark])


def files(space: Space, plain: Mapping[str, Any]) -> dict[str, Any]:
    """Fingerprints of the data and models that the trials read, fixed and swept."""
    cache_dir = user_path(plain["cache_dir"]) if "cache_dir" in plain else None
    found = fingerprints(plain, cache_dir)
    for param in space.params:
        for probe in param.probes():
            for key, value in param.overrides(probe).items():
                found |= {f"{key}={value}": one for one in fingerprints({key: value}, cache_dir).values()}
    return found


def describe(space: Space, objective: Objective, settings: StudySettings, plain: Mapping[str, Any]) -> dict[str, Any]:
    """What must not change while a study goes on, as study attributes."""
    return {
        "search space": space.signature(),
        "files": files(space, plain),
        "fixed": redacted({key: value for key, value in space.fixed.items() if not key.startswith("hydra")}),
        "objective": {
            "names": list(objective.names),
            "directions": list(objective.directions),
            "from": objective.take,
            "split": sorted({Key.of(name).split for name in objective.names if "/" in name}),
            "seeds": list(settings.seeds or ()),
            "seeds_reduce": [settings.seeds_reduce, settings.bound_errors] if settings.seeds else None,
            "constraints": {key: list(value) for key, value in objective.constraints.items()},
        },
    }


def check_same(
    study: Study, space: Space, objective: Objective, settings: StudySettings, plain: Mapping[str, Any]
) -> None:
    """Raises ExpError naming the first difference."""
    now, then = describe(space, objective, settings, plain), study.user_attrs
    held, holds = then.get("files", {}), now["files"]
    for key in held:
        if holds.get(key) != held[key]:
            what = "holds other contents than when it began" if key in holds else "is not there any more"
            raise ExpError(
                f"study {study.study_name}: {key} {what}, and trials on both would be ranked together. Put the old "
                f"contents back, or start another with hydra.sweeper.study_name=..."
            )
    for what in ("search space", "fixed", "objective"):
        before, after = then.get(what, {}), json.loads(json.dumps(now[what]))
        for key in sorted({*before, *after}):
            moved = what == "fixed" and key.lstrip("+") in held  # to another path, with the same contents
            if before.get(key) != after.get(key) and not moved:
                raise ExpError(
                    f"study {study.study_name} has another {what}: {key} was {before.get(key, 'not in it')}, now "
                    f"{after.get(key, 'not in it')}. Start another with hydra.sweeper.study_name=..., "
                    f"or undo the change"
                )


def warn_changes(study: Study, config_files: frozen_config.Files, guesses: Sequence[Mapping[str, Any]]) -> None:
    """Says what has changed since the study began and does not, or does, reach its trials."""
    commit = code_commit()
    if commit != study.user_attrs.get("commit"):
        print(
            f"warning: the study began at commit {str(study.user_attrs.get('commit'))[:12]}, the code is now at "
            f"{str(commit)[:12]}; each trial records its own"
        )
    then = frozen_config.restore(study) or []
    names = sorted(
        {
            name
            for old, new in zip(then, config_files.values(), strict=False)
            for name in {*old, *new}
            if old.get(name) != new.get(name)
        }
    )
    if names:
        shown = ", ".join(names[:5]) + (" ..." if len(names) > 5 else "")
        print(f"note: {shown} changed since the study began; its trials keep the config of then")
    tried = [trial.system_attrs.get("fixed_params") for trial in study.get_trials(deepcopy=False)] if guesses else []
    if any(guess not in tried for guess in guesses):
        print("note: enqueue is for a study's beginning, and this one has begun: it goes on without the new ones")


def program_command(processes: int) -> str:
    """How this program is started by so many processes, without any override."""
    python = "python" if processes == 1 else f"torchrun --nproc-per-node {processes}"
    if sys.argv[0].startswith("exp "):  # `exp sweep` is `exp train` with a preset, which a single run has not
        return "exp train" if processes == 1 else f"{python} -m exp.train"
    main = sys.modules.get("__main__")
    spec = getattr(main, "__spec__", None)
    if spec is not None and spec.name:
        return f"{python} -m {spec.name.removesuffix('.__main__')}"
    program = Path(sys.argv[0])
    return f"{python} {shlex.quote(sys.argv[0])}" if program.suffix == ".py" else shlex.quote(program.name)

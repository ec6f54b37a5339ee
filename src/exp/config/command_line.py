"""The command line of a run that goes on, and paths as Hydra's grammar takes them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.core.override_parser.types import Quote, QuotedString
from omegaconf import DictConfig, OmegaConf

from exp.config.confdir import conf_dir, groups
from exp.distributed import ranks
from exp.errors import ExpError

TIME = "${now:"  # in the name of an output folder: the folder is ours to number


def resume_argv(argv: Sequence[str]) -> list[str]:
    """`resume=<run folder or checkpoint>` becomes the saved config and the same folder; else `argv` stays."""
    resume = next((word.partition("=")[2] for word in argv if word.startswith("resume=")), "").strip("'\"")
    if resume == "auto":
        # One process looks: a moment later the run counts as running.
        found = ranks.current.get().decide("resume", lambda: str(_newest_interrupted(argv) or ""))
        return resume_argv(["resume=" + quoted(Path(found)), *_without_choices(argv)]) if found else list(argv)
    if resume in ("", "null"):
        return list(argv)
    folder = run_folder_of(Path(resume))
    for word in argv:
        key = word.partition("=")[0].lstrip("+~")
        if "=" in word and key in groups():
            raise ExpError(
                f"{word} cannot change a run that goes on: {folder} keeps the parts it was started with. "
                f"Leave it out, or start a new run without resume"
            )
    return [
        "--config-path",
        str(folder / ".hydra"),
        "--config-name",
        "config",
        *argv,
        f"resume={quoted(Path(resume).expanduser().resolve())}",
        f"hydra.run.dir={quoted(folder)}",
        "hydra.output_subdir=null",  # the default of Hydra's own config, which has no train.yaml here, is another
        # The saved config has no Hydra node, so what train.yaml says there is said again.
        "hydra.job.name=train",
        "hydra/job_logging=none",
        "hydra/hydra_logging=none",
        "+hydra.callbacks.exp._target_=exp.training.launch.Claim",
    ]


def _newest_interrupted(argv: Sequence[str]) -> Path | None:
    """The newest run below outputs/ that `argv` would repeat and that was stopped before its end."""
    from hydra import compose, initialize_config_dir

    from exp.training.resume import interrupted_run

    with initialize_config_dir(str(conf_dir()), job_name="train"):
        words = [word for word in argv if not word.startswith("-")]
        cfg = compose("train", overrides=words, return_hydra_config=True)
        root = Path(written_dir(cfg, "run").partition(TIME)[0])
        return interrupted_run(plain(cfg), root) if root.is_dir() else None


def _without_choices(argv: Sequence[str]) -> list[str]:
    """Without the words that chose the run's parts, which the saved config holds, and without resume."""
    return [word for word in argv if word.partition("=")[0].lstrip("+~") not in {"resume", *groups()}]


def plain(cfg: DictConfig) -> dict[str, Any]:
    """Resolved and without Hydra's node, as a run records its config."""
    own = OmegaConf.masked_copy(cfg, [str(key) for key in cfg if key != "hydra"])
    return OmegaConf.to_container(own, resolve=True)  # type: ignore[return-value]


def run_folder_of(path: Path) -> Path:
    """The run folder that `path` is or lies in (a checkpoint), absolute."""
    path = path.expanduser().resolve()
    if not path.exists():
        raise ExpError(f"resume={path}: no such folder; give a run folder (it holds run.json) or a checkpoint in one")
    for folder in (path, *path.parents[:2]):
        if (folder / "run.json").exists() and (folder / ".hydra" / "config.yaml").exists():
            return folder
    if (path / ".hydra").is_dir():
        raise ExpError(
            f"resume={path}: the run was ended before it wrote run.json, so there is nothing to go on with; start it "
            f"again by its own command (hydra.run.dir={path} may stay as it is)"
        )
    raise ExpError(f"resume={path}: neither a run folder nor a checkpoint in one (no run.json beside .hydra there)")


def quoted(path: Path) -> str:
    """A path as Hydra's override grammar takes it, whatever characters it has."""
    return QuotedString(literal(path), Quote.single).with_quotes()


def literal(path: Path) -> str:
    """The path as a config value in which nothing is interpolated."""
    return str(path).replace("${", "\\${")


def written_dir(config: DictConfig, kind: str) -> str:
    """The folder's name as the YAML has it, before the time is filled in."""
    node: Any = OmegaConf.to_container(config.hydra[kind], resolve=False)
    return node["dir"]

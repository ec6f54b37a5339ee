"""What a launcher needs before a sweep begins: its package, its engine, and hardware that exists. Light: no engine is
imported, except to ask a Ray cluster what it has."""

from __future__ import annotations

import importlib.util
import os
import shutil
import socket
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from exp.errors import ExpError
from exp.run.environment import gpus

# What an option's name begins with -> (package, our extra).
PACKAGES = {
    "submitit": ("hydra-submitit-launcher", "submitit"),
    "slurm": ("hydra-submitit-launcher", "submitit"),
    "ray": ("hydra-ray-launcher", "ray"),
    "joblib": ("hydra-joblib-launcher", "joblib"),
}

CONNECT_SECONDS = 10.0  # seconds for the head of a Ray cluster to take a connection


def package_missing(option: str) -> ExpError | None:
    """For an option of the group hydra/launcher that Hydra does not find: which package would bring it."""
    for start, (package, extra) in PACKAGES.items():
        if option.startswith(start) and importlib.util.find_spec(f"hydra_plugins.hydra_{extra}_launcher") is None:
            return ExpError(
                f"hydra/launcher={option} needs the package {package}, which is not installed: "
                f"pip install 'exp[{extra}]'"
            )
    return None


def check_launcher(config: DictConfig) -> None:
    """Raises ExpError where the sweep in `config` could not start a single job."""
    option = str(config.hydra.runtime.choices.get("hydra/launcher"))
    launcher: Any = OmegaConf.to_container(config.hydra.launcher, resolve=True)
    target = str(launcher.get("_target_", ""))
    if target.endswith(".SlurmLauncher") and shutil.which("sbatch") is None:
        raise ExpError(
            f"hydra/launcher={option} submits jobs to SLURM, and there is no sbatch on this machine. Start it on a "
            f"login node of the cluster; to run it here, leave the launcher out or take hydra/launcher=submitit_local"
        )
    if "submitit" in target:
        tasks = (launcher.get("tasks_per_node") or 1) * (launcher.get("nodes") or 1)
        if tasks > 1 and config.hydra.runtime.choices.get("hydra/sweeper") != "study":
            raise ExpError(
                f"hydra/launcher={option} with {tasks} tasks a job would train every run {tasks} times in one folder: "
                f"set hydra.launcher.tasks_per_node=1, or search with hydra/sweeper=study, whose workers share a node"
            )
    if target.endswith(".RayLauncher"):
        _check_ray(option, launcher["ray"])
        if not launcher["ray"]["init"].get("address"):
            # Else Ray goes to the last cluster that was started on this machine, also to one long gone.
            os.environ.setdefault("RAY_ADDRESS", "local")


def engine_error(error: BaseException) -> ExpError | None:
    """The error of SLURM or Ray in one line; None for any other error."""
    engine = type(error).__module__.partition(".")[0]
    if engine not in ("submitit", "ray"):
        return None
    return ExpError(f"hydra/launcher: {engine} says: {main_line(error)}")


def main_line(error: BaseException) -> str:
    """The most telling line of an error's text. A remote error's text ends with the error, after its traceback."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip(" -")]
    named = [line for line in lines if "rror" in line.partition(" ")[0]]
    return (named or lines or [type(error).__name__])[-1][:400]


def _check_ray(option: str, settings: dict[str, Any]) -> None:
    """Refuses a task that asks for more than any node has; it would wait for ever."""
    asked = {name: settings["remote"].get(f"num_{name}s") or 0 for name in ("cpu", "gpu")}
    address = settings["init"].get("address") or os.environ.get("RAY_ADDRESS")
    if address == "local":
        address = None  # one that starts with the sweep
    where = f"the Ray cluster at {address}" if address else "this machine"
    nodes = (
        _cluster_resources(option, settings["init"], where) if address else [_local_resources(settings["init"], asked)]
    )
    if not any(all(node[name] >= asked[name] for name in asked) for node in nodes):
        most = {name: max((node[name] for node in nodes), default=0) for name in asked}
        raise ExpError(
            f"hydra/launcher={option}: a task asks for {asked['cpu']:g} CPUs and {asked['gpu']:g} GPUs, and no node of "
            f"{where} has them (at most {most['cpu']:g} and {most['gpu']:g}), so it would wait for ever: lower "
            f"hydra.launcher.ray.remote.num_cpus and num_gpus, or add a node first"
        )


def _local_resources(init: dict[str, Any], asked: dict[str, float]) -> dict[str, float]:
    cpus, given = init.get("num_cpus"), init.get("num_gpus")
    return {
        "cpu": (os.cpu_count() or 1) if cpus is None else cpus,
        "gpu": given if given is not None else len(gpus()) if asked["gpu"] else 0,
    }


def _check_reachable(address: str) -> None:
    """Raises OSError where nobody listens. Ray itself goes on trying for minutes."""
    if address == "auto":
        noted = Path(os.environ.get("RAY_TMPDIR", "/tmp")) / "ray" / "ray_current_cluster"  # as Ray finds it
        default = noted.read_text().strip() if noted.exists() else ""
        address = os.environ.get("RAY_ADDRESS", default)
    host, _, port = address.rpartition("//")[2].rpartition(":")
    if port.isdecimal():
        socket.create_connection((host, int(port)), CONNECT_SECONDS).close()


def _cluster_resources(option: str, init: dict[str, Any], where: str) -> list[dict[str, float]]:
    import ray

    try:
        _check_reachable(str(init.get("address") or os.environ["RAY_ADDRESS"]))
        if not ray.is_initialized():  # the launcher takes this connection
            ray.init(**init)
    except Exception as error:
        raise ExpError(
            f"hydra/launcher={option}: cannot reach {where} ({main_line(error)}). Set hydra.launcher.ray.init.address "
            f"to its head, or take hydra/launcher=ray for a Ray on this machine"
        ) from error
    alive = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    return [{"cpu": node.get("CPU", 0), "gpu": node.get("GPU", 0)} for node in alive]

"""Names of Hydra that are not public, each with the reason. tests/compat/test_hydra.py notices a change."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from hydra.core.global_hydra import GlobalHydra

if TYPE_CHECKING:
    from hydra.core.config_loader import ConfigLoader
    from hydra.core.utils import JobReturn
    from hydra.plugins.config_source import ConfigSource
    from hydra.types import HydraContext
    from omegaconf import DictConfig


def flags_parser() -> ArgumentParser:
    """Hydra's own parser of --multirun, --cfg and the like: its flags and their short names stay the ones known."""
    from hydra._internal.utils import get_args_parser

    return get_args_parser()


def show(name: str, given: Namespace) -> None:
    """What `hydra.main` does for --help, --cfg and the like; it takes no search path of several folders.

    Args:
        name: The primary config.
        given: What `flags_parser` has read; one of its flags is set.
    """
    hydra = GlobalHydra.instance().hydra
    assert hydra is not None
    if given.help:
        hydra.app_help(config_name=name, args_parser=flags_parser(), args=given)
    elif given.hydra_help:
        hydra.hydra_help(config_name=name, args_parser=flags_parser(), args=given)
    elif given.cfg:
        hydra.show_cfg(name, given.overrides, given.cfg, given.package, given.resolve)
    elif given.shell_completion:
        hydra.shell_completion(name, given.overrides)
    else:
        hydra.show_info(given.info, name, given.overrides)


def context(loader: ConfigLoader, whitelist: tuple[str, ...]) -> HydraContext:
    """What launchers and sweepers get. No callbacks: Hydra turns their exceptions into warnings, and a config names
    them."""
    from hydra._internal.callbacks import Callbacks
    from hydra.types import HydraContext

    return HydraContext(config_loader=loader, callbacks=Callbacks(), execution_whitelist=whitelist)


def returned(job: JobReturn) -> Any:
    """What the job's task returned; raises what it raised.

    The public `return_value` raises as well, but prints "Error executing job with overrides" first.
    """
    from hydra.core.utils import JobStatus

    if job.status != JobStatus.COMPLETED:
        raise job._return_value
    return job._return_value


@contextmanager
def quiet_failures() -> Iterator[None]:
    """Hydra's plain sweeper reads `return_value` of every job, and the property prints before it raises."""
    from hydra.core.utils import JobReturn

    kind: Any = JobReturn
    before = kind.return_value
    kind.return_value = property(returned, before.fset)
    try:
        yield
    finally:
        kind.return_value = before


def loader_of(sources: Iterable[tuple[str, str]]) -> ConfigLoader:
    """A loader over (provider, address) pairs, in order. The public ways make the one loader of the process."""
    from hydra._internal.config_loader_impl import ConfigLoaderImpl
    from hydra._internal.config_search_path_impl import ConfigSearchPathImpl

    search_path = ConfigSearchPathImpl()
    for provider, address in sources:
        search_path.append(provider, address)
    return ConfigLoaderImpl(search_path)


def sources_of(loader: ConfigLoader) -> list[ConfigSource]:
    """Those of `hydra.searchpath` too, which only the repository that composed a sweep's config knows."""
    repository = getattr(loader, "_active_repository", None)
    return list(repository.get_sources() if repository is not None else loader.get_sources())


def put_values(config: DictConfig, overrides: Sequence[str]) -> bool:
    """Puts values into a composed config, as Hydra does after it has merged the options.

    Returns:
        False, with `config` in any state, where one of them does not fit or is a sweep.
    """
    from hydra._internal.config_loader_impl import ConfigLoaderImpl
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    try:
        parsed = OverridesParser.create().parse_overrides(list(overrides))
        if any(one.is_sweep_override() for one in parsed):
            return False
        ConfigLoaderImpl._apply_overrides_to_config(parsed, config)
    except HydraException:
        return False
    return True

"""Names of hydra-optuna-sweeper that are not public. tests/compat/test_hydra_optuna_sweeper.py notices a change.

Its whole implementation lies in a private module. We use its parser, so that a sweep means the same with our sweeper
and with `hydra/sweeper=optuna`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from optuna.distributions import BaseDistribution

from hydra_plugins.hydra_optuna_sweeper import _impl


def parsed(overrides: Sequence[str]) -> tuple[dict[str, BaseDistribution], dict[str, Any], list[str]]:
    """Overrides of the command line, as the plain sweeper reads them.

    Returns:
        distributions by key, fixed values by key, and the overrides that delete a key.
    """
    return _impl.create_params_from_overrides(list(overrides))


def grid_values(distribution: BaseDistribution) -> Sequence[Any]:
    """All values of one parameter, as the plain sweeper's grid takes them. Raises ValueError for an interval."""
    return _impl.OptunaSweeperImpl._to_grid_sampler_choices(distribution)

"""Names of W&B that are not public, each with the reason. tests/compat/test_wandb.py notices a change."""

from __future__ import annotations

# What W&B itself writes into configs and histories. Its documentation names some of these keys, no API gives them.
CONFIG_NODE = "_wandb"
STEP = "_step"
RUNTIME = "_runtime"  # seconds
MEDIA_TYPE = "._type"  # a picture `x` is logged as x._type, x.width and so on
# Settings that W&B marks as its own business: listing the packages costs most of init's time.
NO_PACKAGES = {"x_save_requirements": False}


def is_own(key: str) -> bool:
    """Whether W&B has added `key` to a history row."""
    return key.startswith("_")


def has_key(host: str) -> bool:
    """Whether an API key for `host` is at hand, without asking and without storing anything.

    The public `wandb.login(prompt=False)` rewrites the user's settings file.

    Raises:
        wandb.errors.AuthenticationError: there is one that is not valid.
    """
    from wandb.sdk.lib import wbauth

    return wbauth.authenticate_session(host=host, source="exp", prompt=False, update_session=False) is not None

"""A trained model on the Hugging Face Hub."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from exp.errors import ExpError
from exp.run.said import command, near
from exp.run.secrets import secrets

log = logging.getLogger(__name__)


def check_target(repo_id: str | None) -> str:
    """Raises ExpError for a push that cannot work: no name, no token, no network. Asks nobody."""
    from huggingface_hub import constants, get_token
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id

    if repo_id is None:
        raise ExpError("hub.push=true needs hub.repo_id=<owner>/<name>, where the model goes on the Hub")
    try:
        validate_repo_id(repo_id)
    except HFValidationError as error:
        raise ExpError(f"hub.repo_id={repo_id}: {str(error).splitlines()[0]}") from None
    if "/" not in repo_id:
        raise ExpError(f"hub.repo_id={repo_id} names no owner; write <owner>/{repo_id}")
    if constants.HF_HUB_OFFLINE:
        raise ExpError(
            "HF_HUB_OFFLINE is set, so nothing can be pushed: unset it, or push later with python -m exp.share"
        )
    if get_token() is None:
        raise ExpError(
            "a push needs a token of the Hub that may write, and there is none: hf auth login, or set HF_TOKEN"
        )
    return repo_id


@dataclass(frozen=True)
class Hub:
    """What a run does with its model when it is complete."""

    push: bool
    repo_id: str | None
    private: bool

    def __post_init__(self) -> None:
        if self.push:
            check_target(self.repo_id)

    def share(self, folder: Path) -> None:
        """Pushes the run's model where that was asked. A Hub that fails costs a warning, never the run."""
        if not self.push:
            return
        assert self.repo_id is not None, "checked before the run"
        try:
            log.info("pushed to %s", upload(folder, self.repo_id, self.private))
        except ExpError as error:
            log.warning(
                "%s. The run is complete; push it later: %s",
                error,
                command("share", near(folder), f"repo_id={self.repo_id}"),
            )


def upload(folder: Path, repo_id: str, private: bool) -> str:
    """The files of model/ as one commit; returns the address. An existing repository keeps its visibility.

    Raises ExpError where the Hub refuses or cannot be reached, and where a file holds a secret of the environment.
    """
    from huggingface_hub import HfApi

    from exp.saved.card import refresh

    model = folder / "model"
    refresh(folder, repo_id)
    _refuse_secrets(model)
    api = HfApi(library_name="exp")
    with _hub_errors(repo_id):
        address = api.create_repo(repo_id, private=private, exist_ok=True)
        api.upload_folder(repo_id=repo_id, folder_path=model, commit_message=f"run {folder.name}, by exp")
    return str(address)


def upload_results(folder: Path, repo_id: str, private: bool) -> str:
    """The files of a table's row (exp.analysis.tables.publish) as one commit; returns the address.

    A card that is there stays as it is, but for the numbers of the same data in its metadata. Raises ExpError as
    `upload` does.
    """
    from huggingface_hub import HfApi, ModelCard
    from huggingface_hub.repocard import metadata_update

    _refuse_secrets(folder)
    api = HfApi(library_name="exp")
    said = f"results of {folder.name}, by exp"
    with _hub_errors(repo_id):
        address = api.create_repo(repo_id, private=private, exist_ok=True)
        has_card = api.file_exists(repo_id, "README.md")
        ignored = ["README.md"] if has_card else None
        api.upload_folder(repo_id=repo_id, folder_path=folder, commit_message=said, ignore_patterns=ignored)
        if has_card:
            index = ModelCard.load(folder / "README.md").data.to_dict()["model-index"]
            metadata_update(repo_id, {"model-index": index}, overwrite=True, commit_message=said)
    return str(address)


def _refuse_secrets(folder: Path) -> None:
    for file in sorted(folder.rglob("*")):
        if file.is_file() and file.suffix != ".safetensors":
            content = file.read_bytes()
            if any(secret.encode() in content for secret in secrets()):
                raise ExpError(f"{file} holds the value of a token or key of the environment; it is not pushed")


@contextmanager
def _hub_errors(repo_id: str) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, RuntimeError) as error:  # what httpx and huggingface_hub raise are among these
        raise ExpError(f"the Hub did not take {repo_id}: {_first_line(error)}") from error
    except Exception as error:
        if not type(error).__module__.startswith(("httpx", "httpcore")):  # httpx2 and httpcore2 as well
            raise
        raise ExpError(f"the Hub cannot be reached for {repo_id}: {_first_line(error)}") from error


def _first_line(error: Any) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]

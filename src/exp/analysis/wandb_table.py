"""A comparison as a table run in W&B."""

from __future__ import annotations

from typing import Any

from exp.analysis.comparison import Comparison
from exp.analysis.table import Table
from exp.errors import ExpError


def log_comparison(comparison: Comparison, tables: list[Table], project: str) -> str:
    """One W&B run of job type `comparison` with a table a task. Returns where it is.

    Online or offline as WANDB_MODE says; without a key W&B would ask or raise, so it is offline then.
    """
    import wandb

    if "/" in project:
        raise ExpError(
            f"--log-wandb {project!r}: a project's name alone, without a slash (WANDB_ENTITY names the owner)"
        )
    try:
        mode = _mode()
        run = wandb.init(
            project=project,
            job_type="comparison",
            name="comparison " + comparison.created,
            config={"sources": list(comparison.sources), "runs": [run.id for run in comparison.runs]},
            mode=mode,
            reinit="finish_previous",
            settings=wandb.Settings(silent=True, console="off", allow_offline_artifacts=False),
        )
        for table in tables:
            columns = [column.title for column in table.columns]
            if len(set(columns)) < len(columns):
                columns = [column.key for column in table.columns]
            name = table.title.partition(":")[0]
            run.log({f"comparison/{name}": wandb.Table(columns=columns, data=[list(row) for row in table.rows])})
            run.summary[f"notes/{name}"] = "\n".join(table.notes)
        where = run.url if mode == "online" else run.dir.removesuffix("/files")
        run.finish()
    except wandb.errors.Error as error:
        told = str(error).strip().splitlines()[0]
        raise ExpError(f"--log-wandb: {told}; WANDB_MODE=offline writes it here to sync later") from error
    return f"{where} (offline; upload with: wandb sync {where})" if mode == "offline" else str(where)


def _mode() -> Any:
    """WANDB_MODE or what `wandb offline` left; offline where online has no key."""
    import wandb

    from exp.compat.wandb import has_key

    settings = wandb.setup(settings=wandb.Settings(silent=True)).settings
    if settings.mode != "online":
        return settings.mode
    return "online" if has_key(settings.base_url) else "offline"

"""`wandb:entity/project[/group]` through W&B's public API."""

from __future__ import annotations

from exp.analysis.collection import Collection, Problem
from exp.analysis.run_data import RunData
from exp.analysis.wandb_run import ABOUT_RUNS, to_run, unpacked
from exp.errors import ExpError

PAGE = 1000  # history rows a request; W&B's own default


def read_project(source: str, found: Collection) -> None:
    """Adds every run with its full history, page by page; WANDB_BASE_URL and WANDB_API_KEY say where and who.

    Raises ExpError without a key, for a path that is none, and when the server refuses.
    """
    entity, project, group = _parts(source)
    import wandb

    try:
        api = wandb.Api(timeout=60)
        asked = api.runs(f"{entity}/{project}", filters={"group": group} if group else None, lazy=False)
        for run in asked:
            if run.job_type in ABOUT_RUNS:
                continue
            name = f"wandb:{entity}/{project}/{run.id}"
            try:
                found.runs.append(_run(run, name))
            except (wandb.errors.Error, ValueError, KeyError, TypeError) as error:
                found.problems.append(Problem(name, _first_line(error)))
    except (wandb.errors.Error, ValueError) as error:
        raise ExpError(f"{source}: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    told = str(error).strip().splitlines()
    return told[0] if told else type(error).__name__


def _parts(source: str) -> tuple[str, str, str | None]:
    parts = source.removeprefix("wandb:").strip("/").split("/")
    if len(parts) not in (2, 3) or not all(parts):
        raise ExpError(f"{source!r} is no W&B source; write wandb:entity/project or wandb:entity/project/group")
    return parts[0], parts[1], parts[2] if len(parts) == 3 else None


def _run(run, source: str) -> RunData:  # type: ignore[no-untyped-def]
    return to_run(
        source=source,
        id=run.id,
        state=run.state,
        config=unpacked(run.config),
        summary=dict(run.summary),
        group=run.group,
        created=run.created_at,
        rows=run.scan_history(page_size=PAGE, use_cache=False),
    )

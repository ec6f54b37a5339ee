"""python -m exp.tracker.workspace exp lr-study --metric accuracy

A W&B report that compares the conditions of a group, seeds averaged. Needs a key, the network and the extra
`workspaces`; it makes the report as a draft and prints where it is.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from exp.errors import ExpError
from exp.run.exits import plain_exits

if TYPE_CHECKING:
    import wandb_workspaces.reports.v2 as wr


def build_report(project: str, group: str, metric: str, entity: str = "") -> wr.Report:
    """`metric` without its prefix (`accuracy`). Nothing is sent; `.save()` sends it.

    Raises ExpError if wandb-workspaces is not installed, or if `group` holds both kinds of quotes.
    """
    try:
        import wandb_workspaces.reports.v2 as wr
    except ImportError:
        raise ExpError("a report needs the package wandb-workspaces: pip install 'exp[workspaces]'") from None

    if "'" in group and '"' in group:
        raise ExpError(f"group {group!r}: W&B's filter cannot hold a name with both kinds of quotes")
    quote = '"' if "'" in group else "'"
    runs = wr.Runset(
        project=project,
        entity=entity,
        name=group,
        filters=f"Metric('group') == {quote}{group}{quote}",
        groupby=["config.condition"],
    )
    best = wr.SummaryMetric(f"best/{metric}")
    panels = [
        wr.LinePlot(title=f"eval/{metric}: mean and deviation of the seeds", x="step", y=[f"eval/{metric}"]),
        wr.LinePlot(title="eval/loss", x="step", y=["eval/loss"]),
        wr.LinePlot(title="train/loss", x="step", y=["train/loss"]),
        wr.BarPlot(title=f"best {metric}", metrics=[best], groupby_aggfunc="mean", groupby_rangefunc="stddev"),
        wr.RunComparer(diff_only="split"),
    ]
    for panel in panels[:3]:
        panel.groupby_aggfunc, panel.groupby_rangefunc = "mean", "stddev"
    return wr.Report(
        project=project,
        entity=entity,
        title=f"{group}: {metric}",
        description=f"Runs of the group {group}, one line a condition.",
        blocks=[wr.PanelGrid(runsets=[runs], panels=panels)],
        width="fluid",
    )


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m exp.tracker.workspace", description=__doc__)
    parser.add_argument("project", help="project, or entity/project")
    parser.add_argument("group", help="a study's or table's name, or a condition hash")
    parser.add_argument("--metric", required=True, help="as in eval/<metric>, e.g. accuracy")
    given = parser.parse_args(argv)
    with plain_exits():
        entity, _, project = given.project.rpartition("/")
        report = build_report(project, given.group, given.metric, entity)
        try:
            report.save(draft=True)
        except Exception as error:  # the package raises plain ones: no key, no such project, no network
            raise ExpError(f"W&B did not take the report of {given.project}: {error}") from error
        print(report.url)


if __name__ == "__main__":
    main()

"""python -m exp.tracker.workspace exp lr-study metric=accuracy

A W&B report that compares the conditions of a group, seeds averaged. Needs a key, the network and the extra
`workspaces`; it makes the report as a draft and prints where it is.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from exp.errors import ExpError
from exp.options import arguments
from exp.options.arguments import Option
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


GRAMMAR = arguments.Grammar(
    doc=f"{__doc__}\nThe words are a project (or entity/project), and a study's or table's name or a condition's hash.",
    bare="PROJECT or GROUP",
    least=2,
    most=2,
    options={"metric": Option("as in eval/<metric>, e.g. accuracy")},
)


def main(argv: list[str] | None = None) -> None:
    with plain_exits():
        given = arguments.parse(sys.argv[1:] if argv is None else argv, GRAMMAR)
        (where, group) = given.bare
        if "metric" not in given:
            raise ExpError("metric=... is not given; it is as in eval/<metric>, e.g. accuracy")
        entity, _, project = where.rpartition("/")
        report = build_report(project, group, given["metric"], entity)
        try:
            report.save(draft=True)
        except Exception as error:  # the package raises plain ones: no key, no such project, no network
            raise ExpError(f"W&B did not take the report of {where}: {error}") from error
        print(report.url)


if __name__ == "__main__":
    main()

"""A report on data as lines for a terminal, and as a page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from exp.data_report.features import Lengths
from exp.data_report.report import DataReport
from exp.data_report.rows import Finding, SplitReport
from exp.run.said import counted

LABELS = 12  # of each split that are listed
Block = tuple[str, list[str], list[list[str]], list[str]]  # title, header, rows, lines below


def blocks(report: DataReport) -> list[Block]:
    return [
        (
            f"{report.name}: task={report.task}, as model={report.model} reads it",
            ["file", "read as"],
            [[path, how] for path, how in report.files.items()],
            [],
        ),
        _splits(report),
        _labels(report),
        _lengths(report),
        ("odd rows", [], [], list(_findings(report))),
        ("in train and in another split", [], [], list(_leaks(report))),
        ("what the model is shown", [], [], list(_examples(report))),
    ]


def text(report: DataReport) -> str:
    parts = []
    for title, header, rows, lines in blocks(report):
        if not rows and not lines:
            continue
        told = [title, *(f"  {line}" for line in _aligned([header, *rows] if header else rows)), *lines_in(lines)]
        parts.append("\n".join(told))
    return "\n\n".join(parts)


def lines_in(lines: Sequence[str]) -> list[str]:
    return [f"  {line}" for line in lines]


def body(report: DataReport) -> str:
    """HTML, everything from the data escaped."""
    parts = [
        f'<header class="top"><h1>{escape(report.name)}</h1><button type="button" data-theme-toggle>Dark mode'
        "</button></header><main>"
    ]
    for title, header, rows, lines in blocks(report):
        if not rows and not lines:
            continue
        parts.append(f"<section><h2>{escape(title)}</h2>")
        if rows:
            head = "".join(f"<th{_kind(rows, at)}>{escape(cell)}</th>" for at, cell in enumerate(header))
            cells = "".join(
                "<tr>" + "".join(f"<td{_kind(rows, at)}>{escape(cell)}</td>" for at, cell in enumerate(row)) + "</tr>"
                for row in rows
            )
            table = f"<table><thead><tr>{head}</tr></thead><tbody>{cells}</tbody></table>"
            parts.append(f'<div class="scroll">{table}</div>')
        if lines:
            parts.append(f'<ul class="notes">{_items(lines)}</ul>')
        parts.append("</section>")
    return "\n".join([*parts, "</main>"])


def _items(lines: Sequence[str]) -> str:
    """Indented lines are a list inside the line before them."""
    found: list[tuple[str, list[str]]] = []
    for line in lines:
        if line.startswith(" ") and found:
            found[-1][1].append(f"<li>{escape(line.strip())}</li>")
        else:
            found.append((escape(line.strip()), []))
    return "".join(f"<li>{told}{f'<ul>{chr(10).join(inner)}</ul>' if inner else ''}</li>" for told, inner in found)


def _kind(rows: Sequence[Sequence[str]], at: int) -> str:
    numbers = all(row[at][:1].isdigit() or row[at] in ("", "–") for row in rows)
    return ' class="num"' if numbers else ' class="long"'


def _aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    if not rows:
        return
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    for row in rows:
        cells = (
            cell.ljust(width) if at == 0 else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        yield "  ".join(cells).rstrip()


def _splits(report: DataReport) -> Block:
    rows = [[split.name, f"{split.rows:,}", "yes" if split.labelled else "no"] for split in report.splits]
    return ("rows", ["split", "rows", "labelled"], rows, [])


def _labels(report: DataReport) -> Block:
    labelled = [split for split in report.splits if split.labels is not None]
    if not labelled:
        return ("labels", [], [], [])
    first: SplitReport = labelled[0]
    assert first.labels is not None
    totals = {split.name: split.rows if split.several else sum((split.labels or {}).values()) for split in labelled}
    ranked = sorted(first.labels, key=lambda label: -(first.labels or {})[label])
    rows = [
        [
            label,
            *(
                f"{(split.labels or {})[label]:,} ({(split.labels or {})[label] / max(1, totals[split.name]):.1%})"
                for split in labelled
            ),
        ]
        for label in ranked[:LABELS]
    ]
    lines = [f"and {len(ranked) - LABELS} more"] if len(ranked) > LABELS else []
    if first.several:
        lines.append("a row may have several labels; shares are of rows")
    if report.seen:
        lines.append(f"train lacks labels of other splits: {', '.join(report.seen[:LABELS])}")
    return ("labels", ["label", *(split.name for split in labelled)], rows, lines)


def _lengths(report: DataReport) -> Block:
    found = report.features
    header = ["split", "looked at", "mean", "median", "95%", "longest", "cut"]
    rows = [
        [
            one.split,
            f"{one.looked_at:,}",
            f"{one.mean:.1f}",
            f"{one.median:.0f}",
            f"{one.p95:.0f}",
            f"{one.longest:,}",
            _cut(one),
        ]
        for one in found.lengths
    ]
    random, grouped = found.padding["random"], found.padding["length_grouped"]
    lines = [
        f"max_length is {found.lengths[0].limit}",
        f"padding: {random:.1%} of a random batch of {found.batch_size}; {grouped:.1%} with batching=length_grouped",
    ]
    return ("tokens a row", header, rows, lines)


def _cut(one: Lengths) -> str:
    if one.windows:
        return f"0, {one.windows:,} in several windows"
    if one.cut is None:
        return f"{one.at_limit:,} at the limit" if one.at_limit else "–"
    return f"{one.cut:,} ({one.cut / one.looked_at:.1%})" if one.cut else "0"


def _findings(report: DataReport) -> Iterator[str]:
    nothing = True
    for split in report.splits:
        for finding in split.findings:
            nothing = False
            yield from _finding(split.name, finding)
    if nothing:
        yield "none: no empty or repeated rows, no strange signs, no label that occurs once"


def _finding(split: str, finding: Finding) -> Iterator[str]:
    what = finding.what if finding.count > 1 else _singular(finding.what)
    yield f"{split}: {finding.count:,} {what}"
    for id, told in finding.rows:
        yield f"  {id}: {told!r}"


def _singular(what: str) -> str:
    """Of a finding that begins with what is counted."""
    for many, one in (
        ("rows that look", "row that looks"),
        ("rows ", "row "),
        ("labels that occur", "label that occurs"),
    ):
        if what.startswith(many):
            return one + what.removeprefix(many)
    return what


def _leaks(report: DataReport) -> Iterator[str]:
    if report.repeated:
        rows = sum(split.rows for split in report.splits)
        yield f"all splits: {report.repeated:,} of {counted(rows, 'row')} repeat the text of an earlier one"
    for name, leaks in report.leaks.items():
        more = len(report.normalised[name].rows) - len(leaks.rows)
        label = f" ({leaks.same_label:,} with the same label)" if leaks.same_label >= 0 and leaks.rows else ""
        also = f"; {more:,} more where only letters and digits count" if more > 0 else ""
        yield f"{name}: {len(leaks.rows):,} of {counted(leaks.n, 'row')} stand in train{label}{also}"
        for id, told in report.leaked[name]:
            yield f"  {id}: {told!r}"
        for column, (count, values) in report.columns.get(name, {}).items():
            if count:
                yield f"{name}: {counted(values, 'value')} of {column} ({counted(count, 'row')}) stand in train too"
        pairs = (report.near or {}).get(name, ())
        if report.near is not None:
            yield f"{name}: {len(pairs):,} nearly stand in train (0.8 of their word 3-grams or more)"
        for own, other, share in pairs[:3]:
            yield f"  {share:.2f}: {own[:70]!r} and {other[:70]!r}"


def _examples(report: DataReport) -> Iterator[str]:
    for shown in report.features.examples:
        yield f"{shown.row}:"
        for name, told in shown.fields.items():
            yield f"  {name}: {told}"

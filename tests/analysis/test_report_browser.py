"""The page in headless Chromium, from disk and without a network."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from tests.analysis.page import click, head, rows, wait

EVIL = "<script>alert(1)</script>"  # in a note of a run

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (shutil.which("chromium") and shutil.which("chromedriver")),
        reason="needs Debian's chromium and chromium-driver",
    ),
]


def test_a_click_and_the_keyboard_sort(opened):
    from selenium.webdriver.common.keys import Keys

    column = head(opened, "lr")
    button = click(opened, f"#table thead th:nth-child({column + 1}) button")
    assert rows(opened, column - 1) == ["0.001", "1e-4", "5e-5"]
    assert opened.execute_script("return document.activeElement.textContent") == "lr"
    button.send_keys(Keys.ENTER)
    assert rows(opened, column - 1) == ["5e-5", "1e-4", "0.001"]
    assert opened.execute_script("return document.querySelector('#table th[aria-sort]').ariaSort") == "ascending"


def test_a_filter_hides_rows_and_takes_curves_away(opened):
    drawn = "return document.querySelector('#charts .plot').data.length"
    before = opened.execute_script(drawn)
    click(opened, "#filter").send_keys("lr<0.0005")
    wait(opened, "return document.getElementById('status').textContent.startsWith('2 of 3')")
    assert rows(opened, head(opened, "lr") - 1) == ["1e-4", "5e-5"]
    wait(opened, f"return document.querySelector('#charts .plot').data.length < {before}")
    opened.find_element("id", "filter").send_keys(" verdict=converged")  # the cells say "3 converged"
    wait(opened, "return document.getElementById('status').textContent.startsWith('2 of 3')")
    opened.find_element("id", "filter").send_keys(" verdict!=converged")
    wait(opened, "return document.getElementById('status').textContent.startsWith('0 of 3')")


def test_two_runs_are_set_side_by_side(opened):
    click(opened, "#view-runs")
    assert EVIL in rows(opened, 0)  # as text
    names = rows(opened, 0)
    for name in (EVIL, "5e-05-1"):
        click(opened, f"#table tbody tr:nth-child({names.index(name) + 1}) input")
    script = """return [...document.querySelectorAll('#diff-table tr.changed')]
        .map((row) => [...row.cells].map((cell) => cell.textContent))"""
    changed = {key: values for key, *values in opened.execute_script(script)}
    assert changed["optimizer.lr"] == ["0.001", "5e-5"]
    assert changed["optimizer.note"] == [EVIL, "–"]
    assert "optimizer.weight_decay" not in changed
    traces = "document.querySelector('#charts .plot').data"
    wait(opened, f"return {traces}.some((trace) => trace.hovertemplate?.includes('A: &lt;script'))")


def test_axes_smoothing_and_seeds_change_what_is_drawn(opened):
    choose = """const [id, value, event] = arguments;
        document.getElementById(id).value = value;
        document.getElementById(id).dispatchEvent(new Event(event))"""
    first = "document.querySelector('[data-metric=\"train/loss\"] .plot')"
    opened.execute_script(f"{first}.scrollIntoView()")
    wait(opened, f"return {first}.data?.length > 0")
    opened.execute_script(choose, "x", "epoch", "change")
    wait(opened, f"return Math.max(...{first}.data.flatMap((trace) => trace.x)) === 3")
    last = f"return {first}.data.find((trace) => trace.text).y.at(-1)"  # of a mean, not of a band's outline
    before = opened.execute_script(last)
    opened.execute_script(choose, "smooth", "0.9", "input")
    wait(opened, f"{last} !== {before}")
    # The loss falls by 0.01 a point; 30 weights of 0.9 lag by 7.7 points.
    assert opened.execute_script(last) - before == pytest.approx(0.077, abs=0.003)
    opened.execute_script(choose, "band", "each", "change")
    wait(opened, f"return {first}.data.length === 7")
    click(opened, "#logy")
    wait(opened, f"return {first}.layout.yaxis.type === 'log'")
    assert opened.execute_script("return [...document.getElementById('x').options].map((one) => one.value)") == [
        "step",
        "epoch",
        "time",
    ]  # these runs do not know their tokens


def test_the_band_is_the_range_over_seeds(opened):
    plot = "document.querySelector('[data-metric=\"eval/accuracy\"] .plot')"
    wait(opened, f"return {plot}.data?.length > 0")
    traces = opened.execute_script(f"return {plot}.data.map(({{x, y, fill, text}}) => ({{x, y, fill, text}}))")
    told = [trace["text"][1] for trace in traces if trace["text"] and trace["text"][1].endswith("n=3")]
    assert told == ["0.84 [0.83, 0.85] n=3", "0.82 [0.81, 0.83] n=3"]
    assert sorted(max(trace["y"]) for trace in traces if trace["fill"] == "toself") == pytest.approx([0.83, 0.85])


def test_parallel_coordinates_verdicts_and_confusion_matrices_stand(opened):
    opened.execute_script("document.getElementById('parallel').scrollIntoView()")
    wait(opened, "return document.getElementById('parallel-plot').data?.[0].type === 'parcoords'")
    axes = opened.execute_script(
        "return document.getElementById('parallel-plot').data[0].dimensions.map((one) => one.label)"
    )
    assert axes[0] == "lr" and axes[-1] == "best eval/accuracy"
    # What a drag along the axis sends: only the rate 1e-4.
    opened.execute_script("Plotly.restyle('parallel-plot', {'dimensions[0].constraintrange': [[-4.1, -3.9]]})")
    wait(opened, "return document.getElementById('status').textContent.startsWith('1 of 3 conditions, 3 of 7')")
    assert rows(opened, head(opened, "lr") - 1) == ["1e-4"]
    click(opened, "#unbrush")
    assert len(rows(opened, 0)) == 3
    assert "runs" in opened.execute_script("return document.getElementById('verdict-list').textContent")
    cells = opened.execute_script(
        "return [...document.querySelectorAll('table.matrix td')].map((cell) => cell.firstChild.textContent)"
    )
    assert cells == ["1", "0", "1", "0"]


def test_dark_follows_the_system_and_the_button_beats_it(opened):
    paper = "return getComputedStyle(document.body).backgroundColor"
    light = opened.execute_script(paper)
    opened.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": "dark"}]}
    )
    try:
        dark = opened.execute_script(paper)
        assert dark != light
        button = click(opened, "[data-theme-toggle]")
        assert opened.execute_script(paper) == light and button.text == "Dark mode"
    finally:
        opened.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    button.click()
    assert opened.execute_script(paper) == dark


def test_every_control_is_reached_by_tab(opened):
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.keys import Keys

    opened.execute_script("document.activeElement.blur(); scrollTo(0, 0); document.querySelector('.skip').focus()")
    seen = []
    for _ in range(80):
        seen.append(opened.execute_script("return document.activeElement.id || document.activeElement.tagName"))
        ActionChains(opened).send_keys(Keys.TAB).perform()
    wanted = ["view-conditions", "filter", "table", "x", "band", "smooth", "logy", "run-a", "run-b", "only-differing"]
    assert [name for name in seen if name in wanted][: len(wanted)] == wanted


def test_a_narrow_window_scrolls_only_inside_the_table(opened):
    size = {"width": 390, "height": 800, "deviceScaleFactor": 1, "mobile": False}
    opened.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        wait(opened, "return document.documentElement.scrollWidth <= 390")
    finally:
        opened.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_a_view_stands_in_the_address(opened, report_file):
    click(opened, "#view-runs")
    script = """const filter = document.getElementById('filter');
        filter.value = 'completed'; filter.dispatchEvent(new Event('input', {bubbles: true}))"""
    opened.execute_script(script)
    address = wait(opened, "return location.hash.includes('filter') && location.hash")
    assert "view=runs" in address and "filter=completed" in address
    opened.get("about:blank")
    opened.get(report_file.as_uri() + address)
    wait(opened, "return document.querySelectorAll('#charts .scatterlayer path').length > 0")
    pressed = opened.execute_script("return document.getElementById('view-runs').getAttribute('aria-pressed')")
    assert pressed == "true"
    assert opened.execute_script("return document.getElementById('filter').value") == "completed"


def test_rows_are_grouped_opened_by_the_keyboard_and_columns_stay_at_the_left(opened, report_file):
    from selenium.webdriver.common.keys import Keys
    from selenium.webdriver.support.ui import Select

    click(opened, "#view-runs")
    Select(opened.find_element("id", "group")).select_by_visible_text("lr")
    texts = "return [...document.querySelectorAll('#table tr.grouped')].map((row) => row.textContent)"
    one, two, alone = opened.execute_script(texts)
    assert one.startswith("lr = 5e-5 3 runs") and "0.82 ± 0.01 n=3" in one
    assert two.startswith("lr = 1e-4 3 runs") and "0.84 ± 0.01 n=3" in two and alone.startswith("lr = 0.001 1 run")
    shown = "return [...document.querySelectorAll('#table tbody tr:not(.grouped)')].filter((row) => !row.hidden).length"
    assert opened.execute_script(shown) == 0  # collapsed
    button = opened.find_elements("css selector", "#table tr.grouped button")[1]
    button.send_keys(Keys.ENTER)
    assert opened.execute_script(shown) == 3 and button.get_attribute("aria-expanded") == "true"
    opened.execute_script("document.getElementById('columns').open = true")
    opened.find_element("css selector", "#column-chooser [aria-label='keep seed at the left']").send_keys(Keys.ENTER)
    assert opened.execute_script("return document.activeElement.getAttribute('aria-pressed')") == "true"
    places = """const cells = [...document.querySelectorAll('#table thead th')].slice(1, 4);
        return cells.map((one) => [one.textContent, one.classList.contains('pinned')])"""
    assert opened.execute_script(places) == [["run", True], ["seed", True], ["condition", False]]
    moved = """const box = document.getElementById('table'); box.style.width = '300px'; box.scrollLeft = 200;
        const [, run, seed] = [...document.querySelectorAll('#table thead th')].map((th) => th.getBoundingClientRect());
        const left = run.left - box.getBoundingClientRect().left;
        return left >= 0 && left < 3 && Math.abs(seed.left - run.right) < 2"""
    wait(opened, moved)
    address = wait(opened, "return location.hash.includes('pinned') && location.hash")
    opened.get("about:blank")
    opened.get(report_file.as_uri() + address)
    wait(opened, "return document.querySelectorAll('#table tr.grouped').length === 3")
    assert opened.execute_script(shown) == 3 and opened.execute_script(places)[1] == ["seed", True]
    note = opened.execute_script("return document.getElementById('importance-note').textContent")
    assert note.startswith("Told from 10 conditions with a completed run on; here 3 conditions")
    opened.execute_script("document.getElementById('curves').scrollIntoView()")
    wait(opened, "return document.querySelectorAll('#charts .scatterlayer path').length > 0")


def test_columns_are_left_out_shaded_and_saved(opened):
    opened.execute_script("""
        window.saved = null;
        URL.createObjectURL = (blob) => { blob.text().then((text) => { window.saved = text; }); return '#'; };
        const box = [...document.querySelectorAll('#column-chooser label')].find((one) => one.textContent === 'n');
        box.firstChild.click(); document.getElementById('shade').click(); document.getElementById('csv').click();""")
    text = wait(opened, "return window.saved")
    head, *lines = text.split("\n")
    assert head.startswith("condition,") and "n" not in head.split(",") and lines
    cell = "[...document.querySelectorAll('#table tbody td')].some((one) => one.style.background.startsWith('rgba'))"
    assert opened.execute_script(f"return {cell}")


def test_one_run_is_shown_whole_and_a_metric_over_an_option(opened):
    opened.execute_script("""
        const select = document.getElementById('run-a'); select.value = '0';
        select.dispatchEvent(new Event('change', {bubbles: true}))""")
    shown = opened.execute_script("return document.querySelector('#diff-table tbody').textContent")
    assert "optimizer.lr" in shown and "data fingerprint" in shown
    links = opened.execute_script(
        "return [...document.querySelectorAll('#diff-table a')].map((one) => one.textContent)"
    )
    assert links == ["folder", "log", "predictions and errors"]
    opened.execute_script("document.getElementById('scatter').scrollIntoView()")
    wait(opened, "return document.querySelectorAll('#scatter-plot .scatterlayer path').length > 2")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_no_barrier(opened, theme):
    """axe-core's rules (WCAG A and AA, best practices), also on a narrow screen."""
    axe = pytest.importorskip("axe_core_python", reason="needs axe-core-python")
    opened.execute_script(f"document.documentElement.dataset.theme = '{theme}'")
    opened.execute_script((Path(axe.__file__).parent / "axe.min.js").read_text(encoding="utf-8"))
    opened.execute_script("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    opened.set_script_timeout(90)
    run = "const done = arguments[0]; axe.run().then((found) => done(found.violations.map((one) => one.id)))"
    try:
        for width in (1400, 500):
            opened.set_window_size(width, 1000)
            assert opened.execute_async_script(run) == []
    finally:
        opened.set_window_size(1400, 1000)

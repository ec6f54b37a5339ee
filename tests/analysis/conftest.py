"""The report of a few runs in headless Chromium, from disk and without a network."""

from __future__ import annotations

import shutil

import pytest
from tests.analysis.page import wait
from tests.analysis.synthetic import grid, write

from exp.analysis import report
from exp.analysis.collect import collect
from exp.analysis.grouping import compare

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
FLAGS = [
    "headless",
    "no-sandbox",
    "disable-gpu",
    "enable-unsafe-swiftshader",
    "disable-quic",
    "no-first-run",
    "disable-sync",
    "disable-background-networking",
    "disable-component-update",
]


@pytest.fixture(scope="module")
def report_file(tmp_path_factory):
    import pyarrow as pa
    import pyarrow.parquet as parquet

    folder = tmp_path_factory.mktemp("report")
    root = grid(folder / "runs")
    run = write(
        root / "<script>alert(1)<" / "script>", seed=9, optimizer__lr=1e-3, optimizer__note="<script>alert(1)</script>"
    )
    run.predictions.mkdir()
    parquet.write_table(
        pa.table({"label": ["no", "yes"], "prediction": ["no", "no"]}), run.predictions / "eval.parquet"
    )
    report.write(compare(collect([str(root)]), sources=[str(root)]), folder / "report.html")
    return folder / "report.html"


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    webdriver = pytest.importorskip("selenium.webdriver", reason="needs selenium")
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in (*FLAGS, f"user-data-dir={tmp_path_factory.mktemp('profile')}", "window-size=1400,1000"):
        options.add_argument(f"--{flag}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    yield driver
    driver.quit()


@pytest.fixture
def opened(browser, report_file):
    """The page, freshly loaded with its first chart drawn; fails on anything said to the console."""
    browser.get(report_file.as_uri())
    browser.execute_script("localStorage.clear(); delete document.documentElement.dataset.theme")
    browser.execute_script("document.getElementById('curves').scrollIntoView()")
    wait(browser, "return document.querySelectorAll('#charts .scatterlayer path').length > 0")
    yield browser
    assert [entry["message"] for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []

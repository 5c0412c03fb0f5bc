"""The report of a replay in a real browser."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING

import numpy as np
import pytest

from scaler.cli.main import main
from tests.support.browser import LAID_OUT, LEGIBLE, browser, opened

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real report of a noisy daily rhythm with an hourly burst; its name tries to break out of the page."""
    folder = tmp_path_factory.mktemp("report")
    rng = np.random.default_rng(11)
    minutes = np.arange(3 * 1440)
    load = 80 + 50 * np.sin(2 * np.pi * minutes / 1440) + 60 * (minutes % 60 < 5) + rng.gamma(2.0, 4.0, len(minutes))
    trace = folder / "<script src=x>&shop.csv"
    trace.write_text("".join(f"{1767225600 + 60 * n},{value:.2f}\n" for n, value in enumerate(load)))
    out = folder / "report.html"
    assert (
        main(["replay", str(trace), "--target", "10", "--forecaster", "naive", "--html", str(out), "--jobs", "2"]) == 0
    )
    return out


@pytest.mark.parametrize(("scheme", "ground"), [("light", "rgb(255, 255, 255)"), ("dark", "rgb(13, 17, 23)")])
async def test_all_of_it_is_legible_in_light_and_dark(report: Path, tmp_path: Path, scheme: str, ground: str) -> None:
    async with browser(tmp_path) as tab:
        await opened(tab, report, width=1100, scheme=scheme)
        seen = await tab.evaluate(LEGIBLE)
    assert seen["body"] == ground
    assert (seen["faint"], seen["dim"]) == ([], [])
    assert seen["texts"] > 100
    assert seen["lines"] >= 10


@pytest.mark.parametrize("width", [1100, 400])
async def test_every_plot_is_drawn_and_nothing_spills(report: Path, tmp_path: Path, width: int) -> None:
    async with browser(tmp_path) as tab:
        await opened(tab, report, width=width, scheme="light")
        seen = await tab.evaluate(LAID_OUT)
    assert seen["wide"] <= 0
    assert seen["spilled"] == []
    assert seen["empty"] == 0
    assert [label for label in seen["plots"] if label.startswith("load and capacity")] == [
        "load and capacity over time: Foresail at a chosen quantile, headroom 1.07",
        "load and capacity over time: plain KEDA",
        *[label for label in seen["plots"] if label.startswith("load and capacity over time: plain KEDA, headroom")],
        "load and capacity over time: KEDA looking a week back",
    ]
    assert "cost against shortfall" in seen["plots"]
    assert "promised against actual coverage" in seen["plots"]
    assert seen["plots"].count("one event close up") == 4


async def test_the_page_asks_nobody_for_anything_and_names_do_not_break_it(report: Path, tmp_path: Path) -> None:
    async with browser(tmp_path) as tab:
        await opened(tab, report, width=1100, scheme="light")
        heading = await tab.evaluate("document.querySelector('h1').textContent")
        scripts = await tab.evaluate("document.scripts.length")
        asked = [
            event["params"]["request"]["url"] for event in tab.events if event["method"] == "Network.requestWillBeSent"
        ]
        complaints = [
            event
            for event in tab.events
            if event["method"] in ("Log.entryAdded", "Runtime.exceptionThrown", "Runtime.consoleAPICalled")
        ]
    assert heading == "Foresail on <script src=x>&shop"
    assert scripts == 0
    assert asked == [report.as_uri()]
    assert complaints == []


async def test_what_it_says_agrees_with_what_was_run(
    report: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trace = next(report.parent.glob("*.csv"))
    assert main(["replay", str(trace), "--target", "10", "--forecaster", "naive", "--json", "--jobs", "1"]) == 0
    figures = json.loads(capsys.readouterr().out)
    async with browser(tmp_path) as tab:
        await opened(tab, report, width=1100, scheme="light")
        cells = await tab.evaluate("[...document.querySelectorAll('tr.own td')].map(cell => cell.textContent)")
        lead = await tab.evaluate("document.querySelector('.lead').textContent")
        pasted = await tab.evaluate("document.querySelector('pre').textContent")
    assert cells[0] == "Foresail at a chosen quantile, headroom 1.07"
    assert cells[1] == f"{figures['under_provisioned_load']:.3%}"
    assert math.isclose(float(cells[3]), figures["cost_ratio"], abs_tol=5e-4)
    assert cells[5] == str(figures["scale_events"])
    assert cells[1] in lead
    assert 'threshold: "10"' in pasted
    assert 'headroom: "1.07"' in pasted
    assert "quantile" not in pasted  # that of the server's default

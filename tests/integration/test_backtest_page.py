"""The page of a backtest in a real browser."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest

from scaler.cli.main import main
from tests.support.browser import LAID_OUT, LEGIBLE, browser, opened

if TYPE_CHECKING:
    from pathlib import Path

ARGUMENTS = ("--forecaster", "seasonal-profile", "--refit-every", "12h", "--jobs", "1")


@pytest.fixture(scope="module")
def trace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A noisy daily rhythm with an hourly burst and a hole; its name tries to break out of the page."""
    rng = np.random.default_rng(11)
    minutes = np.arange(3 * 1440)
    load = 80 + 50 * np.sin(2 * np.pi * minutes / 1440) + 60 * (minutes % 60 < 5) + rng.gamma(2.0, 4.0, len(minutes))
    load[3500:3530] = np.nan
    path = tmp_path_factory.mktemp("backtest") / "<script src=x>&shop.csv"
    path.write_text("".join(f"{1767225600 + 60 * n},{value:.2f}\n" for n, value in enumerate(load)))
    return path


@pytest.fixture(scope="module")
def page(trace: Path) -> Path:
    out = trace.parent / "page.html"
    assert main(["backtest", str(trace), *ARGUMENTS, "--html", str(out)]) == 0
    return out


@pytest.mark.parametrize(("scheme", "ground"), [("light", "rgb(255, 255, 255)"), ("dark", "rgb(13, 17, 23)")])
async def test_all_of_it_is_legible_in_light_and_dark(page: Path, tmp_path: Path, scheme: str, ground: str) -> None:
    async with browser(tmp_path) as tab:
        await opened(tab, page, width=1100, scheme=scheme)
        seen = await tab.evaluate(LEGIBLE)
    assert seen["body"] == ground
    assert (seen["faint"], seen["dim"]) == ([], [])
    assert seen["texts"] > 150
    assert seen["lines"] >= 4 + 6 + 3  # close up, calibration, by hour


@pytest.mark.parametrize("width", [1100, 400])
async def test_every_plot_is_drawn_and_nothing_spills(page: Path, tmp_path: Path, width: int) -> None:
    async with browser(tmp_path) as tab:
        await opened(tab, page, width=width, scheme="light")
        seen = await tab.evaluate(LAID_OUT)
        fans = await tab.evaluate(
            "[...document.querySelector('svg').querySelectorAll('path.fan')].map(fan => fan.getBBox().width > 5)"
        )
    assert seen["wide"] <= 0
    assert seen["spilled"] == []
    assert seen["empty"] == 0
    assert seen["plots"] == [
        "forecasts as issued, 1h apart",
        *(f"the peak of the coming {horizon}" for horizon in ("5m", "15m", "1h")),
        *(f"promised against actual coverage of {what}" for what in ("values", "peaks")),
        *(f"error by hour of day, {horizon} ahead" for horizon in ("5m", "15m", "1h")),
    ]
    assert fans == [True] * 12 * 3  # twelve hours, three bands each


async def test_the_page_asks_nobody_for_anything_and_names_do_not_break_it(page: Path, tmp_path: Path) -> None:
    async with browser(tmp_path) as tab:
        await opened(tab, page, width=1100, scheme="light")
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
    assert heading == "seasonal-profile on <script src=x>&shop"
    assert scripts == 0
    assert asked == [page.as_uri()]
    assert complaints == []


async def test_what_it_says_agrees_with_the_figures(
    page: Path, trace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert main(["backtest", str(trace), *ARGUMENTS, "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert main(["backtest", str(trace), *ARGUMENTS, "--forecaster", "naive", "--json"]) == 0
    naive = json.loads(capsys.readouterr().out)
    async with browser(tmp_path) as tab:
        await opened(tab, page, width=1100, scheme="light")
        cells = await tab.evaluate(
            "[...document.querySelectorAll('tbody tr')].map(row => [...row.cells].map(cell => cell.textContent))"
        )
        lead = await tab.evaluate("document.querySelector('.lead').textContent")
        dots = await tab.evaluate(
            "[...document.querySelectorAll('svg[aria-label$=\"of peaks\"] circle.p2 title')].map(t => t.textContent)"
        )
    value, peak = figures["horizons"]["900"], figures["peaks"]["900"]
    gain = peak["pinball"]["0.9"] / naive["peaks"]["900"]["pinball"]["0.9"]
    assert cells[4][:3] == ["15m", f"{value['mase']:.2f}", "0.5"]
    assert cells[5][2] == "0.9"
    assert cells[5][5] == f"{value['coverage']['0.9']:.1%}"
    assert cells[5][7:] == [f"{gain:.2f}", f"{peak['coverage']['0.9']:.1%}"]
    assert f"the coming 15m at quantile 0.9 are {1 - gain:.0%} better than repeating the last value" in lead
    assert dots == [f"promised {float(level):.1%}, actual {kept:.1%}" for level, kept in peak["coverage"].items()]

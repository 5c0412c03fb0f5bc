"""The report of a replay in a real browser: Debian's Chromium, driven over its DevTools protocol."""

from __future__ import annotations

import asyncio
import json
import math
import re
import shutil
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import aiohttp
import numpy as np
import pytest

from scaler.cli.main import main

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

DEADLINE = 60.0  # seconds for the browser to start, and for each of its answers

LEGIBLE = """
(() => {
  const rgb = text => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map(v => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = node => {
    for (; node; node = node.parentElement) {
      const colour = rgb(getComputedStyle(node).backgroundColor);
      if (colour.length < 4 || colour[3] > 0) return colour;
    }
    return rgb(getComputedStyle(document.body).backgroundColor);
  };
  const ratio = (a, b) => {
    const [x, y] = [light(a), light(b)].sort((p, q) => q - p);
    return (x + 0.05) / (y + 0.05);
  };
  const contrast = (node, property) => ratio(rgb(getComputedStyle(node)[property]), ground(node));
  const all = [...document.querySelectorAll('h1,h2,h3,p,th,td,li,figcaption,pre,text')];
  const lines = [...document.querySelectorAll('path.load,path.short,path.p1,path.p2,path.p3')];
  return {
    texts: all.length,
    faint: all.filter(node => contrast(node, node.tagName === 'text' ? 'fill' : 'color') < 4.5)
      .map(node => node.textContent.slice(0, 40)),
    lines: lines.length,
    dim: lines.filter(node => contrast(node, 'stroke') < 3).map(node => node.getAttribute('class')),
    body: getComputedStyle(document.body).backgroundColor,
  };
})()
"""

LAID_OUT = """
(() => {
  const plots = [...document.querySelectorAll('svg')];
  return {
    wide: document.documentElement.scrollWidth - window.innerWidth,
    plots: plots.map(plot => plot.getAttribute('aria-label')),
    empty: plots.filter(plot => plot.getBoundingClientRect().height < 100
      || ![...plot.querySelectorAll('path:not(.grid)')].some(path => path.getBBox().width > 50)).length,
    spilled: plots.flatMap(plot => [...plot.querySelectorAll('text')].filter(text => {
      const [t, p] = [text.getBoundingClientRect(), plot.getBoundingClientRect()];
      return t.left < p.left - 1 || t.right > p.right + 12 || t.bottom > p.bottom + 1;
    }).map(text => text.textContent)),
  };
})()
"""  # fmt: skip


class Browser:
    """One tab."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._calls = 0
        self.session = ""
        self.events: list[dict[str, Any]] = []

    async def call(self, method: str, **parameters: object) -> dict[str, Any]:
        self._calls += 1
        request: dict[str, object] = {"id": self._calls, "method": method, "params": parameters}
        if self.session:
            request["sessionId"] = self.session
        await self._socket.send_json(request)
        return (await self._until("id", self._calls)).get("result", {})  # type: ignore[no-any-return]  # JSON

    async def event(self, method: str) -> dict[str, Any]:
        for event in self.events:
            if event["method"] == method:
                return event
        return await self._until("method", method)

    async def evaluate(self, expression: str) -> Any:
        answer = await self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    async def _until(self, key: str, value: object) -> dict[str, Any]:
        async with asyncio.timeout(DEADLINE):
            while True:
                message: dict[str, Any] = json.loads((await self._socket.receive()).data)
                if "method" in message:
                    self.events.append(message)
                if message.get(key) == value:
                    assert "error" not in message, message
                    return message


@asynccontextmanager
async def browser(profile: Path) -> AsyncIterator[Browser]:
    program = shutil.which("chromium")
    assert program is not None, "the page is tested in Chromium: apt-get install chromium"
    process = await asyncio.create_subprocess_exec(
        program,
        "--headless",
        "--no-sandbox",  # CI runs as root
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--no-first-run",
        "--remote-debugging-port=0",
        f"--user-data-dir={profile}",
        "about:blank",
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stderr is not None
        said = b""
        async with asyncio.timeout(DEADLINE):
            while not (found := re.search(rb"DevTools listening on (ws://\S+)", said)):
                line = await process.stderr.readline()
                assert line, f"chromium ended: {said.decode()}"
                said += line
        async with (
            aiohttp.ClientSession() as client,
            client.ws_connect(found.group(1).decode(), max_msg_size=0) as socket,
        ):
            tab = Browser(socket)
            target = await tab.call("Target.createTarget", url="about:blank")
            attached = await tab.call("Target.attachToTarget", targetId=target["targetId"], flatten=True)
            tab.session = attached["sessionId"]
            for domain in ("Page", "Network", "Log", "Runtime"):
                await tab.call(f"{domain}.enable")
            yield tab
    finally:
        process.kill()
        await process.wait()


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


async def opened(tab: Browser, report: Path, *, width: int, scheme: str) -> None:
    await tab.call("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
    await tab.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
    await tab.call("Page.navigate", url=report.as_uri())
    await tab.event("Page.loadEventFired")


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
        "load and capacity over time: Foresail at quantile 0.9, headroom 1.2",
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
    assert cells[0] == "Foresail at quantile 0.9, headroom 1.2"
    assert cells[1] == f"{figures['under_provisioned_load']:.3%}"
    assert math.isclose(float(cells[3]), figures["cost_ratio"], abs_tol=5e-4)
    assert cells[5] == str(figures["scale_events"])
    assert cells[1] in lead
    assert 'threshold: "10"' in pasted
    assert 'quantile: "0.9"' in pasted

"""A page in a real browser: Debian's Chromium, driven over its DevTools protocol."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import aiohttp

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

__all__ = ["DEADLINE", "LAID_OUT", "LEGIBLE", "Browser", "browser", "opened"]

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
  const lines = [...document.querySelectorAll('path.load,path.short,path.actual,path.p1,path.p2,path.p3')];
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


async def opened(tab: Browser, page: Path, *, width: int, scheme: str) -> None:
    await tab.call("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
    await tab.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
    await tab.call("Page.navigate", url=page.as_uri())
    await tab.event("Page.loadEventFired")

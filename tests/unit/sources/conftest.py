from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import httpx
import pytest

from scaler.sources.base import SourceSpec
from scaler.sources.fetch import Timing

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

Answer: TypeAlias = tuple[int, bytes, dict[str, str]]  # status, body, headers


class VirtualTime:
    """Epoch and monotonic clock in one; sleeping moves it. `chance` is what random() gives."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0
        self.slept: list[float] = []
        self.chance = 0.0

    def timing(self) -> Timing:
        return Timing(sleep=self.sleep, random=lambda: self.chance, monotonic=lambda: self.now, now=lambda: self.now)

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@dataclass
class Chunks(httpx.AsyncByteStream):
    """A body as it comes over the wire, in pieces; an error instead of a piece breaks it off."""

    body: bytes
    size: int = 65_536

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for start in range(0, len(self.body), self.size):
            yield self.body[start : start + self.size]


@dataclass
class Target:
    """What the source under test talks to: answers in order, the last one for ever."""

    answers: list[Answer | Exception | Callable[[httpx.Request], Answer]] = field(default_factory=list)
    requests: list[httpx.Request] = field(default_factory=list)
    time: VirtualTime = field(default_factory=VirtualTime)

    def handle(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        status, body, headers = answer if isinstance(answer, tuple) else answer(request)
        return httpx.Response(status, headers=headers, stream=Chunks(body))

    def source(self, kind: Callable[..., Any], spec: SourceSpec | None = None, **more: Any) -> Any:
        """A source of the kind whose connections all end here."""
        client = httpx.AsyncClient(transport=httpx.MockTransport(self.handle))
        spec = spec or SourceSpec(kind="prometheus", address="http://prom:9090")
        return kind(spec, client=client, timing=self.time.timing(), **more)


@pytest.fixture
def target() -> Target:
    return Target()

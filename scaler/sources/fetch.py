"""One HTTP request to a source: bounded in time and bytes, repeated where that may help, refused in plain words.

What every source answers for what HTTP may bring; `{S}` stands for the source:

==============================  ==================  ==============================================================
what happens                    error               text
==============================  ==================  ==============================================================
no connection                   SourceUnreachable   `{S} cannot be reached: connection refused`
no answer in time               SourceUnreachable   `{S} gave no answer within 10s: raise timeout, or ask for less`
an answer that breaks off       SourceUnreachable   `{S} broke off its answer`
429, 5xx                        SourceUnreachable   `{S} answers 503 (Service Unavailable)` and the source's words
401, 403                        SourceDenied        `{S} answers 401 (Unauthorized): no credentials were sent; …`
3xx                             ResponseMalformed   `{S} answers 302, a redirect to …: redirects are not followed; …`
other 4xx                       ResponseMalformed   `{S} answers 405 (Method Not Allowed), …`
more bytes than allowed         ResponseTooLarge    `{S} answers with more than 32 MiB: …`
a broken or unknown encoding    ResponseMalformed   `{S} answers in the content encoding 'br', …`
==============================  ==================  ==============================================================

SourceUnreachable is tried again, with exponential back-off and full jitter (M. Brooker, "Exponential Backoff And
Jitter", AWS Architecture Blog, 2015), until attempts or deadline are used up.
"""

from __future__ import annotations

import asyncio
import base64
import random
import time
import zlib
from dataclasses import dataclass, replace
from datetime import UTC
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING

import httpx

from scaler.errors import (
    InvalidTrigger,
    ResponseMalformed,
    ResponseTooLarge,
    SourceDenied,
    SourceError,
    SourceUnreachable,
)
from scaler.sources.address import shown
from scaler.sources.live import LiveSpec
from scaler.telemetry.masking import masked
from scaler.words import duration, plural

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable

    from scaler.sources.base import SourceSpec

__all__ = [
    "Fetcher",
    "Reply",
    "RetryPolicy",
    "Timing",
    "clock_difference",
    "extended",
    "request_headers",
    "source_label",
    "status_error",
]

DEFAULT_MAX_BYTES = 32 * 1024 * 1024
_LONGEST_DETAIL = 300  # characters of a server's own words in our texts
_SHORTEST_KEY = 8  # characters; a shorter query parameter is a word such as `true`, no key
_PIECE = 256 * 1024  # bytes that one step of decompression may yield

# These belong to the connection, not to the tenant who writes the headers.
_RESERVED_HEADERS = frozenset(
    {
        "host",
        "connection",
        "content-length",
        "transfer-encoding",
        "accept-encoding",
        "te",
        "upgrade",
        "expect",
    }
)
_TOKEN = frozenset("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """When to try again.

    Attributes:
        attempts: How often to try in all.
        base: The first wait is at most this, in seconds; each further one at most twice as long.
        cap: No wait of our own choosing is longer, in seconds.
        deadline: Seconds for all attempts and waits together.
    """

    attempts: int = 4
    base: float = 0.25
    cap: float = 5.0
    deadline: float = 30.0

    def within(self, seconds: float) -> RetryPolicy:
        """The same with a deadline that is not above `seconds`."""
        return replace(self, deadline=min(self.deadline, seconds))


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """Clocks and chance, to be replaced in tests."""

    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    random: Callable[[], float] = random.random  # uniform in [0, 1)
    monotonic: Callable[[], float] = time.monotonic
    now: Callable[[], float] = time.time  # epoch seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer with its body, decompressed."""

    status: int
    headers: httpx.Headers
    body: bytes


def source_label(spec: SourceSpec) -> str:
    """How texts name the source: by its name in the settings, else by its address."""
    return f"source {spec.name!r}" if spec.name else f"source {shown(spec.address)}"


def request_headers(spec: SourceSpec) -> dict[str, str]:
    """The headers that the specification asks for: its own, and those of its authentication modes.

    Raises:
        InvalidTrigger: Headers that HTTP does not allow or that are not the user's to set.
    """
    headers = dict(spec.headers)
    if "bearer" in spec.auth_modes:
        headers["Authorization"] = f"Bearer {spec.bearer_token}"
    if "basic" in spec.auth_modes:
        headers["Authorization"] = f"Basic {_basic(spec)}"
    if "custom" in spec.auth_modes:
        headers[spec.custom_auth_header] = spec.custom_auth_value
    problems = [problem for name, value in headers.items() if (problem := _header_problem(name, value))]
    if problems:
        raise InvalidTrigger(problems)
    return headers


def _header_problem(name: str, value: str) -> str:
    if not name or not set(name) <= _TOKEN or name.lower() in _RESERVED_HEADERS:
        return (
            f"a header named {name[:80]!r} cannot be sent; names are letters, digits and hyphens, and those of the "
            "connection (Host, Content-Length, ...) are not the user's to set"
        )
    if not value.isprintable() or not value.isascii():
        return f"the value of header {name!r} cannot be sent; it must be printable ASCII, without line breaks"
    return ""


def _basic(spec: SourceSpec) -> str:
    return base64.b64encode(f"{spec.username}:{spec.password}".encode()).decode()


def _secrets(spec: SourceSpec) -> tuple[str, ...]:
    """What a server that repeats a request might say."""
    return (
        spec.bearer_token,
        spec.password,
        spec.custom_auth_value,
        spec.key,
        _basic(spec),
        spec.username,
        *(value for _, value in spec.headers),
        *(value for _, value in spec.query_parameters if len(value) >= _SHORTEST_KEY),
    )


def extended(url: httpx.URL, pairs: Iterable[tuple[str, str]]) -> httpx.URL:
    """The URL with more query parameters, after those that it has."""
    more: list[tuple[str, str | int | float | bool | None]] = [*url.params.multi_items(), *pairs]
    return url.copy_with(params=httpx.QueryParams(more)) if more else url


def status_error(label: str, reply: Reply, *, credentials: bool, detail: str = "") -> SourceError | None:
    """The error for a status that means the same at every source; None for 2xx."""
    status = reply.status
    said = f": {detail}" if detail else ""
    answers = f"{label} answers {status}{_phrase(status)}"
    if 200 <= status < 300:
        return None
    if status == 429 or status >= 500:
        return SourceUnreachable(f"{answers}{said}")
    if status in {401, 403}:
        sent = "the credentials sent are not good enough" if credentials else "no credentials were sent"
        return SourceDenied(f"{answers}: {sent}; check authModes and its parameters{said}")
    if 300 <= status < 400:
        target = shown(reply.headers.get("location", "")) or "nowhere"
        return ResponseMalformed(
            f"{label} answers {status}, a redirect to {target}: redirects are not followed; give the final address"
        )
    return ResponseMalformed(f"{answers}, which is no answer to this request{said}")


def _phrase(status: int) -> str:
    try:
        return f" ({HTTPStatus(status).phrase})"
    except ValueError:
        return ""


class Fetcher:
    """Sends the requests of one source.

    Args:
        spec: Where to, with which credentials and timeout.
        client: Its connections. Redirects, cookies and the environment are the client's matter: see `factory`.
        max_bytes: The most bytes of an answer, decompressed.
        timing: Clocks and chance.
        live: The specification as its files have it; None: this one follows them by itself.

    Raises:
        InvalidTrigger: The specification's headers cannot be sent.
    """

    def __init__(
        self,
        spec: SourceSpec,
        *,
        client: httpx.AsyncClient,
        max_bytes: int,
        timing: Timing,
        live: LiveSpec | None = None,
    ) -> None:
        self.label = source_label(spec)
        self.credentials = bool(spec.auth_modes)
        self._client = client
        self._max_bytes = max_bytes
        self._timing = timing
        self._timeout = spec.timeout
        self._live = live or LiveSpec(spec, monotonic=timing.monotonic)
        self._spec = self._live.current()
        self._headers = request_headers(self._spec)
        self._secrets = _secrets(self._spec)

    def _renew(self) -> None:
        """Takes up secrets that were replaced; those before them are not to be shown either."""
        spec = self._live.current()
        if spec is not self._spec:
            self._spec, self._headers = spec, request_headers(spec)
            self._secrets = (*_secrets(spec), *self._secrets[: len(_secrets(spec))])

    def quoted(self, text: str) -> str:
        """A server's own words, fit for our texts: secrets masked, one line, bounded."""
        line = " ".join(masked(text, self._secrets).split())
        line = "".join(character if character.isprintable() else "?" for character in line)
        return line if len(line) <= _LONGEST_DETAIL else line[: _LONGEST_DETAIL - 1] + "…"

    async def fetch(
        self,
        request: Callable[[], httpx.Request],
        *,
        retry: RetryPolicy,
        refusal: Callable[[Reply], SourceError | None],
    ) -> Reply:
        """Sends the request until an answer is not refused for a passing reason.

        Args:
            request: Builds it anew for every attempt.
            retry: When to try again.
            refusal: What is wrong with an answer; None if nothing.

        Raises:
            SourceError: What was wrong with the last answer.
        """
        clock = self._timing.monotonic
        give_up_at = clock() + retry.deadline
        attempt = 0
        while True:
            attempt += 1
            try:
                reply = await self._once(request(), patience=min(self._timeout, give_up_at - clock()))
                wait, error = _retry_after(reply, self._timing.now()), refusal(reply)
                if error is None:
                    return reply
            except SourceUnreachable as unreachable:
                wait, error = 0.0, unreachable
            # full jitter: the waits of many clients spread over the whole span instead of meeting at its end
            wait += self._timing.random() * min(retry.cap, retry.base * 2 ** (attempt - 1))
            if not error.transient:
                raise error
            if attempt >= retry.attempts or clock() + wait >= give_up_at:
                raise type(error)(f"{error}; tried {plural(attempt, 'time')}") from error.__cause__
            await self._timing.sleep(wait)

    async def _once(self, request: httpx.Request, *, patience: float) -> Reply:
        self._renew()
        request.headers.update({**self._headers, "Accept-Encoding": "gzip"})
        try:
            async with asyncio.timeout(patience):
                response = await self._client.send(request, stream=True)
                try:
                    body = await self._body(response)
                finally:
                    await response.aclose()
        except (TimeoutError, httpx.TimeoutException) as error:
            raise SourceUnreachable(
                f"{self.label} gave no answer within {duration(patience)}: raise timeout, or ask for less"
            ) from error
        except httpx.ConnectError as error:
            raise SourceUnreachable(f"{self.label} cannot be reached: {self.quoted(str(error))}") from error
        except httpx.TransportError as error:
            raise SourceUnreachable(f"{self.label} broke off its answer") from error
        return Reply(status=response.status_code, headers=response.headers, body=body)

    async def _body(self, response: httpx.Response) -> bytes:
        body = bytearray()
        async for piece in self._decoded(response):
            body += piece
            if len(body) > self._max_bytes:
                limit = self._max_bytes
                size = f"{limit // 2**20} MiB" if limit >= 2**20 else f"{limit} bytes"
                raise ResponseTooLarge(
                    f"{self.label} answers with more than {size}: aggregate in the query, for example with sum(), "
                    "or let the operator raise max_response_bytes"
                )
        return bytes(body)

    async def _decoded(self, response: httpx.Response) -> AsyncIterator[bytes]:
        """The body in pieces of bounded size: httpx's own decoding turns one chunk of a bomb into 1,000."""
        encoding = response.headers.get("content-encoding", "identity").strip().lower()
        if encoding == "identity":
            async for chunk in response.aiter_raw():
                yield chunk
            return
        if encoding != "gzip":
            raise ResponseMalformed(
                f"{self.label} answers in the content encoding {encoding[:40]!r}, but only gzip was offered"
            )
        decoder = zlib.decompressobj(zlib.MAX_WBITS | 16)
        try:
            async for chunk in response.aiter_raw():
                left = chunk
                while left:
                    yield decoder.decompress(left, _PIECE)
                    left = decoder.unconsumed_tail
        except zlib.error as error:
            raise ResponseMalformed(f"{self.label} answers with broken gzip") from error
        if not decoder.eof:
            raise SourceUnreachable(f"{self.label} broke off its answer")


def clock_difference(reply: Reply, now: float) -> float:
    """Seconds that the server's clock is ahead of ours, by its answer's Date; 0.0 if it does not say.

    Good to a second or two beside what the answer took on its way.
    """
    try:
        date = parsedate_to_datetime(reply.headers.get("date", ""))
        age = float(reply.headers.get("age", "0"))  # a cache has kept the answer for so long
    except ValueError:
        return 0.0
    return (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() + age - now


def _retry_after(reply: Reply, now: float) -> float:
    """The seconds that the server asks to wait, as a number or a date; 0 if it does not, or not readably."""
    text = reply.headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return 0.0
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, moment.timestamp() - now)

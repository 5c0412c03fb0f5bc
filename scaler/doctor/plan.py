"""Which checks there are to make, in which order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scaler.doctor.addresses import address_checks
from scaler.doctor.check import Check, Finding, fail, good
from scaler.doctor.here import machine_checks
from scaler.doctor.query import Question, past_check, query_checks
from scaler.doctor.source import Tools, source_checks
from scaler.doctor.tls import tls_checks

if TYPE_CHECKING:
    from collections.abc import Iterable

    from scaler.errors import InvalidSettings
    from scaler.settings import Settings
    from scaler.sources.base import SourceSpec

__all__ = ["checks_of", "unreadable"]

_HERE = "this server"
_SETTINGS = "settings"


def unreadable(error: InvalidSettings) -> list[Check]:
    """What is left to say if the settings cannot be read."""

    async def settings() -> Finding:
        return fail("\n".join(error.problems), "docs/reference/settings.md has every key and what it takes")

    return [Check(about=_HERE, name=_SETTINGS, ask=settings)]


def checks_of(
    settings: Settings,
    *,
    read_from: str,
    sources: Iterable[SourceSpec],
    asked: SourceSpec | None,
    question: Question | None,
    window: float,
    tools: Tools,
) -> list[Check]:
    """All checks.

    Args:
        settings: Those of the server.
        read_from: Where they were read, in words.
        sources: To be checked.
        asked: The one of them that the question is for.
        question: A query; None: none is checked.
        window: Seconds of history that sources should have.
        tools: What to reach out with.
    """

    async def read() -> Finding:
        names = ", ".join(settings.sources) or "none"
        return good(f"{read_from}; named sources: {names}")

    checks = [
        Check(about=_HERE, name=_SETTINGS, ask=read),
        *tls_checks(_HERE, settings),
        *address_checks(
            _HERE,
            grpc_address=settings.grpc_address,
            http_address=settings.http_address,
            grpc_tls=bool(settings.tls_cert),
            http_tls=bool(settings.tls_cert) and settings.tls_http != "off",
        ),
        *machine_checks(_HERE, settings),
    ]
    for spec in sources:
        about = f"source {spec.name}" if spec.name else "the address"
        way = source_checks(about, spec, tools)
        answers = next(check for check in way if check.name == "API")
        checks += [*way, past_check(about, spec, tools, window=window, needs=answers)]
        if question is not None and spec is asked:
            checks += query_checks(
                "the query", spec, question, tools, retention=settings.history_retention, needs=answers
            )
    return checks

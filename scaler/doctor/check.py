"""A check is data: what it is about, what it needs, and a coroutine that finds something."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from scaler.errors import ForesailError
from scaler.telemetry.masking import mask
from scaler.words import duration

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable

__all__ = ["Check", "Finding", "Report", "Verdict", "fail", "good", "run_checks", "warn"]

DEADLINE = 60.0  # seconds for one check: a history of weeks takes several requests


class Verdict(StrEnum):
    """How a check ended."""

    OK = "OK"
    WARN = "WARN"
    FAIL = "FAIL"
    SKIP = "SKIP"


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found, and for what is not good, how to mend it."""

    verdict: Verdict
    found: str
    mend: str = ""


def good(found: str) -> Finding:
    """All is well."""
    return Finding(Verdict.OK, found)


def warn(found: str, mend: str) -> Finding:
    """It works, but not as it should."""
    return Finding(Verdict.WARN, found, mend)


def fail(found: str, mend: str) -> Finding:
    """It does not work."""
    return Finding(Verdict.FAIL, found, mend)


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One check.

    Attributes:
        about: The part that it is about, such as `source main`.
        name: What is checked of it.
        ask: Finds out. A ForesailError is a FAIL with its text.
        mend: What to do about such an error.
        needs: Makes no sense unless this one went well; None: needs nothing.
    """

    about: str
    name: str
    ask: Callable[[], Awaitable[Finding]]
    mend: str = ""
    needs: Check | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A check and what it found."""

    about: str
    name: str
    verdict: Verdict
    found: str
    mend: str


async def run_checks(checks: Iterable[Check], *, deadline: float = DEADLINE) -> AsyncIterator[Report]:
    """Runs the checks one after the other, in their order; whatever one does, the next is run.

    Args:
        checks: What is needed comes before what needs it.
        deadline: Seconds for each.
    """
    broken: dict[int, str] = {}  # id of a check without a result -> name of the one that failed
    for check in checks:
        cause = broken.get(id(check.needs))
        if cause is not None:
            finding = Finding(Verdict.SKIP, f"not looked at, as {cause} failed")
            broken[id(check)] = cause
        else:
            finding = await _asked(check, deadline)
            if finding.verdict is Verdict.FAIL:
                broken[id(check)] = check.name
        yield Report(
            about=check.about,
            name=check.name,
            verdict=finding.verdict,
            found=mask(finding.found),
            mend=mask(finding.mend),
        )


async def _asked(check: Check, deadline: float) -> Finding:
    try:
        async with asyncio.timeout(deadline):
            return await check.ask()
    except ForesailError as error:
        return fail(str(error), check.mend)
    except TimeoutError:
        return fail(f"no result within {duration(deadline)}", check.mend or "see what makes it slow, and try again")
    except Exception as error:  # noqa: BLE001  # the boundary: a fault in one check must not hide the others
        text = f"the check itself failed: {type(error).__name__}: {error}"
        return fail(text, "this is a fault of Foresail: please report it")

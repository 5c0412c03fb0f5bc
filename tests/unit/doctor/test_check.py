"""Checks are run one by one, whatever they do; what rests on a failed one is not looked at."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from scaler.doctor.check import Check, Finding, Verdict, fail, good, run_checks, warn
from scaler.errors import SourceUnreachable
from scaler.telemetry.masking import protect

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


def check(name: str, finding: Finding | Exception, *, needs: Check | None = None, mend: str = "") -> Check:
    async def ask() -> Finding:
        if isinstance(finding, Exception):
            raise finding
        return finding

    return Check(about="it", name=name, ask=ask, needs=needs, mend=mend)


async def told(*checks: Check, deadline: float = 60.0) -> list[tuple[str, Verdict, str, str]]:
    return [
        (report.name, report.verdict, report.found, report.mend)
        async for report in run_checks(checks, deadline=deadline)
    ]


async def test_what_rests_on_a_failure_is_skipped_and_names_the_first_cause() -> None:
    first = check("first", fail("broken", "mend it"))
    second = check("second", good("never seen"), needs=first)
    third = check("third", good("never seen"), needs=second)
    doubtful = check("doubtful", warn("so so", "look"))
    last = check("last", good("fine"), needs=doubtful)
    assert await told(first, second, third, doubtful, last) == [
        ("first", Verdict.FAIL, "broken", "mend it"),
        ("second", Verdict.SKIP, "not looked at, as first failed", ""),
        ("third", Verdict.SKIP, "not looked at, as first failed", ""),
        ("doubtful", Verdict.WARN, "so so", "look"),
        ("last", Verdict.OK, "fine", ""),
    ]


async def test_errors_of_ours_are_failures_with_their_text_and_the_checks_remedy() -> None:
    assert await told(check("a", SourceUnreachable("no route"), mend="lay a cable"), check("b", good("fine"))) == [
        ("a", Verdict.FAIL, "no route", "lay a cable"),
        ("b", Verdict.OK, "fine", ""),
    ]


async def test_a_bug_in_a_check_hides_no_other() -> None:
    assert await told(check("a", KeyError("x")), check("b", good("fine"))) == [
        ("a", Verdict.FAIL, "the check itself failed: KeyError: 'x'", "this is a fault of Foresail: please report it"),
        ("b", Verdict.OK, "fine", ""),
    ]


def hanging(mend: str) -> Callable[[], Awaitable[Finding]]:
    async def ask() -> Finding:
        await asyncio.Event().wait()
        return good(mend)

    return ask


async def test_a_check_that_hangs_is_given_up() -> None:
    stuck = Check(about="it", name="stuck", ask=hanging(""))
    known = Check(about="it", name="known", ask=hanging(""), mend="kick it")
    assert await told(stuck, known, deadline=0.01) == [
        ("stuck", Verdict.FAIL, "no result within 0.0s", "see what makes it slow, and try again"),
        ("known", Verdict.FAIL, "no result within 0.0s", "kick it"),
    ]


async def test_secrets_are_masked() -> None:
    protect("canary-77aa")
    assert await told(check("a", fail("canary-77aa", "not canary-77aa"))) == [("a", Verdict.FAIL, "***", "not ***")]

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import grpc
import pytest

from scaler import errors
from scaler.keda.status import CODES, INTERNAL_TEXT, LONGEST_TEXT, StatusTable

if TYPE_CHECKING:
    from collections.abc import Callable

EXPECTED = {
    "AddressRefused": "PERMISSION_DENIED",
    "ClientRefused": "PERMISSION_DENIED",
    "DeadlinePassed": "DEADLINE_EXCEEDED",
    "EngineLost": "UNAVAILABLE",
    "ForesailError": "INTERNAL",
    "InvalidSettings": "INTERNAL",
    "InvalidTrigger": "INVALID_ARGUMENT",
    "LimitReached": "RESOURCE_EXHAUSTED",
    "NoData": "UNAVAILABLE",
    "QueryRejected": "UNAVAILABLE",
    "ResponseMalformed": "UNAVAILABLE",
    "ResponseTooLarge": "UNAVAILABLE",
    "SourceDenied": "UNAVAILABLE",
    "SourceError": "UNAVAILABLE",
    "SourceUnreachable": "UNAVAILABLE",
    "ModelUnusable": "INTERNAL",
    "StoreError": "INTERNAL",
    "TenantRefused": "PERMISSION_DENIED",
    "TrainingFailed": "INTERNAL",
    "TooManySeries": "UNAVAILABLE",
    "ValueUnknown": "UNAVAILABLE",
    "ValueUnservable": "FAILED_PRECONDITION",
}


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def made(name: str) -> errors.ForesailError:
    kind = getattr(errors, name)
    error = kind(["a problem"]) if name.startswith("Invalid") else kind("a problem")
    assert isinstance(error, errors.ForesailError)
    return error


@pytest.mark.parametrize("name", errors.__all__)
def test_every_error_has_its_status(name: str) -> None:
    error = made(name)
    status = StatusTable().status(error, method="GetMetrics")
    assert status.code.name == EXPECTED[name]
    assert status.text == (INTERNAL_TEXT if status.code is grpc.StatusCode.INTERNAL else str(error))


@pytest.mark.parametrize("name", [name for name in errors.__all__ if name != "ForesailError"])
def test_every_error_is_in_the_table_by_itself_or_by_its_own_branch(name: str) -> None:
    branch = next(kind for kind in getattr(errors, name).__mro__ if kind in CODES)
    assert branch is not errors.ForesailError, f"{name} needs a status in scaler.keda.status"


@pytest.mark.parametrize("error", [RuntimeError("hunter2"), TimeoutError(), KeyError("x"), errors.StoreError("/x")])
def test_whatever_else_goes_wrong_is_internal_and_tells_nothing(error: Exception) -> None:
    assert StatusTable().status(error, method="IsActive") == (grpc.StatusCode.INTERNAL, INTERNAL_TEXT)


def test_a_defect_is_logged_with_its_cause_once_a_minute_another_by_itself(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = Clock()
    table = StatusTable(clock=clock)

    def defect() -> None:
        raise RuntimeError("one")

    def other_defect() -> None:
        raise RuntimeError("other")

    def call(method: str, work: Callable[[], None]) -> None:
        try:
            work()
        except RuntimeError as error:
            table.status(error, method=method)

    call("GetMetrics", defect)
    call("IsActive", defect)
    call("GetMetrics", other_defect)
    clock.now += 59.9
    call("GetMetrics", defect)
    clock.now += 0.1
    call("IsActive", defect)
    assert [(record.levelno, record.getMessage()) for record in caplog.records] == [
        (logging.ERROR, "GetMetrics failed through a defect of the scaler"),
        (logging.ERROR, "GetMetrics failed through a defect of the scaler"),
        (logging.ERROR, "IsActive failed through a defect of the scaler"),
    ]
    causes = [record.exc_info[1] for record in caplog.records if record.exc_info]
    assert [str(cause) for cause in causes] == ["one", "other", "one"]


def test_an_error_that_was_never_raised_is_logged_too(caplog: pytest.LogCaptureFixture) -> None:
    StatusTable().status(RuntimeError("never raised"), method="IsActive")
    assert len(caplog.records) == 1


def test_errors_that_are_expected_are_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    StatusTable().status(errors.ValueUnknown("the load is not known"), method="GetMetrics")
    assert caplog.records == []


@pytest.mark.parametrize(("length", "cut"), [(LONGEST_TEXT, False), (LONGEST_TEXT + 1, True)])
def test_texts_are_cut_to_what_a_header_takes(length: int, *, cut: bool) -> None:
    text = StatusTable().status(errors.ValueUnknown("x" * length), method="GetMetrics").text
    assert len(text.encode()) == LONGEST_TEXT
    assert text.endswith(" … (cut)") is cut


def test_a_text_is_not_cut_within_a_character() -> None:
    text = StatusTable().status(errors.ValueUnknown("\N{SNOWMAN}" * LONGEST_TEXT), method="GetMetrics").text
    assert set(text.removesuffix(" … (cut)")) == {"\N{SNOWMAN}"}

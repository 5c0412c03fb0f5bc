"""Log lines: one event with its fields, readable by people or machines, without secrets whoever wrote them."""

from __future__ import annotations

import io
import json
import logging
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from scaler.telemetry.log import get_logger, setup_logging
from scaler.telemetry.masking import protect

if TYPE_CHECKING:
    from collections.abc import Iterator

CANARY = "canary-ü-8d1f"


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    root = logging.getLogger()
    before = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = before


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def without_time(stream: io.StringIO) -> list[str]:
    return [line.partition(" ")[2] for line in stream.getvalue().splitlines()]


def test_text_shows_event_and_fields_on_one_line() -> None:
    stream = io.StringIO()
    setup_logging(log_format="text", stream=stream)
    log = get_logger("scaler.test")
    log.info("store.opened", path=Path("/data/x"), size=3, ratio=0.5, fresh=True, error=None, text='say "hi"', none="")
    log.warning("100% %s", note="a\nb=c")
    log.debug("not.shown")
    assert without_time(stream) == [
        'INFO    store.opened path=/data/x size=3 ratio=0.5 fresh=true error=none text="say \\"hi\\"" none=""',
        'WARNING 100% %s note="a\\nb=c"',
    ]


def test_json_has_one_object_a_line() -> None:
    stream = io.StringIO()
    setup_logging(level="debug", log_format="json", stream=stream)
    get_logger("scaler.test").debug("x.y", size=3, error=ValueError("bad\nvalue"), ratio=math.nan, level="high")
    (line,) = lines(stream)
    assert line.pop("time").endswith("Z")
    assert line == {
        "level": "debug",
        "logger": "scaler.test",
        "event": "x.y",
        "size": 3,
        "error": "bad\nvalue",
        "ratio": None,
        "level_": "high",
    }


@pytest.mark.parametrize(("stream", "text"), [(Terminal(), True), (io.StringIO(), False)])
def test_auto_is_text_on_a_terminal_and_json_elsewhere(stream: io.StringIO, text: bool) -> None:  # noqa: FBT001  # a parameter
    setup_logging(log_format="auto", stream=stream)
    get_logger("scaler.test").info("x")
    assert stream.getvalue().startswith("{") != text


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_no_secret_leaves_by_any_way(log_format: str) -> None:
    protect(CANARY)
    stream = io.StringIO()
    setup_logging(log_format=log_format, stream=stream)
    log = get_logger("scaler.test")
    event = f"event {CANARY}"
    log.info(event, url=f"http://u:{CANARY}@h/", repr=[CANARY], bytes=CANARY.encode())
    log.info("named", authorization="unregistered-canary", token="")
    logging.getLogger("a.library").warning("GET %s with %r", f"http://h/?q={CANARY}", {"Authorization": CANARY})
    logging.getLogger("a.library").warning("broken %d", "canary-free", stack_info=True)
    log.unforeseen("failed", ValueError(f"no good: {CANARY}"), why=CANARY)
    logging.getLogger("a.library").error("with a cause", exc_info=ValueError(CANARY))
    shown = stream.getvalue()
    assert "8d1f" not in shown
    assert "unregistered-canary" not in shown
    assert "ValueError: no good: ***" in shown
    assert "broken %d" in shown


def test_every_json_line_parses_even_with_a_traceback() -> None:
    stream = io.StringIO()
    setup_logging(log_format="json", stream=stream)
    get_logger("scaler.test").unforeseen("failed", ValueError("x"))
    (line,) = lines(stream)
    assert line["traceback"] == "ValueError: x"


def test_a_line_break_in_a_library_s_message_makes_no_second_line() -> None:
    stream = io.StringIO()
    setup_logging(log_format="text", stream=stream)
    logging.getLogger("a.library").warning("one\nINFO two")
    assert without_time(stream) == ['WARNING "one\\nINFO two"']


def test_requests_are_not_told_one_by_one() -> None:
    stream = io.StringIO()
    setup_logging(log_format="text", stream=stream)
    logging.getLogger("httpx").info("HTTP Request: GET http://h/")
    logging.getLogger("httpx").warning("something else")
    assert without_time(stream) == ["WARNING something else"]


def test_setting_up_twice_writes_once() -> None:
    stream = io.StringIO()
    setup_logging(log_format="text", stream=stream)
    setup_logging(log_format="text", stream=stream)
    get_logger("scaler.test").info("x")
    assert without_time(stream) == ["INFO    x"]

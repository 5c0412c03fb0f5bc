"""Structured logs: one event name and key=value fields; the standard library's logging underneath.

    log = get_logger(__name__)
    log.warning("store.set_aside", path=path, reason="corrupt")

Text for people, JSON lines for machines. Every line of every library passes one filter that masks secrets.
"""

from __future__ import annotations

import json
import logging
import math
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TextIO

from scaler.telemetry.masking import MASK, SECRET_FIELDS, mask

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["JsonFormatter", "Logger", "MaskingFilter", "TextFormatter", "get_logger", "setup_logging"]

_FIELDS = "foresail_fields"

Scalar = str | int | float | bool | None


class Logger:
    """Writes events. Values may be anything; what is no number, truth value or None is shown as its `str`."""

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger

    def debug(self, event: str, /, **fields: object) -> None:
        """For whoever looks for a fault."""
        self._write(logging.DEBUG, event, fields)

    def info(self, event: str, /, **fields: object) -> None:
        """Something that is meant to happen."""
        self._write(logging.INFO, event, fields)

    def warning(self, event: str, /, **fields: object) -> None:
        """The program goes on, but someone should look."""
        self._write(logging.WARNING, event, fields)

    def error(self, event: str, /, **fields: object) -> None:
        """Something asked for was not done."""
        self._write(logging.ERROR, event, fields)

    def unforeseen(self, event: str, error: BaseException, /, **fields: object) -> None:
        """A bug or another thing that nobody foresaw: with its traceback."""
        self._write(logging.ERROR, event, fields, (type(error), error, error.__traceback__))

    def _write(
        self,
        level: int,
        event: str,
        fields: dict[str, object],
        cause: tuple[type[BaseException], BaseException, TracebackType | None] | None = None,
    ) -> None:
        # the event goes in as an argument: a % in it means itself
        self._logger.log(level, "%s", event, exc_info=cause, extra={_FIELDS: fields})


def get_logger(name: str) -> Logger:
    """The logger of a module: `get_logger(__name__)`."""
    return Logger(logging.getLogger(name))


class MaskingFilter(logging.Filter):
    """Takes secrets out of a record: message, fields and traceback, before anything formats it."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Masks; lets every record through."""
        record.msg, record.args = mask(_message(record)), ()
        fields: dict[str, object] = getattr(record, _FIELDS, {})
        setattr(record, _FIELDS, {name: _masked(name, value) for name, value in fields.items()})
        if record.exc_info:
            record.exc_text = mask(record.exc_text or logging.Formatter().formatException(record.exc_info))
        if record.stack_info:
            record.stack_info = mask(record.stack_info)
        return True


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except (TypeError, ValueError):  # a library's broken format string must not cost the line
        return str(record.msg)


def _masked(name: str, value: object) -> Scalar:
    if name in SECRET_FIELDS and value:
        return MASK
    if value is None or isinstance(value, bool | int | float):
        return value
    return mask(str(value))


class TextFormatter(logging.Formatter):
    """`2026-01-31T12:00:00.000Z WARNING store.set_aside path=/data/history.db reason=corrupt`."""

    def format(self, record: logging.LogRecord) -> str:
        """One line, and the traceback below it if there is one."""
        fields: dict[str, Scalar] = getattr(record, _FIELDS, {})
        parts = [_time(record), f"{record.levelname:<7}", _one_line(_message(record))]
        parts += [f"{name}={_text(value)}" for name, value in fields.items()]
        return "\n".join(filter(None, [" ".join(parts), record.exc_text, record.stack_info]))


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, event, and the event's fields."""

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        line: dict[str, Scalar] = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": _message(record),
        }
        for name, value in getattr(record, _FIELDS, {}).items():
            # JSON has no NaN; a field must not displace what every line has
            shown = None if isinstance(value, float) and not math.isfinite(value) else value
            line[f"{name}_" if name in line else name] = shown
        if record.exc_text:
            line["traceback"] = record.exc_text
        if record.stack_info:
            line["stack"] = record.stack_info
        return json.dumps(line, ensure_ascii=False, default=str)


def setup_logging(*, level: str = "info", log_format: str = "auto", stream: TextIO | None = None) -> None:
    """Sends all logs of the process to one stream, masked.

    Args:
        level: debug, info, warning or error.
        log_format: `text`, `json`, or `auto`: text if the stream is a terminal.
        stream: Standard error if None.
    """
    stream = sys.stderr if stream is None else stream
    as_text = log_format == "text" or (log_format == "auto" and stream.isatty())
    handler = logging.StreamHandler(stream)
    handler.setFormatter(TextFormatter() if as_text else JsonFormatter())
    handler.addFilter(MaskingFilter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    # these tell every request, with its URL, at info; ours is one metric per request
    for library in ("httpx", "httpcore", "aiohttp.access"):
        logging.getLogger(library).setLevel(max(logging.WARNING, logging.getLogger().level))


def _time(record: logging.LogRecord) -> str:
    moment = datetime.fromtimestamp(record.created, tz=UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _one_line(text: str) -> str:
    """The text, unless it could pass for more than one line."""
    return text if text.isprintable() else json.dumps(text, ensure_ascii=True)


def _text(value: Scalar) -> str:
    if value is None or isinstance(value, bool):
        return str(value).lower()
    text = str(value)
    if not text or not text.isprintable() or any(sign in text for sign in ' "='):
        return json.dumps(text, ensure_ascii=not text.isprintable())
    return text

"""What a Prometheus answers, made by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from scaler.sources.base import SourceSpec

if TYPE_CHECKING:
    from tests.unit.sources.conftest import Answer

NOW = 1_800_000_000.0  # where virtual time begins
S = "source http://prom:9090"
MALFORMED = f"{S} answers with JSON that is not Prometheus's: "
SPEC = SourceSpec(kind="prometheus", address="http://prom:9090")


def reply(status: int = 200, body: bytes | str = b"", **headers: str) -> Answer:
    """`retry_after="3"` is the header Retry-After."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return status, body.encode() if isinstance(body, str) else body, named


def success(kind: str, result: Any, **more: Any) -> Answer:
    data = {"resultType": kind, "result": result}
    return reply(body=msgspec.json.encode({"status": "success", "data": data, **more}))


def failure(status: int, error: str, kind: str = "bad_data") -> Answer:
    return reply(status, msgspec.json.encode({"status": "error", "errorType": kind, "error": error}))


def vector(*series: tuple[dict[str, str], str], time: float = NOW) -> Answer:
    return success("vector", [{"metric": labels, "value": [time, value]} for labels, value in series])


def matrix(*series: tuple[dict[str, str], list[tuple[float, str]]], **more: Any) -> Answer:
    return success("matrix", [{"metric": labels, "values": values} for labels, values in series], **more)

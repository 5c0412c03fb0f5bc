"""The edge's settings as bytes, so that its engine runs by the very same ones, whatever became of the file."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from types import MappingProxyType
from typing import Any

import msgspec

from scaler.event_settings import EventRule
from scaler.settings import Settings
from scaler.sources.base import SourceSpec
from scaler.tenancy.tenants import Tenant

__all__ = ["dumps", "loads"]


_TYPED = frozenset({"sources", "events", "tenants", "readers", "data_dir"})  # readers: the engine shows nothing


class _Wire(msgspec.Struct, frozen=True, array_like=True):
    values: dict[str, Any]
    sources: dict[str, SourceSpec]
    events: tuple[EventRule, ...]
    tenants: tuple[Tenant, ...]


def dumps(settings: Settings) -> bytes:
    """The settings, secrets of sources included: for a local socket only."""
    values = {
        field.name: getattr(settings, field.name) for field in dataclasses.fields(settings) if field.name not in _TYPED
    }
    values["data_dir"] = str(settings.data_dir)
    return msgspec.msgpack.encode(_Wire(values, dict(settings.sources), settings.events, settings.tenants))


def loads(data: bytes) -> Settings:
    """The settings that `dumps` wrote."""
    wire = msgspec.msgpack.decode(data, type=_Wire)
    values: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in wire.values.items()
    }
    values["data_dir"] = Path(values["data_dir"])
    return Settings(**values, sources=MappingProxyType(wire.sources), events=wire.events, tenants=wire.tenants)

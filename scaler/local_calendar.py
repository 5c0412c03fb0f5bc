"""Whose clocks and holidays a load follows, told to the forecasters that ask: by the server as by the commands."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from forecasting.registry import default_registry

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["with_calendar"]


def with_calendar(forecaster: str, parameters: Mapping[str, str], *, time_zone: str, holidays: str) -> dict[str, str]:
    """The parameters; a method that follows clocks and holidays is told whose, unless that is said already.

    Args:
        forecaster: Its name.
        parameters: Texts by name.
        time_zone: IANA name.
        holidays: A region by ISO 3166; empty: none.
    """
    told = {
        name: value
        for name, value, usual in (("timezone", time_zone, "UTC"), ("holidays", holidays, ""))
        if value != usual and name not in parameters and name in _taken(forecaster)
    }
    return {**parameters, **told}


@cache
def _taken(forecaster: str) -> frozenset[str]:
    """The names of a method's parameters; none of one that is not known, which fails where it is fitted."""
    registry = default_registry()
    known = registry.parameters(forecaster) if forecaster in registry.names() else ()
    return frozenset(one.name for one in known)

"""Countries and their parts, as people name them: whose public holidays a load keeps."""

from __future__ import annotations

import re

from forecasting.errors import InvalidParameter
from forecasting.prepare.regions import checked_region
from scaler.kinds import Kind, Unreadable

__all__ = ["REGION"]

_SAYS = "a country whose public holidays are known, such as DE, or a part of it, such as DE-BY"
_REGION_NAME = re.compile(r"[A-Z]{2}(?:-[A-Za-z0-9]{1,24})?")


def _parse_region(value: str) -> str:
    if _REGION_NAME.fullmatch(value):
        try:
            return checked_region(value)
        except InvalidParameter:
            pass  # named like one, but no calendar has it
    raise Unreadable(f"it must be {_SAYS}")


REGION: Kind[str] = Kind(says=_SAYS, parse=_parse_region, show=lambda value: value or "none")

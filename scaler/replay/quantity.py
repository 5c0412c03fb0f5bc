"""Kubernetes quantities: `10`, `0.5`, `333m`, `2k`, `1Ki`, `5e2`."""

from __future__ import annotations

import re
from fractions import Fraction

__all__ = ["milli", "quantity"]

_SCALES = {
    "n": Fraction(1, 10**9),
    "u": Fraction(1, 10**6),
    "m": Fraction(1, 1000),
    "": Fraction(1),
    "k": Fraction(10**3),
    "M": Fraction(10**6),
    "G": Fraction(10**9),
    "T": Fraction(10**12),
    "P": Fraction(10**15),
    "E": Fraction(10**18),
    "Ki": Fraction(2**10),
    "Mi": Fraction(2**20),
    "Gi": Fraction(2**30),
    "Ti": Fraction(2**40),
    "Pi": Fraction(2**50),
    "Ei": Fraction(2**60),
}
_FORM = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))(?:[eE]([+-]?\d{1,2})|([numkMGTPE]|[KMGTPE]i)?)")


def quantity(text: str) -> Fraction:
    """The number that a Kubernetes quantity stands for.

    Raises:
        ValueError: The text is not a quantity.
    """
    match = _FORM.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is not a Kubernetes quantity such as 10, 0.5 or 500m")
    number, exponent, suffix = match.groups()
    return Fraction(number) * Fraction(10) ** int(exponent or 0) * _SCALES[suffix or ""]


def milli(value: float | Fraction) -> int:
    """A value in the thousandths that the HPA counts in; KEDA cuts off what is finer."""
    return int(value * 1000)

"""The certificate of our own two ports: whether clients take it, for how long, and who may come."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from scaler.doctor.check import Check, Finding, fail, good, warn
from scaler.times import iso
from scaler.tls.certificates import SOON
from scaler.tls.material import read_material
from scaler.tls.settings import files_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from scaler.settings import Settings
    from scaler.tls.material import Material

__all__ = ["tls_checks"]


def tls_checks(about: str, settings: Settings, *, clock: Callable[[], float] = time.time) -> list[Check]:
    """The checks; none where both ports speak plain text.

    Args:
        about: What reports call the machine.
        settings: Those of the server.
        clock: Epoch seconds.
    """
    files = files_of(settings)
    if files is None:
        return []

    async def certificate() -> Finding:
        return _judged(await asyncio.to_thread(read_material, files), now=clock())

    mend = "give the three files as cert-manager makes them: tls.crt, tls.key and ca.crt, all PEM"
    return [Check(about=about, name="TLS", ask=certificate, mend=mend)]


def _judged(material: Material, *, now: float) -> Finding:
    names = ", ".join(material.names)
    renew = "renew it; the server takes the new one up by itself"
    if not material.names:
        return fail(
            "the certificate has no subject alternative names, so no client takes it for any host",
            "have it made for the name of the Service that scalerAddress holds",
        )
    if now < material.not_before:
        return fail(f"the certificate for {names} is valid only from {iso(material.not_before)} on", "see to the clock")
    if now >= material.not_after:
        return fail(f"the certificate for {names} has expired at {iso(material.not_after)}", renew)
    until = f"the certificate for {names} is valid until {iso(material.not_after)}"
    if material.not_after - now < SOON:
        return warn(until, renew)
    if not material.client_ca:
        return warn(
            f"{until}; clients need none",
            "set tls_client_ca, or keep the ports to KEDA and Prometheus by a NetworkPolicy",
        )
    return good(f"{until}; clients need one, too")

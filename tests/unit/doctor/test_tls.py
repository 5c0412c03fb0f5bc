"""The doctor on our own certificate."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from scaler.doctor.check import Report, run_checks
from scaler.doctor.tls import tls_checks
from scaler.settings import Settings
from scaler.times import iso
from scaler.tls.material import TlsFiles, read_material
from tests.support.authority import Authority

if TYPE_CHECKING:
    from tests.support.authority import Pair


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"), "ours")


async def look(pair: Pair, *, now: float, client_ca: str = "") -> Report:
    settings = Settings(tls_cert=str(pair.cert), tls_key=str(pair.key), tls_client_ca=client_ca)
    (report,) = [report async for report in run_checks(tls_checks("this server", settings, clock=lambda: now))]
    return report


def test_plain_text_has_no_certificate_to_look_at() -> None:
    assert tls_checks("this server", Settings()) == []


async def test_a_certificate_over_its_life(authority: Authority) -> None:
    pair = authority.issue("DNS:foresail.svc")
    material = read_material(TlsFiles(cert=pair.cert, key=pair.key))
    until, day, the = iso(material.not_after), 86_400, "the certificate for foresail.svc"
    ca = str(authority.cert)
    for now, client_ca, verdict, found in (
        (
            material.not_before - 1,
            ca,
            "FAIL",
            f"{the} is valid only from {iso(material.not_before)} on",
        ),
        (
            material.not_before,
            ca,
            "OK",
            f"{the} is valid until {until}; clients need one, too",
        ),
        (
            material.not_before,
            "",
            "WARN",
            f"{the} is valid until {until}; clients need none",
        ),
        (material.not_after - 6 * day, ca, "WARN", f"{the} is valid until {until}"),
        (material.not_after, ca, "FAIL", f"{the} has expired at {until}"),
    ):
        report = await look(pair, now=now, client_ca=client_ca)
        assert (report.verdict, report.found) == (verdict, found)
        assert report.mend or verdict == "OK"


async def test_a_certificate_without_names_and_a_key_that_does_not_fit(authority: Authority) -> None:
    nameless, other = authority.issue(""), authority.issue("DNS:x")
    now = read_material(TlsFiles(cert=other.cert, key=other.key)).not_before
    report = await look(nameless, now=now)
    assert report.found == "the certificate has no subject alternative names, so no client takes it for any host"
    mixed = type(other)(other.cert, nameless.key)
    report = await look(mixed, now=now)
    assert report.verdict == "FAIL"
    assert report.found.endswith("it is the key of another certificate than that in tls_cert")
    assert report.mend == "give the three files as cert-manager makes them: tls.crt, tls.key and ca.crt, all PEM"

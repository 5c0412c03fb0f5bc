"""A certificate with its key and the clients' authority, read from files and tried out.

What the certificate says of itself (names, dates) comes out of a handshake with ourselves, in memory: the standard
library reads certificates of peers only. That also proves that certificate and key work together.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from scaler.errors import InvalidSettings
from scaler.kinds import quoted
from scaler.tls.pem import load_pair

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["Material", "TlsFiles", "read_material", "server_context", "subject_names"]

_LARGEST = 1 << 20  # bytes of a file; a bundle of all public authorities has a fifth of that
_BEGIN = b"-----BEGIN CERTIFICATE-----"
_IGNORE_DATES = 0x200000  # OpenSSL's X509_V_FLAG_NO_CHECK_TIME: an expired certificate must be told as such
_ROUNDS = 4  # TLS 1.3 takes two


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsFiles:
    """Where the PEM files are.

    Attributes:
        cert: The server's certificate, and those between it and its authority.
        key: Its private key, unencrypted.
        client_ca: The authorities of clients' certificates; None: clients need none.
    """

    cert: Path
    key: Path
    client_ca: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """What the files held, known to work. The key stays out of repr.

    Attributes:
        cert: PEM.
        key: PEM.
        client_ca: PEM; empty: clients need no certificate.
        names: The certificate's subject alternative names.
        not_before: From when it is valid, epoch seconds.
        not_after: Until when.
    """

    cert: bytes
    key: bytes = field(repr=False)
    client_ca: bytes
    names: tuple[str, ...]
    not_before: float
    not_after: float


def read_material(files: TlsFiles) -> Material:
    """Reads the files and tries them out.

    Raises:
        InvalidSettings: A file cannot be read or is not what it should be, or they do not fit together.
    """
    problems: list[str] = []
    cert = _read("tls_cert", files.cert, problems)
    key = _read("tls_key", files.key, problems)
    client_ca = _read("tls_client_ca", files.client_ca, problems) if files.client_ca else b""
    for name, path, data in (("tls_cert", files.cert, cert), ("tls_client_ca", files.client_ca, client_ca)):
        if data and (_BEGIN not in data or not data.isascii()):
            problems.append(f"{name} is {_shown(path)}: it holds no certificate in PEM, begun by {_BEGIN.decode()}")
    if problems:
        raise InvalidSettings(problems)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        load_pair(context, cert=cert, key=key)
    except (ssl.SSLError, ValueError) as error:
        raise InvalidSettings([_pair_problem(files, error)]) from None
    if client_ca:
        try:
            context.load_verify_locations(cadata=client_ca.decode("ascii"))
        except (ssl.SSLError, ValueError):
            text = f"tls_client_ca is {_shown(files.client_ca)}: a certificate in it cannot be read"
            raise InvalidSettings([text]) from None
    told = _told_of_itself(context, cert, files)
    return Material(
        cert=cert,
        key=key,
        client_ca=client_ca,
        names=subject_names(told),
        not_before=ssl.cert_time_to_seconds(told["notBefore"]),
        not_after=ssl.cert_time_to_seconds(told["notAfter"]),
    )


def server_context(material: Material) -> ssl.SSLContext:
    """TLS 1.2 or later, with this certificate; clients may show one of theirs if there is an authority for them."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    # no resumption: OpenSSL would take a session's certificate for granted after its authority has gone. TLS 1.2 also
    # has sessions that the server remembers, which Python cannot switch off: `Certificates.changed_at` is for those.
    context.options |= ssl.OP_NO_TICKET
    context.num_tickets = 0
    load_pair(context, cert=material.cert, key=material.key)
    if material.client_ca:
        context.load_verify_locations(cadata=material.client_ca.decode("ascii"))
        context.verify_mode = ssl.CERT_OPTIONAL
    return context


def subject_names(certificate: Mapping[str, Any]) -> tuple[str, ...]:
    """The subject alternative names of a certificate as `ssl` gives it: DNS names, addresses, URIs, in its order."""
    return tuple(value for _, value in certificate.get("subjectAltName", ()))


def _read(name: str, path: Path, problems: list[str]) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(_LARGEST + 1)
    except OSError as error:
        problems.append(f"{name} is {_shown(path)}: the file cannot be read: {error.strerror}")
        return b""
    if not data or len(data) > _LARGEST:
        problems.append(f"{name} is {_shown(path)}: the file must hold 1 to {_LARGEST} bytes")
        return b""
    return data


def _pair_problem(files: TlsFiles, error: Exception) -> str:
    if isinstance(error, ssl.SSLError) and error.reason == "KEY_VALUES_MISMATCH":
        return f"tls_key is {_shown(files.key)}: it is the key of another certificate than that in tls_cert"
    return (
        f"tls_cert is {_shown(files.cert)} and tls_key {_shown(files.key)}: they must be a certificate and its "
        "unencrypted private key, both in PEM"
    )


def _told_of_itself(server_side: ssl.SSLContext, cert: bytes, files: TlsFiles) -> dict[str, Any]:
    """What a client sees of the certificate, whatever its dates and its authority."""
    client_side = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client_side.check_hostname = False
    client_side.load_verify_locations(cadata=cert.decode("ascii"))
    client_side.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN | ssl.VerifyFlags(_IGNORE_DATES)
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = client_side.wrap_bio(to_client, to_server)
    server = server_side.wrap_bio(to_server, to_client, server_side=True)
    try:
        for _ in range(_ROUNDS):
            for side in (client, server):
                _advance(side)
    except ssl.SSLCertVerificationError as error:
        text = f"tls_cert is {_shown(files.cert)}: no client would take it: {error.verify_message}"
        raise InvalidSettings([text]) from None
    except ssl.SSLError as error:
        reason = (error.reason or "unknown reason").lower().replace("_", " ")
        raise InvalidSettings([f"tls_cert is {_shown(files.cert)}: no handshake succeeds with it: {reason}"]) from None
    return client.getpeercert() or {}


def _advance(side: ssl.SSLObject) -> None:
    try:
        side.do_handshake()
    except ssl.SSLWantReadError:
        return


def _shown(path: Path | None) -> str:
    return quoted(str(path))

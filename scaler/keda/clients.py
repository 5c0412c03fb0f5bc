"""TLS of the gRPC port: its credentials, and which clients may call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import grpc

from scaler.errors import ClientRefused

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from scaler.tls.certificates import Certificates
    from scaler.tls.material import Material

__all__ = ["only_clients", "server_credentials"]

_NAMES = "x509_subject_alternative_name"


def server_credentials(certificates: Certificates) -> grpc.ServerCredentials:
    """Credentials that look for changed certificates at every handshake; gRPC itself takes no less than TLS 1.2."""
    used = certificates.current()

    def changed() -> grpc.ServerCertificateConfiguration | None:
        nonlocal used
        now = certificates.current()
        if now is used:
            return None  # as before
        used = now
        return _configuration(now)

    return grpc.dynamic_ssl_server_credentials(
        _configuration(used),
        changed,  # type: ignore[arg-type]  # gRPC's documentation has the None, its types lack it
        require_client_authentication=bool(used.client_ca),
    )


def _configuration(material: Material) -> grpc.ServerCertificateConfiguration:
    return grpc.ssl_server_certificate_configuration(
        [(material.key, material.cert)], root_certificates=material.client_ca or None
    )


def only_clients(allowed: tuple[str, ...]) -> Callable[[Mapping[str, Any]], None] | None:
    """Refuses callers whose certificate has none of these subject alternative names; None if there are none to check.

    The check takes a call's `auth_context()` and raises ClientRefused.
    """
    if not allowed:
        return None
    names = frozenset(name.lower() for name in allowed)

    def check(auth: Mapping[str, Any]) -> None:
        shown = [name.decode("utf-8", "replace") for name in auth.get(_NAMES, ())]
        if names.isdisjoint(name.lower() for name in shown):
            raise ClientRefused.with_names(shown, setting="tls_grpc_clients")

    return check

"""The TLS settings of one source, from PEM texts; private keys never touch a disk."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

import httpx

from scaler.errors import InvalidTrigger
from scaler.tls.pem import load_pair

if TYPE_CHECKING:
    from scaler.sources.base import SourceSpec

__all__ = ["tls_context"]


def tls_context(spec: SourceSpec) -> ssl.SSLContext:
    """Whom to trust and who we are.

    Without `ca` the public authorities count (or those of SSL_CERT_FILE and SSL_CERT_DIR); with it, only the given
    ones: who names an authority means this one.

    Raises:
        InvalidTrigger: A text is not PEM, or certificate and key do not fit together.
    """
    if spec.ca:
        try:
            context = ssl.create_default_context(cadata=spec.ca)
        except (ssl.SSLError, TypeError, ValueError) as error:
            problem = "ca is not a certificate in PEM form; it begins with -----BEGIN CERTIFICATE-----"
            raise InvalidTrigger([problem]) from error
    else:
        context = httpx.create_ssl_context()
    if spec.unsafe_ssl:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if bool(spec.cert) != bool(spec.key):
        given, missing = ("cert", "key") if spec.cert else ("key", "cert")
        raise InvalidTrigger([f"{given} is given without {missing}; a client certificate needs both, in PEM form"])
    if spec.cert:
        _load_client_certificate(context, spec)
    return context


def _load_client_certificate(context: ssl.SSLContext, spec: SourceSpec) -> None:
    try:
        load_pair(context, cert=spec.cert.encode(), key=spec.key.encode())
    except (ssl.SSLError, ValueError) as error:
        problem = "cert and key are not a certificate and its unencrypted private key in PEM form"
        raise InvalidTrigger([problem]) from error

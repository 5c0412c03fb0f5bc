"""Certificates as cert-manager makes them, by openssl: an authority, and what it signs."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Authority", "Pair"]

_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


@dataclass(frozen=True)
class Pair:
    """A certificate and its key, PEM files."""

    cert: Path
    key: Path

    def replace(self, other: Pair) -> None:
        """What a rotation does: each file becomes another one, by a rename."""
        for ours, theirs in ((self.key, other.key), (self.cert, other.cert)):
            new = ours.with_suffix(".new")
            new.write_bytes(theirs.read_bytes())
            new.rename(ours)


class Authority:
    """Signs certificates; its own is `cert`."""

    def __init__(self, directory: Path, name: str) -> None:
        self._directory = directory
        self._name = name
        self.cert = directory / f"{name}.crt"
        self._key = directory / f"{name}.key"
        self._made = 0
        _openssl(
            *("req", "-x509", *_KEY, "-subj", f"/CN={name}", "-days", "30"),
            *("-keyout", str(self._key), "-out", str(self.cert)),
        )

    def issue(self, names: str, *, days: int = 30, usage: str = "serverAuth,clientAuth") -> Pair:
        """A certificate for these subject alternative names ("" for none), such as `DNS:localhost,IP:127.0.0.1`.

        A negative number of days makes one that has expired.
        """
        self._made += 1
        stem = f"{self._name}-{self._made}"
        made = Pair(self._directory / f"{stem}.crt", self._directory / f"{stem}.key")
        request, extensions = self._directory / f"{stem}.csr", self._directory / f"{stem}.ext"
        extensions.write_text(f"extendedKeyUsage={usage}\n" + (f"subjectAltName={names}\n" if names else ""))
        _openssl("req", *_KEY, "-subj", f"/CN={stem}", "-keyout", str(made.key), "-out", str(request))
        _openssl(
            *("x509", "-req", "-in", str(request), "-CA", str(self.cert), "-CAkey", str(self._key)),
            *("-CAcreateserial", "-days", str(days), "-extfile", str(extensions), "-out", str(made.cert)),
        )
        return made


def _openssl(*arguments: str) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True, timeout=60)

"""Keeps secrets out of everything that people read: log lines, error texts, pages.

Two nets. Whoever reads a secret (settings, trigger metadata) hands it to `protect`, and it is masked wherever it
turns up, also percent-encoded or quoted. What looks like a credential is masked without having been registered:
bearer and basic tokens, the user part of a URL, private keys.
"""

from __future__ import annotations

import json
import re
from collections import OrderedDict
from threading import Lock
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus, urlsplit, urlunsplit

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["MASK", "SECRET_FIELDS", "Secrets", "mask", "masked", "protect", "without_credentials"]

MASK = "***"

SECRET_FIELDS = frozenset(
    {"authorization", "bearer_token", "custom_auth_value", "key_pem", "password", "secret", "token"}
)
"""Log fields of these names are masked whatever they hold."""

_CAPACITY = 100_000  # five secrets for each of 20,000 triggers; the longest unused goes first
_SHORT = 4  # masking a secret of one to three characters inside words would shred every line

_PATTERNS = (
    # a word of fewer than 20 lowercase letters after "basic" is prose
    (
        re.compile(r"\b((?i:bearer|basic)\s+)(?:(?=[a-z]*[^a-z\s])[\w.~+/=-]{8,}|[\w.~+/=-]{20,})"),
        rf"\1{MASK}",
    ),
    (re.compile(r"(\b[A-Za-z][A-Za-z0-9+.-]*://)[^\s/?#\"'<>]*@"), rf"\1{MASK}@"),
    (re.compile(r"(?i)([?&](?:access_token|api_?key|password|secret|token)=)[^&\s#\"']+"), rf"\1{MASK}"),
    (
        re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL),
        MASK,
    ),
)


class Secrets:
    """Strings that must not be shown, and the patterns that need no registering. Safe in threads."""

    def __init__(self, *, capacity: int = _CAPACITY) -> None:
        self._capacity = capacity
        self._lock = Lock()
        self._protected: OrderedDict[str, tuple[str, ...]] = OrderedDict()
        self._forms: tuple[str, ...] | None = ()  # longest first; None: to be made anew

    def protect(self, *secrets: str) -> None:
        """Masks these strings from now on, in all the forms that texts show them in. "" is ignored."""
        with self._lock:
            for secret in secrets:
                if not secret:
                    continue
                if secret not in self._protected:
                    self._protected[secret] = _forms(secret)
                    self._forms = None
                self._protected.move_to_end(secret)
            while len(self._protected) > self._capacity:
                self._protected.popitem(last=False)
                self._forms = None

    def mask(self, text: str) -> str:
        """The text without anything secret."""
        text = _without(text, self._all_forms())
        for pattern, shown in _PATTERNS:
            text = pattern.sub(shown, text)
        return text

    def _all_forms(self) -> tuple[str, ...]:
        with self._lock:
            if self._forms is None:
                self._forms = _longest_first(form for forms in self._protected.values() for form in forms)
            return self._forms


def _forms(secret: str) -> tuple[str, ...]:
    """The secret as it is, in a URL, in a form, in the reprs of text and bytes, in JSON."""
    forms = (
        secret,
        quote(secret, safe=""),
        quote_plus(secret),
        repr(secret)[1:-1],
        repr(secret.encode(errors="replace"))[2:-1],
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
    )
    return tuple(dict.fromkeys(forms))


def _longest_first(forms: Iterable[str]) -> tuple[str, ...]:
    """So that a secret inside another one leaves nothing of that behind."""
    return tuple(sorted(set(forms), key=lambda form: (-len(form), form)))


def _without(text: str, forms: Iterable[str]) -> str:
    for form in forms:
        if form not in text:
            continue
        if len(form) >= _SHORT:
            text = text.replace(form, MASK)
        else:
            text = re.sub(rf"(?<!\w){re.escape(form)}(?!\w)", MASK, text)
    return text


def masked(text: str, secrets: Iterable[str]) -> str:
    """The text without these secrets: for what a server says that was sent them, and may echo them."""
    return _without(text, _longest_first(form for secret in secrets if secret for form in _forms(secret)))


def without_credentials(url: str) -> str:
    """The URL for people: without its user part and its query."""
    try:
        parts = urlsplit(url)
        host = parts.netloc.rpartition("@")[2]
        return urlunsplit((parts.scheme, host, parts.path, "", ""))
    except ValueError:
        return mask(url.partition("?")[0])


_secrets = Secrets()  # log lines are written from everywhere in the process, so the process has one registry
protect = _secrets.protect
mask = _secrets.mask

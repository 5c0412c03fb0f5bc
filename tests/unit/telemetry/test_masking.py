"""Canaries: strings that must never come out again, in all the forms in which texts carry them."""

from __future__ import annotations

import json
from urllib.parse import quote, quote_plus

import pytest

from scaler.telemetry.masking import Secrets, masked, without_credentials

CANARY = 'canary-7f3a "quoted"\\ü+/&\n-----'


def test_a_protected_secret_is_masked_in_every_form() -> None:
    secrets = Secrets()
    secrets.protect(CANARY)
    for form in (
        CANARY,
        quote(CANARY, safe=""),
        quote_plus(CANARY),
        repr(CANARY),
        repr(CANARY.encode()),
        json.dumps(CANARY),
    ):
        for shown in (secrets.mask(f"before {form} after"), masked(f"before {form} after", [CANARY, ""])):
            assert "canary" not in shown
            assert shown.startswith("before ")
            assert shown.endswith(" after")


def test_a_secret_within_a_secret_leaves_nothing_of_either() -> None:
    secrets = Secrets()
    secrets.protect("canary", "canary-extended")
    assert secrets.mask("x canary-extended y canary z") == "x *** y *** z"


def test_short_secrets_are_masked_as_words_only() -> None:
    secrets = Secrets()
    secrets.protect("ab1", "")
    assert secrets.mask("password ab1, cab1n") == "password ***, cab1n"


def test_the_longest_unused_secret_goes_first_when_there_are_too_many() -> None:
    secrets = Secrets(capacity=2)
    secrets.protect("first-one", "second-one")
    secrets.protect("first-one")
    secrets.protect("third-one")
    assert secrets.mask("first-one second-one third-one") == "*** second-one ***"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Authorization: Bearer canary7f3a9b", "Authorization: Bearer ***"),
        ("bearer eyJhbGciOi.J9.canary_x-y", "bearer ***"),
        ("Bearer canarycanarycanarycanary", "Bearer ***"),
        ("'Basic dXNlcjpjYW5hcnk='", "'Basic ***'"),
        ("http://user:canary@prometheus:9090/api", "http://***@prometheus:9090/api"),
        ("https://canary@host", "https://***@host"),
        ("http://u:p@canary@host/x", "http://***@host/x"),
        ("GET http://h/x?token=canary&y=1 done", "GET http://h/x?token=***&y=1 done"),
        ("http://h/?y=1&api_key=canary", "http://h/?y=1&api_key=***"),
        ("-----BEGIN RSA PRIVATE KEY-----\ncanary\n-----END RSA PRIVATE KEY-----\nrest", "***\nrest"),
        ("-----BEGIN PRIVATE KEY-----\ncanary", "***"),
    ],
)
def test_what_looks_like_a_credential_is_masked_unregistered(text: str, shown: str) -> None:
    assert Secrets().mask(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "basic authentication needs a username",
        "the bearer token is missing",
        "http://prometheus:9090/api?query=sum(rate(x[5m]))",
        "mail to someone@example.org",
        "-----BEGIN CERTIFICATE-----\npublic",
    ],
)
def test_prose_and_plain_addresses_stay(text: str) -> None:
    assert Secrets().mask(text) == text


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://user:canary@h:9090/p?token=canary#canary", "http://h:9090/p"),
        ("http://h:9090", "http://h:9090"),
        ("http://u:canary@[::1]:9090/x", "http://[::1]:9090/x"),
        ("http://u:canary@[broken/x?canary", "http://***@[broken/x"),
        ("", ""),
    ],
)
def test_an_address_is_shown_without_credentials(url: str, shown: str) -> None:
    assert without_credentials(url) == shown

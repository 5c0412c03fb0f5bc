from __future__ import annotations

from ipaddress import ip_address

import pytest

from scaler.errors import AddressRefused, InvalidSettings
from scaler.sources.address import AddressPolicy, shown

POLICY = AddressPolicy()


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("127.0.0.1", "a loopback address"),
        ("127.8.9.10", "a loopback address"),
        ("::1", "a loopback address"),
        ("::ffff:127.0.0.1", "a loopback address"),
        ("::127.0.0.1", "a loopback address"),
        ("64:ff9b::7f00:1", "a loopback address"),
        ("2002:7f00:1::", "a loopback address"),
        ("2001:0:4136:e378:8000:63bf:80ff:fffe", "a loopback address"),
        ("0.0.0.0", "an unspecified address"),  # noqa: S104 -- a text, nothing is bound
        ("0.1.2.3", "an unspecified address"),
        ("::", "an unspecified address"),
        ("169.254.1.1", "a link-local address"),
        ("fe80::1", "a link-local address"),
        ("224.0.0.1", "a multicast address"),
        ("ff02::1", "a multicast address"),
        ("255.255.255.255", "a reserved address"),
        ("240.0.0.1", "a reserved address"),
        ("169.254.169.254", "a cloud's metadata address"),
        ("::ffff:169.254.169.254", "a cloud's metadata address"),
        ("fd00:ec2::254", "a cloud's metadata address"),
        ("100.100.100.200", "a cloud's metadata address"),
        ("168.63.129.16", "a cloud's metadata address"),
    ],
)
def test_what_is_refused(address: str, kind: str) -> None:
    host = f"[{address}]" if ":" in address else address
    end = f"give the address of the source's Service, or let the operator allow it with --allow-address {host}:9090"
    with pytest.raises(AddressRefused) as caught:
        POLICY.read(f"http://{host}:9090")
    assert str(caught.value) == f"address {host}:9090 is refused: it is {kind}; {end}"
    with pytest.raises(AddressRefused) as caught:
        POLICY.check("prom", 9090, [ip_address("10.0.0.1"), ip_address(address)])
    assert str(caught.value) == (
        f"address prom:9090 is refused: it resolves to {ip_address(address)}, {kind}; give the address of the "
        "source's Service, or let the operator allow it with --allow-address prom:9090"
    )


@pytest.mark.parametrize(
    "address", ["10.0.0.1", "192.168.1.1", "172.16.0.9", "100.64.0.1", "8.8.8.8", "fd00::1", "2001:4860::1"]
)
def test_what_is_allowed(address: str) -> None:
    POLICY.check("prom", 9090, [ip_address(address)])
    assert POLICY.read(f"http://[{address}]" if ":" in address else f"http://{address}").host == address


@pytest.mark.parametrize(
    ("url", "text"),
    [
        (
            "http://prom:port",
            "the address is not a URL; write for example http://prometheus.monitoring.svc:9090",
        ),
        (
            "ftp://prom",
            (
                "address 'ftp://prom' is not an http:// or https:// URL with a host; "
                "write for example http://prometheus.monitoring.svc:9090"
            ),
        ),
        (
            "prom:9090",
            (
                "address 'prom:9090' is not an http:// or https:// URL with a host; "
                "write for example http://prometheus.monitoring.svc:9090"
            ),
        ),
        (
            "http:///metrics",
            (
                "address 'http:/metrics' is not an http:// or https:// URL with a host; "
                "write for example http://prometheus.monitoring.svc:9090"
            ),
        ),
        (
            "https://ana:secret@prom/x",
            (
                "address https://prom/x holds a user or a password, which logs would show; "
                'set authModes to "basic" and give them as username and password'
            ),
        ),
    ],
)
def test_what_is_no_address(url: str, text: str) -> None:
    with pytest.raises(AddressRefused) as caught:
        POLICY.read(url)
    assert str(caught.value) == text


@pytest.mark.parametrize(
    ("entry", "open_", "shut"),
    [
        ("localhost", ("localhost", 1), ("local", 1)),
        ("LocalHost.", ("LOCALHOST", 9090), ("localhost.evil", 9090)),
        ("localhost:9090", ("localhost.", 9090), ("localhost", 9091)),
        ("127.0.0.1", ("other", 1), ("other", None)),
        ("127.0.0.1:9090", ("127.0.0.1", 9090), ("127.0.0.1", 9091)),
        ("my_host-1.a:65535", ("my_host-1.a", 65535), ("my_host-1.a", 6553)),
    ],
)
def test_an_entry_opens_one_door(entry: str, open_: tuple[str, int], shut: tuple[str, int | None]) -> None:
    policy = AddressPolicy.parse([entry])
    policy.check(*open_, [ip_address("127.0.0.1")])
    host, port = shut
    with pytest.raises(AddressRefused):
        policy.check(host, port or 1, [ip_address("127.0.0.1" if port else "127.0.0.2")])


@pytest.mark.parametrize("entry", ["::1", "[::1]", "[::1]:9090", "[0:0:0:0:0:0:0:1]:9090"])
def test_entries_of_ipv6(entry: str) -> None:
    policy = AddressPolicy.parse([entry])
    assert policy.read("http://[::1]:9090").port == 9090
    with pytest.raises(AddressRefused):
        policy.read("http://127.0.0.1:9090")


def test_entries_that_are_none_are_told_together() -> None:
    bad = [
        "",
        "*",
        "*.svc",
        "a b",
        "a:",
        "a:0",
        "a:65536",
        "a:b",
        "http://a",
        "a/b",
        "[::1",
        "[a]:1",
        "::1:x",
        "10.0.0.0/8",
    ]
    with pytest.raises(InvalidSettings) as caught:
        AddressPolicy.parse(["fine", *bad])
    assert caught.value.problems == tuple(
        f"allow-address {entry!r} is not HOST or HOST:PORT; write for example prometheus.monitoring.svc, "
        "10.0.0.7:9090 or [fd00::7]:9090, one entry each and no wildcards"
        for entry in bad
    )


def test_only_listed_refuses_the_rest() -> None:
    policy = AddressPolicy.parse(["prom:9090", "10.0.0.7"], only_listed=True)
    policy.check("prom", 9090, [ip_address("10.1.1.1")])
    policy.check("any", 80, [ip_address("10.0.0.7")])
    with pytest.raises(AddressRefused) as caught:
        policy.check("api", 443, [ip_address("10.0.0.7"), ip_address("10.0.0.8")])
    assert str(caught.value) == (
        "address api:443 is refused: it resolves to 10.0.0.8, an address that is not on the list of allowed ones; "
        "give the address of the source's Service, or let the operator allow it with --allow-address api:443"
    )


def test_the_operator_s_own_sources_are_trusted() -> None:
    policy = AddressPolicy(only_listed=True).trusting("http://LOCALHOST/x")
    policy.check("localhost", 80, [ip_address("127.0.0.1")])
    with pytest.raises(AddressRefused):
        policy.check("localhost", 81, [ip_address("127.0.0.1")])


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("https://ana:pw@prom:1/a/?token=x#y", "https://prom:1/a"),
        ("http://prom/", "http://prom"),
        ("http://prom:port", "(not a URL)"),
        ("", ""),
    ],
)
def test_texts_show_no_more_of_an_address_than_needed(url: str, text: str) -> None:
    assert shown(url) == text

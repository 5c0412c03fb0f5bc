"""Kinds of values: what each reads, and its words when it cannot."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from scaler.connection import ADDRESS, HEADER_NAME, HEADERS, QUERY_PARAMETERS
from scaler.kinds import (
    BOOLEAN,
    Kind,
    Unreadable,
    choice,
    choices,
    duration,
    integer,
    number,
    pairs,
    quoted,
    show_duration,
    text,
)

if TYPE_CHECKING:
    from collections.abc import Callable


def refusal(read: Callable[[Any], object], value: object) -> str:
    with pytest.raises(Unreadable) as caught:
        read(value)
    return caught.value.reason


@pytest.mark.parametrize(
    ("written", "value"), [("1", 1.0), ("-2.5", -2.5), ("+.5", 0.5), ("1e3", 1000.0), ("5.", 5.0), ("-0", 0.0)]
)
def test_numbers(written: str, value: float) -> None:
    read = number().parse(written)
    assert read == value
    assert str(read) != "-0.0"


def test_numbers_say_their_bounds() -> None:
    assert refusal(number().parse, "x") == "it must be a number"
    assert refusal(number(minimum=1).parse, "0.9") == "it must be a number of at least 1"
    assert refusal(number(maximum=2.5).parse, "3") == "it must be a number of at most 2.5"
    assert refusal(number(minimum=1, maximum=2).parse, "٣") == "it must be a number from 1 to 2"


def test_whole_numbers() -> None:
    kind = integer(minimum=1, maximum=10)
    assert kind.parse("+7") == 7
    for written in ("0", "11", "7.0", "9" * 5000):
        assert refusal(kind.parse, written) == "it must be a whole number from 1 to 10"


@pytest.mark.parametrize("written", ["1", "t", "T", "true", "TRUE", "True"])
def test_true_as_go_reads_it(written: str) -> None:
    assert BOOLEAN.parse(written) is True
    assert BOOLEAN.show(BOOLEAN.parse(written)) == "true"


@pytest.mark.parametrize("written", ["0", "f", "F", "false", "FALSE", "False"])
def test_false_as_go_reads_it(written: str) -> None:
    assert BOOLEAN.parse(written) is False


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("90s", 90.0),
        ("5m", 300.0),
        ("1h30m", 5400.0),
        ("1.5h", 5400.0),
        ("7d", 604800.0),
        ("2w", 1209600.0),
        ("1y", 31536000.0),
        ("250ms", 0.25),
        ("0s", 0.0),
    ],
)
def test_durations(written: str, seconds: float) -> None:
    assert duration().parse(written) == seconds
    assert duration().parse(show_duration(seconds)) == seconds


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0, "0s"), (0.1, "100ms"), (2.5, "2.5s"), (90, "1m30s"), (5400, "1h30m"), (1209600, "14d"), (86461, "1d1m1s")],
)
def test_durations_are_shown_as_one_writes_them(seconds: float, shown: str) -> None:
    assert show_duration(seconds) == shown


def test_durations_say_what_is_wrong() -> None:
    assert refusal(duration().parse, "s") == "it must be a duration, such as 90s, 5m, 1h30m or 7d"
    assert refusal(duration().parse, "-5m") == "it must be a duration, such as 90s, 5m, 1h30m or 7d"
    assert refusal(duration().parse, "5") == "it has no unit; it must be a duration, such as 90s, 5m, 1h30m or 7d"
    assert refusal(duration(maximum=60).parse, "2m") == "it must be a duration of at most 1m"
    assert refusal(duration(minimum=60).parse, "2s") == "it must be a duration of at least 1m"
    assert refusal(duration().parse, "9" * 400 + "s") == "it must be a duration"


def test_a_bare_number_counts_what_the_kind_says() -> None:
    assert duration(bare=1.0).parse("2.5") == 2.5
    assert duration(bare=0.001).parse("2500") == 2.5
    assert duration(bare=0.001).says == "a duration (a bare number counts milliseconds)"


def test_choices() -> None:
    assert choice("a", "b", "c").says == "a, b or c"
    kind = choices("a", "b")
    assert kind.parse("b, a,,b") == ("b", "a")
    assert kind.show(("b", "a")) == "b,a"
    assert kind.of is not None
    assert kind.of(["a"]) == ("a",)
    assert refusal(kind.of, ["c"]) == '"c" is not supported; supported are a and b'
    assert refusal(kind.of, [1]) == "it must be a list of a and b"
    assert refusal(kind.of, {"a": 1}) == "it must be a list of a and b"


def test_texts() -> None:
    assert text(lines=True).parse("a\n\tb") == "a\n\tb"
    assert refusal(text().parse, "a\tb") == "it holds a control character"
    assert refusal(text(lines=True).parse, "a\x7f") == "it holds a control character"
    assert refusal(text(lines=True).parse, "a\ud800") == "it holds a control character"


def test_pairs_from_texts_and_tables() -> None:
    kind = pairs(check=lambda _name, _value: None)
    assert kind.parse("b=2, a=1=1,") == (("a", "1=1"), ("b", "2"))
    assert kind.show((("a", "1"), ("b", "2"))) == "a=1,b=2"
    assert kind.of is not None
    assert kind.of({"b": "2,3", "a": "1"}) == (("a", "1"), ("b", "2,3"))
    assert refusal(kind.of, {"a": 1}) == 'it must be a table of texts such as { name = "value" }'
    assert refusal(kind.of, [1]) == 'it must be a table of texts such as { name = "value" }'


def test_quoted_is_one_short_line() -> None:
    assert quoted('a"\\\n\u202e\ud800é') == r'"a\"\\\n\u202e\ud800é"'
    assert quoted("a" * 100) == f'"{"a" * 80}…"'


@pytest.mark.parametrize(
    ("written", "address"),
    [
        ("HTTP://Prom:9090/", "http://prom:9090"),
        ("https://prom/api/prom//", "https://prom/api/prom"),
        ("http://[FD00::7]:9090", "http://[fd00::7]:9090"),
        ("http://10.0.0.7", "http://10.0.0.7"),
    ],
)
def test_addresses_have_one_spelling(written: str, address: str) -> None:
    assert ADDRESS.parse(written) == address


@pytest.mark.parametrize(
    "written",
    [
        "",
        "prom",
        "ftp://prom",
        "http://",
        "http://:9090",
        "http://prom:0",
        "http://prom:99999",
        "http://prom:x",
        "http://pr om",
        "http://prom\\@evil",
        "http://[fd00::7",
        "http://[fe80::1%25eth0]",
        "http://[zz::]",
        "http://-prom",
        "http://próm",
        "http://prom/\u202e",
    ],
)
def test_what_is_no_address(written: str) -> None:
    assert refusal(ADDRESS.parse, written) == (
        "it must be an http or https URL such as http://prometheus.monitoring.svc:9090"
    )


def test_an_address_with_an_at_sign_is_never_shown() -> None:
    for written in ("http://u:p@", "http://u:p@h", "u:p@h", "http://u:p@h:x", "http://h/#p", "http://h?p", "p@" * 2000):
        with pytest.raises(Unreadable) as caught:
            ADDRESS.parse(written)
        assert not caught.value.show


def test_an_address_is_bounded() -> None:
    assert refusal(ADDRESS.parse, "http://h/" + "a" * 2040) == "it has 2049 characters; at most 2048 are accepted"


@pytest.mark.parametrize(
    ("kind", "written", "reason"),
    [
        (HEADERS, "=1", '"" is not a header\'s name'),
        (HEADERS, "X-A=", "the value of the header X-A must be 1 to 16384 printable ASCII characters"),
        (HEADERS, "content-length=1", "the header content-length is set by the HTTP client and cannot be given"),
        (HEADER_NAME, "X:A", '"X:A" is not a header\'s name'),
        (QUERY_PARAMETERS, "=1", '"" is not a query parameter\'s name'),
        (
            QUERY_PARAMETERS,
            "a=\x01",
            "the value of the query parameter a must be at most 4096 printable characters",
        ),
    ],
)
def test_headers_and_query_parameters(kind: Kind[object], written: str, reason: str) -> None:
    assert refusal(kind.parse, written) == reason


def test_header_names_are_read() -> None:
    assert HEADER_NAME.parse("X-Api-Key") == "X-Api-Key"


def test_addresses_of_version_six_are_checked() -> None:
    assert refusal(ADDRESS.parse, "http://[v1.a:b]") == refusal(ADDRESS.parse, "prom")

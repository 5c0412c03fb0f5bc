from __future__ import annotations

import pytest

from scaler.errors import QueryRejected
from scaler.sources.selector import parse_selector

END = (
    '; write for example http_requests_total{job="shop",code=~"2.."}. '
    "An exposition source answers selectors only, for PromQL use a Prometheus"
)


@pytest.mark.parametrize(
    ("query", "labels", "matches"),
    [
        ("up", {"any": "thing"}, True),
        (" up { } ", {}, True),
        ('up{job="a"}', {"job": "a"}, True),
        ('up{job="a"}', {"job": "b"}, False),
        ('up{job="a"}', {}, False),
        ('up{job=""}', {}, True),
        ('up{job!="a"}', {}, True),
        ('up{job!="a"}', {"job": "a"}, False),
        ('up{ job = "a" , pod =~ "b.*" , }', {"job": "a", "pod": "b-1"}, True),
        ('up{job="a",pod=~"b.*"}', {"job": "a", "pod": "c"}, False),
        ("up{job='it\\'s \"a\"'}", {"job": 'it\'s "a"'}, True),
        (r'up{job="a\\b\"c\n"}', {"job": 'a\\b"c\n'}, True),
        ('up{code=~"2.."}', {"code": "204"}, True),
        ('up{code=~"2.."}', {"code": "2044"}, False),
        ('up{code=~"2..|3.."}', {"code": "301"}, True),
        ('up{code!~"2..|3.."}', {"code": "500"}, True),
        ('up{code!~"2..|3.."}', {"code": "200"}, False),
        ('up{code=~"[45][0-9][^9]"}', {"code": "500"}, True),
        ('up{code=~"[45][0-9][^9]"}', {"code": "509"}, False),
        ('up{path=~".*"}', {}, True),
        ('up{path=~".+"}', {}, False),
        ('up{path=~".+"}', {"path": "/"}, True),
        ('up{path=~"/a/.+/b/.*c"}', {"path": "/a/x/b/y/b/c"}, True),
        ('up{path=~"/a/.+/b"}', {"path": "/a//b"}, False),
        ('up{path=~"/a/.*/b"}', {"path": "/a//b"}, True),
        (r'up{host=~"a\\.b"}', {"host": "a.b"}, True),
        (r'up{host=~"a\\.b"}', {"host": "axb"}, False),
        (r'up{n=~"\\d\\d"}', {"n": "٣٣"}, False),
        ('up{a=~""}', {}, True),
        ('up{a=~"x|"}', {}, True),
        ('up{a=~"a.b"}', {"a": "a\nb"}, True),
    ],
)
def test_what_matches(query: str, labels: dict[str, str], *, matches: bool) -> None:
    selector = parse_selector(query)
    assert selector.name == "up"
    assert selector.matches(labels) is matches


@pytest.mark.parametrize(
    ("query", "problem"),
    [
        ("", "it does not begin with a metric's name"),
        ('{job="a"}', "it does not begin with a metric's name"),
        ("sum(up)", "'(up)' follows the metric's name"),
        ("up[5m]", "'[5m]' follows the metric's name"),
        ('up{job="a"} + 1', "'+ 1' follows the closing brace"),
        ("up{", "'' is no condition on a label"),
        ("up{job}", "'job}' is no condition on a label"),
        ('up{job="a"', "a comma or a closing brace is missing"),
        ('up{job="a" pod="b"}', "a comma or a closing brace is missing"),
        ('up{job==~"a"}', "'job==~\"a\"}' is no condition on a label"),
        *(
            (
                f'up{{a=~"{pattern}"}}',
                (
                    f"the pattern {pattern!r} holds {sign!r}, which is not supported here: "
                    "use letters, digits, escaped signs, ., [...], .*, .+ and |"
                ),
            )
            for pattern, sign in (
                ("(a+)+b", "("),
                ("a*", "*"),
                ("a.*?b", "?"),
                ("a{3}", "{"),
                ("^a", "^"),
                ("a$", "$"),
                ("[a--b]", "["),
                ("[a&&b]", "["),
                ("[]", "["),
                ("ü", "ü"),
            )
        ),
    ],
)
def test_what_is_no_selector(query: str, problem: str) -> None:
    with pytest.raises(QueryRejected) as caught:
        parse_selector(query)
    assert str(caught.value) == f"query {query!r} is no metric selector: {problem}{END}"


def test_a_class_that_re_cannot_read() -> None:
    with pytest.raises(QueryRejected, match=r"the pattern '\[b-a\]' cannot be read: bad character range b-a"):
        parse_selector('up{a=~"[b-a]"}')


def test_a_selector_has_bounds() -> None:
    with pytest.raises(QueryRejected) as caught:
        parse_selector("u" * 1025)
    assert str(caught.value) == "the query is 1025 characters long; a metric selector may have 1024"
    with pytest.raises(QueryRejected, match=r"^query 'uuu.*u…' is no metric selector"):
        parse_selector("u" * 500 + "(")

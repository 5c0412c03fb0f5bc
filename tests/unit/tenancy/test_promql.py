"""Matchers in every selector, by the parsed query; and what is refused because it could slip through."""

from __future__ import annotations

from typing import TYPE_CHECKING

import promql_parser
import pytest

from scaler.errors import InvalidTrigger, TenantRefused
from scaler.promql import LONGEST_QUERY, MOST_OPERATORS, NotPromQL, TooLong, parse
from scaler.tenancy.promql import enforce

if TYPE_CHECKING:
    from collections.abc import Iterator

SHOP = (("namespace", "shop"),)


def selectors(query: str) -> Iterator[dict[str, str]]:
    """What each selector demands by `=`."""
    found: list[promql_parser.VectorSelector] = []

    def visit(node: promql_parser.Expr) -> bool:
        if isinstance(node, promql_parser.VectorSelector):
            found.append(node)
        return True

    promql_parser.walk(promql_parser.parse(query), visit)
    for selector in found:
        yield {m.name: m.value for m in selector.matchers.matchers if m.op == promql_parser.MatchOp.Equal}


@pytest.mark.parametrize(
    ("query", "sent"),
    [
        ("foo", 'foo{namespace="shop"}'),
        ("vector(5)", "vector(5)"),
        ('{__name__=~"a.*"}', '{__name__=~"a.*",namespace="shop"}'),
        ('{"foo.bar",a="b"}', '{__name__="foo.bar",a="b",namespace="shop"}'),
        ('foo{"a.b"="c"}', 'foo{"a.b"="c",namespace="shop"}'),
        ('foo{namespace="shop"}', 'foo{namespace="shop"}'),
        ('foo{namespace=~"sh.*"}', 'foo{namespace=~"sh.*",namespace="shop"}'),
        ('foo{namespace!="other",namespace!~"a|b"}', 'foo{namespace!="other",namespace!~"a|b",namespace="shop"}'),
        ("rate(foo[2m] offset 5m)", 'rate(foo{namespace="shop"}[120000ms] offset 300000ms)'),
        ("foo offset -1m30s", 'foo{namespace="shop"} offset -90000ms'),
        ("max_over_time(foo[1h:])", 'max_over_time((foo{namespace="shop"})[3600000ms:])'),
        ("max_over_time((a - b)[1h:5m] offset 1d)", None),
        ("sum by (a, b) (foo) / ignoring (x) group_left (y) bar", None),
        ('sum without ("a.b") (foo) > bool on (c) group_right bar', None),
        ("topk(3, foo) or vector(0) and on () bar unless baz atan2 qux", None),
        ('count_values("x", foo) + quantile(0.9, bar)', None),
        ('label_replace(foo, "a", "$1-\\"}) or bar", "b", "(.*)\\\\.")', None),
        ("histogram_quantile(0.9, sum by (le) (rate(foo_bucket[5m])))", None),
        ("holt_winters(foo[5m], 0.5, 0.5)", None),
        ("-foo ^ 2 ^ bar * 1e-3 + Inf - NaN", None),
    ],
)
def test_every_selector_gets_the_matcher(query: str, sent: str | None) -> None:
    bound = enforce(query, SHOP)
    assert sent in {None, bound}
    assert all(demands.get("namespace") == "shop" for demands in selectors(bound))
    assert len(list(selectors(bound))) == len(list(selectors(query)))
    assert enforce(bound, SHOP) == bound


@pytest.mark.parametrize(
    "query",
    [
        r'foo{a="x\"} or bar{b=\"c"}',
        'foo{a=`x"} or bar{b="c`}',
        r"foo{a='x\'} or bar{b=\'y'}",
        'foo{a="\\n\\t\\\\"} # } or bar\n',
        r'label_replace(foo, "a", "\"), bar, (\"", "b", ".*")',
    ],
)
def test_what_stands_in_quotes_stays_there(query: str) -> None:
    bound = enforce(query, SHOP)
    assert [demands.get("namespace") for demands in selectors(bound)] == ["shop"]
    (was,), (is_now,) = selectors(query), selectors(bound)
    assert was.get("a") == is_now.get("a")


def test_a_comment_ends_where_prometheus_ends_it_and_is_not_sent() -> None:
    assert enforce("foo # \r or bar", SHOP) == '(foo{namespace="shop"}) or (bar{namespace="shop"})'


def test_several_matchers_and_values_with_quotes() -> None:
    assert enforce("foo", (("namespace", "shop"), ("team", 'a"b\\c'))) == 'foo{namespace="shop",team="a\\"b\\\\c"}'
    assert enforce("sum(", ()) == "sum("  # nothing to put in: the source judges


@pytest.mark.parametrize(
    "matcher",
    ['namespace="other"', 'namespace=""', 'namespace!="shop"', 'namespace=~"a|b"', 'namespace!~"shop|a"'],
)
def test_a_query_for_others_is_refused(matcher: str) -> None:
    with pytest.raises(TenantRefused) as caught:
        enforce(f"sum(foo) + sum(bar{{{matcher}}})", SHOP)

    assert str(caught.value) == (
        f'query asks for {matcher}, but this namespace may read namespace="shop" only: leave that matcher out, the '
        "server puts its own into every selector"
    )


@pytest.mark.parametrize(
    ("query", "what"),
    [
        ("foo @ 5", "'@'"),
        ("foo @ -5", "'@'"),
        ("rate(foo[5m:1m] @ start())", "'@'"),
        ("info(foo)", "'info'"),
        ('foo{a="b" or c="d"}', "'or within braces'"),
    ],
)
def test_what_cannot_be_bound_is_refused(query: str, what: str) -> None:
    with pytest.raises(InvalidTrigger) as caught:
        enforce(query, SHOP)
    assert f"it uses {what}, which cannot be bound to what this namespace may read; write it without" in str(
        caught.value
    )


def test_what_cannot_be_read_is_refused() -> None:
    with pytest.raises(InvalidTrigger) as caught:
        enforce("sum(foo", SHOP)
    assert str(caught.value) == (
        'trigger metadata: query is "sum(foo": it cannot be read as PromQL (unclosed left parenthesis), and what '
        "cannot be read is not sent on behalf of a namespace that may read a part of the source only"
    )


@pytest.mark.parametrize(
    "query",
    ["(" * 8000 + "a" + ")" * 8000, "-" * 16000 + "a", "+".join("a" * 8000), " or ".join("a" * 3000), "a" * 5000],
)
def test_what_would_hang_or_crash_the_parser_never_gets_there(query: str) -> None:
    with pytest.raises(TooLong):
        parse(query)
    with pytest.raises(InvalidTrigger, match=f"{LONGEST_QUERY} and {MOST_OPERATORS} are the most"):
        enforce(query, SHOP)


JUST = ["(" * 128 + "a" + ")" * 128, "-" * 256 + "a", "+".join("a" * 257), " or ".join("a" * 257)]


@pytest.mark.parametrize("query", JUST)
def test_what_is_just_within_the_bounds_is_bound(query: str) -> None:
    assert 'a{namespace="shop"}' in enforce(query, SHOP)


def test_the_parser_s_own_panic_is_an_error_of_the_query(monkeypatch: pytest.MonkeyPatch) -> None:
    class PanicException(BaseException):  # its name
        pass

    def panics(_: str) -> None:
        raise PanicException

    monkeypatch.setattr(promql_parser, "parse", panics)
    with pytest.raises(NotPromQL, match="the parser gave up"):
        parse("foo")


@pytest.mark.parametrize("query", ["max_over_time(foo[0:])", "max_over_time(foo[5m:0])", "rate(foo[0])"])
def test_a_range_of_nothing_is_told(query: str) -> None:
    with pytest.raises(InvalidTrigger) as caught:
        enforce(query, (("namespace", "shop"),))
    told = f'query is "{query}": a range or step in it is 0, and must be 1ms or more'
    assert str(caught.value) == f"trigger metadata: {told}"


@pytest.mark.parametrize("query", ["foo offset 0", "foo offset -0"])
def test_an_offset_of_nothing_is_none(query: str) -> None:
    assert enforce(query, (("namespace", "shop"),)) == 'foo{namespace="shop"}'

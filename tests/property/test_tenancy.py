"""Whatever a tenant writes, each selector that is sent has the tenant's matcher, or nothing is sent."""

from __future__ import annotations

import promql_parser
from hypothesis import given, settings
from hypothesis import strategies as st

from scaler.errors import ForesailError
from scaler.tenancy.promql import enforce

REQUIRED = (("namespace", "shop"),)
NAMES = st.sampled_from(["a", "b:c", "up", "http_requests_total"])
LABELS = st.sampled_from(["a", "le", "namespace", '"x.y"'])
VALUES = st.text(max_size=12)


def quoted(value: str, quote: str) -> str:
    if quote == "`":
        return f"`{value.replace('`', '')}`"
    escaped = value.replace("\\", "\\\\").replace(quote, "\\" + quote).replace("\n", "\\n")
    return f"{quote}{escaped}{quote}"


strings = st.builds(quoted, VALUES, st.sampled_from(['"', "'", "`"]))
matchers = st.builds(lambda n, s, v: f"{n}{s}{v}", LABELS, st.sampled_from(["=", "!=", "=~", "!~"]), strings)
vectors = st.builds(
    lambda name, some, offset: f"{name}{{{','.join(some)}}}{offset}",
    NAMES,
    st.lists(matchers, max_size=3),
    st.sampled_from(["", " offset 5m", " offset -1h30m"]),
)


def deeper(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    operators = st.sampled_from(["+", "- on(a)", "/ ignoring(a) group_left(le)", "or", "unless on()", "> bool", "^"])
    return st.one_of(
        st.builds(lambda f, q: f"{f}({q})", st.sampled_from(["sum", "abs", "sum by (a)", "absent"]), inner),
        st.builds(lambda q: f"max_over_time(({q})[1h:5m])", inner),
        st.builds(lambda q: f"-({q}) # {q!r}\n", inner),
        st.builds(lambda q, s: f'label_replace({q}, "a", {s}, "b", ".*")', inner, strings),
        st.builds(lambda a, o, b: f"({a}) {o} ({b})", inner, operators, inner),
    )


queries = st.recursive(vectors, deeper, max_leaves=4)


def every_selector(query: str) -> list[promql_parser.VectorSelector]:
    found: list[promql_parser.VectorSelector] = []

    def visit(node: promql_parser.Expr) -> bool:
        if isinstance(node, promql_parser.VectorSelector):
            found.append(node)
        return True

    promql_parser.walk(promql_parser.parse(query), visit)
    return found


def check(query: str) -> None:
    try:
        sent = enforce(query, REQUIRED)
    except ForesailError:
        return
    asked, bound = every_selector(query), every_selector(sent)
    assert len(asked) == len(bound)
    for before, after in zip(asked, bound, strict=True):
        demands = {(m.name, str(m.op), m.value) for m in after.matchers.matchers}
        assert ("namespace", str(promql_parser.MatchOp.Equal), "shop") in demands
        assert {(m.name, str(m.op), m.value) for m in before.matchers.matchers} <= demands
        assert (before.name, before.offset) == (after.name, after.offset)


@given(queries)
@settings(max_examples=50)
def test_a_query_of_promql_s_grammar(query: str) -> None:
    check(query)


@given(
    st.lists(
        st.sampled_from([*"{}()[]\"'`\\#,=~!\n\r\t ab", "or", "namespace", "shop", "foo", "5m", "@", "\\x22"]),
        max_size=24,
    )
)
def test_any_mix_of_the_signs_that_matter(signs: list[str]) -> None:
    check("".join(signs))

"""Patterns mean what they mean in `re`, without its backtracking; any text gives a selector or QueryRejected."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaler.errors import QueryRejected
from scaler.sources.selector import parse_selector

PATTERNS = st.lists(st.sampled_from(["a", "b", ".", ".*", ".+", "[ab]", "[^a]", "|"]), max_size=8).map("".join)
VALUES = st.text(alphabet="abc\n", max_size=10)


@given(PATTERNS, VALUES)
def test_patterns_mean_what_they_mean_in_re(pattern: str, value: str) -> None:
    expected = re.fullmatch(f"(?:{pattern})", value, re.DOTALL) is not None
    assert parse_selector(f'm{{l=~"{pattern}"}}').matches({"l": value}) is expected


@given(st.text(max_size=60) | st.text(alphabet='up{}=~!"a,.*[]()\\ ', max_size=40))
def test_any_text_is_a_selector_or_refused(query: str) -> None:
    try:
        parse_selector(query).matches({"a": "b"})
    except QueryRejected as error:
        assert "metric selector" in str(error)  # noqa: PT017 -- either outcome is right


@pytest.mark.timeout(30)  # as `re` matches these patterns, they would take longer than anybody waits
@pytest.mark.parametrize("wildcard", [".*", ".+"])
def test_no_pattern_backtracks(wildcard: str) -> None:
    pattern = wildcard.join("a" * 60)
    matcher = parse_selector(f'm{{l=~"{pattern}b"}}')
    assert not matcher.matches({"l": "a" * 20_000})

"""The cache of metadata: a namespace fills its own part of it only."""

from __future__ import annotations

from scaler.edge.parsed import Content, Parsed
from scaler.trigger import TriggerConfig, parse_trigger


def call(namespace: str, name: str) -> tuple[Content, TriggerConfig]:
    metadata = {"serverAddress": "http://prometheus:9090", "query": "q", "threshold": "10"}
    config = parse_trigger(namespace=namespace, name=name, metadata=metadata)
    return (namespace, name, frozenset(metadata.items())), config


def test_the_namespace_that_has_the_most_gives_up_its_oldest() -> None:
    parsed = Parsed(most=4)
    quiet, quiet_config = call("quiet", "web")
    assert parsed.put(quiet, quiet_config) is None
    noisy = [call("noisy", f"web-{number}") for number in range(50)]
    given_up = [parsed.put(*each) for each in noisy]
    assert given_up == [None, None, None, *(config for _, config in noisy[:47])]
    assert parsed.get(quiet) is quiet_config
    assert [parsed.get(content) is config for content, config in noisy] == [False] * 47 + [True] * 3


def test_what_is_dropped_makes_room() -> None:
    parsed = Parsed(most=2)
    one, two, three = (call("shop", name) for name in ("one", "two", "three"))
    parsed.put(*one)
    parsed.put(*two)
    parsed.drop(one[0])
    parsed.drop(one[0])
    assert parsed.get(one[0]) is None
    assert parsed.put(*three) is None
    assert parsed.get(two[0]) is two[1]


def test_the_same_again_takes_no_more_room() -> None:
    parsed = Parsed(most=2)
    one, two = (call("shop", name) for name in ("one", "two"))
    assert [parsed.put(*each) for each in (one, one, two, one)] == [None] * 4

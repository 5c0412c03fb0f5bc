"""No metadata map, however odd, yields anything but a valid config or InvalidTrigger whose texts name a field."""

from __future__ import annotations

import math
import re
from urllib.parse import quote

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from scaler.errors import InvalidTrigger
from scaler.kinds import quoted
from scaler.trigger import TriggerConfig, parse_trigger
from scaler.trigger.parse import SCHEMA

NAMES = sorted({name for p in SCHEMA.parameters for name in (p.name, *p.aliases)} | {*SCHEMA.ignored, *SCHEMA.refused})
LEAST = {"serverAddress": "http://prometheus:9090", "query": "up", "threshold": "1"}
SECRET = "hunter2-hunter2"
# the header's name is no secret of ours: SourceSpec shows it
SECRETS = sorted(p.name for p in SCHEMA.parameters if p.secret and p.name != "customAuthHeader")

anything = st.text(max_size=30) | st.text(st.characters(), max_size=30)  # characters() has surrogates too
names = (
    st.sampled_from(NAMES)
    | st.sampled_from(NAMES).map(lambda name: name + "FromEnv")
    | st.sampled_from(NAMES).map(str.upper)
    | st.builds("forecaster.{}".format, st.text(max_size=10))
    | anything
)
values = (
    anything
    | st.sampled_from(
        ["", "0", "1", "-1", "true", "nan", "inf", "1e400", "5m", "1h30m", "14d", "60s", "auto", "observe", "active"]
    )
    | st.sampled_from(["http://h", "http://u:p@h", "bearer", "basic,tls", "custom", "a=b,c=d", "UTC", "Europe/Berlin"])
    | st.floats().map(str)
    | st.integers().map(str)
    | st.builds("{}{}".format, st.integers(0, 10**9), st.sampled_from(["ms", "s", "m", "h", "d", "w", "y"]))
)
maps = st.dictionaries(names, values, max_size=12) | st.dictionaries(names, values, max_size=3).map(
    lambda odd: LEAST | odd
)


def read(metadata: dict[str, str]) -> TriggerConfig | InvalidTrigger:
    try:
        return parse_trigger(namespace="shop", name="checkout", metadata=metadata)
    except InvalidTrigger as error:
        return error


def check_config(config: TriggerConfig) -> None:
    assert bool(config.server_address) != bool(config.source)
    assert 0.001 <= config.threshold < math.inf
    assert math.isfinite(config.activation_threshold)
    assert 0.5 <= config.effective_quantile <= 0.999
    assert config.lead_time is None or 1 <= config.lead_time <= 6 * 3600
    assert 1 <= config.step <= 3600
    assert 86400 % config.step == 0
    assert 120 <= config.history_window / config.step <= 250_001
    assert config.headroom >= 1
    assert config.max_factor >= 1
    assert re.fullmatch(r"foresail-[a-z0-9-]*[0-9a-f]{8}", config.metric_name)
    assert len(config.metric_name) <= 63
    assert re.fullmatch(r"[0-9a-f]{16}", config.series_id)


@given(maps)
@example({"forecaster.": ""})
@example({"query": "\ud800"})
@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_a_config_or_words_that_name_the_field(odd: dict[str, str]) -> None:
    outcome = read(odd)
    if isinstance(outcome, InvalidTrigger):
        known = [name for name in (*odd, *NAMES) if name in NAMES or name.removesuffix("FromEnv") in NAMES]
        told = [quoted(name) for name in odd] + known
        # where an error cannot carry them all, the last text is how many there are besides
        for problem in (text for text in outcome.problems if not re.fullmatch(r"and [0-9]+ more", text)):
            assert any(name in problem for name in told)
            assert problem.isprintable()
            assert len(problem) < 600
        assert len(quote(str(outcome), safe=" ")) < 8192
    else:
        check_config(outcome)


@given(
    st.dictionaries(
        st.sampled_from(SECRETS) | st.sampled_from(SECRETS).map(lambda name: name + "FromEnv"),
        st.sampled_from([SECRET, SECRET + "\n\x00", SECRET + ":", "-----BEGIN CERTIFICATE-----" + SECRET, "x" * 9]),
        max_size=5,
    ),
    st.sampled_from(["", "bearer", "basic", "tls", "custom", "bearer,tls", "basic,custom", "x"]),
)
@settings(deadline=None)
def test_no_text_holds_a_secret(secrets: dict[str, str], modes: str) -> None:
    outcome = read(LEAST | secrets | {"authModes": modes})
    assert SECRET not in str(outcome)
    assert SECRET not in repr(outcome)
    if isinstance(outcome, TriggerConfig):
        assert SECRET not in repr(outcome.source_spec())


@given(st.dictionaries(st.sampled_from(NAMES), values, max_size=6))
@settings(deadline=None)
def test_reading_is_deterministic_in_any_order(odd: dict[str, str]) -> None:
    full = LEAST | odd
    one, other = read(full), read(dict(reversed(full.items())))
    assert one == other or str(one) == str(other)

"""Reading trigger metadata: the least that works, every refusal word for word, no secret in any text."""

from __future__ import annotations

import pytest

from scaler.errors import InvalidTrigger
from scaler.sources.base import SourceSpec
from scaler.trigger import TriggerConfig, TriggerKey, parse_trigger

LEAST = {
    "scalerAddress": "foresail.foresail:6000",
    "serverAddress": "http://prometheus.monitoring.svc:9090",
    "query": "sum(rate(http_requests_total[2m]))",
    "threshold": "100",
}


def read(**metadata: str) -> TriggerConfig:
    given = {name.replace("__", "."): value for name, value in metadata.items()}
    return parse_trigger(namespace="shop", name="checkout", metadata={**LEAST, **given})


def problems(metadata: dict[str, str]) -> tuple[str, ...]:
    with pytest.raises(InvalidTrigger) as caught:
        parse_trigger(namespace="shop", name="checkout", metadata=metadata)
    return caught.value.problems


def problem(**metadata: str) -> str:
    given = {name.replace("__", "."): value for name, value in metadata.items()}
    (only,) = problems({**LEAST, **given})
    return only


def test_the_least_that_works_has_the_documented_defaults() -> None:
    config = read()
    assert config == TriggerConfig(
        name="checkout",
        namespace_of_object="shop",
        key=TriggerKey.of(namespace="shop", name="checkout", metadata=LEAST),
        server_address="http://prometheus.monitoring.svc:9090",
        source="",
        query="sum(rate(http_requests_total[2m]))",
        threshold=100.0,
        activation_threshold=0.0,
        ignore_null_values=False,
        tenant_namespace="",
        custom_headers=(),
        query_parameters=(),
        unsafe_ssl=False,
        timeout=10.0,
        auth_modes=(),
        history_window=1209600.0,
        step=60,
        forecaster="auto",
        forecaster_parameters=(),
        time_zone="UTC",
        holidays="",
        lead_time=180.0,
        quantile=None,
        premium=0.24,
        cost_ratio=None,
        headroom=1.07,
        mode="active",
        max_factor=2.0,
        max_rise=None,
    )
    assert config.source_spec() == SourceSpec(
        kind="prometheus", address="http://prometheus.monitoring.svc:9090", timeout=10.0
    )


def test_a_lead_time_to_be_measured_is_that_of_the_scaled_object_s_namesake_unless_told() -> None:
    config = read(leadTime="auto")
    assert (config.lead_time, config.target) == (None, "checkout")
    assert read(leadTime="auto", scaleTarget="checkout-web").target == "checkout-web"


def test_everything_can_be_given() -> None:
    config = read(
        activationThreshold="-1",
        ignoreNullValues="T",
        namespace="team-a",
        customHeaders="X-Scope-OrgID=a=b, X-A=1",
        queryParameters="dedup=true",
        unsafeSsl="1",
        timeout="2500",
        authModes="basic, tls",
        usernameFromEnv="mia",
        passwordFromEnv="p w",
        caFromEnv="-----BEGIN CERTIFICATE-----\nx",
        certFromEnv="-----BEGIN CERTIFICATE-----\ny",
        keyFromEnv="-----BEGIN PRIVATE KEY-----\nz",
        predictHorizon="1h30m",
        historyTimeWindow="2w",
        queryStep="30s",
        costRatio="9",
        headroom="1.5",
        forecaster="seasonal-naive",
        forecaster__season_length="1440",
        forecaster__alpha="0.1",
        mode="observe",
        maxFactor="3",
        maxRise="0.1",
        timeZone="Europe/Berlin",
        holidays="DE-BY",
    )
    assert config.activation_threshold == -1.0
    assert config.effective_quantile == 0.9
    assert config.lead_time == 5400.0
    assert config.history_window == 14 * 86400.0
    assert config.step == 30
    assert isinstance(config.step, int)
    assert config.forecaster_parameters == (("alpha", "0.1"), ("season_length", "1440"))
    assert (config.mode, config.max_factor, config.max_rise) == ("observe", 3.0, 0.1)
    assert (config.headroom, config.forecaster) == (1.5, "seasonal-naive")
    assert (config.time_zone, config.holidays) == ("Europe/Berlin", "DE-BY")
    assert config.source_spec() == SourceSpec(
        kind="prometheus",
        address="http://prometheus.monitoring.svc:9090",
        namespace="team-a",
        headers=(("X-A", "1"), ("X-Scope-OrgID", "a=b")),
        query_parameters=(("dedup", "true"),),
        auth_modes=("basic", "tls"),
        username="mia",
        password="p w",
        ca="-----BEGIN CERTIFICATE-----\nx\n",
        cert="-----BEGIN CERTIFICATE-----\ny\n",
        key="-----BEGIN PRIVATE KEY-----\nz\n",
        unsafe_ssl=True,
        timeout=2.5,
        ignore_null_values=True,
    )


def test_bearer_and_custom_credentials_arrive() -> None:
    assert read(authModes="bearer", bearerTokenFromEnv="abc").source_spec().bearer_token == "abc"
    spec = read(authModes="custom", customAuthHeaderFromEnv="X-Key", customAuthValueFromEnv="k").source_spec()
    assert (spec.custom_auth_header, spec.custom_auth_value) == ("X-Key", "k")


def test_any_parameter_can_come_from_the_environment() -> None:
    metadata = {f"{name}FromEnv": value for name, value in LEAST.items() if name != "scalerAddress"}
    config = parse_trigger(namespace="shop", name="checkout", metadata=metadata)
    assert (config.query, config.threshold) == ("sum(rate(http_requests_total[2m]))", 100.0)


def test_what_is_kedas_own_is_accepted() -> None:
    theirs = {
        "enableTLS": "true",
        "caCert": "x",
        "tlsClientCert": "x",
        "tlsClientKey": "x",
        "tlsCertFile": "/x",
        "metricName": "x",
        "caCertFromEnv": "x",
    }
    assert read(**theirs).source_spec() == read().source_spec()


def test_an_empty_value_counts_as_not_given() -> None:
    assert read(leadTime="", source=" ", bearerTokenFromEnv="", bearerToken="", awsRegion="").lead_time == 180.0


@pytest.mark.parametrize(
    ("metadata", "text"),
    [
        ({"treshold": "1"}, '"treshold" is not a known name; did you mean threshold?'),
        ({"server_adress": "x"}, '"server_adress" is not a known name; did you mean serverAddress?'),
        ({"bearerTokenFrmEnv": "x"}, '"bearerTokenFrmEnv" is not a known name; did you mean bearerTokenFromEnv?'),
        ({"zzzz": "x"}, '"zzzz" is not a known name; see docs/reference/trigger-metadata.md'),
        ({"": "x"}, '"" is not a known name; see docs/reference/trigger-metadata.md'),
        ({'a\n"b\\': "x"}, r'"a\n\"b\\" is not a known name; see docs/reference/trigger-metadata.md'),
        ({"awsRegion": "x"}, "awsRegion is not supported: requests are not signed for AWS"),
        (
            {"bearerToken": "s3cret", "authModes": "bearer"},
            (
                "bearerToken must not stand in the metadata itself: keep it in a Secret that the scale target's "
                "container has as an environment variable, and give bearerTokenFromEnv with the name of that variable"
            ),
        ),
        (
            {"prometheusAddress": "http://b"},
            "prometheusAddress and serverAddress mean the same; give only one of them",
        ),
        (
            {"serverAddressFromEnv": "http://b"},
            "serverAddress and serverAddressFromEnv mean the same; give only one of them",
        ),
        ({"source": "main"}, "source and serverAddress exclude each other; give only one of them"),
        ({"threshold": "many"}, 'threshold is "many": it must be a number from 0.001 to 1000000000000'),
        ({"threshold": "0"}, 'threshold is "0": it must be a number from 0.001 to 1000000000000'),
        ({"threshold": "NaN"}, 'threshold is "NaN": it must be a number from 0.001 to 1000000000000'),
        ({"threshold": "1e999"}, 'threshold is "1e999": it must be a number from 0.001 to 1000000000000'),
        ({"threshold": "1_000"}, 'threshold is "1_000": it must be a number from 0.001 to 1000000000000'),
        ({"threshold": ""}, "threshold is missing; it must be a number from 0.001 to 1000000000000"),
        ({"query": " "}, "query is missing; it must be a query with one result"),
        ({"query": "a\x00"}, r'query is "a\x00": it holds a control character'),
        (
            {"query": "q" * 16385},
            f'query is "{"q" * 80}…": it has 16385 characters; at most 16384 are accepted',
        ),
        (
            {"serverAddress": ""},
            "serverAddress is missing; it must be the address of a Prometheus, or give source instead",
        ),
        (
            {"serverAddress": "prometheus:9090"},
            (
                'serverAddress is "prometheus:9090": it must be an http or https URL such as '
                "http://prometheus.monitoring.svc:9090"
            ),
        ),
        (
            {"serverAddress": "http://mia:s3cret@prometheus"},
            (
                "serverAddress: it holds credentials; give them with authModes (auth_modes in a settings file) "
                "(its value is not shown)"
            ),
        ),
        (
            {"serverAddress": "http://prometheus?token=s3cret"},
            (
                "serverAddress: it has a query or a fragment, where only scheme, host, port and path belong "
                "(its value is not shown)"
            ),
        ),
        ({"unsafeSsl": "yes"}, 'unsafeSsl is "yes": it must be true or false'),
        (
            {"leadTime": "180"},
            'leadTime is "180": it has no unit; it must be a duration from 1s to 6h, such as 90s, 5m, 1h30m or 7d',
        ),
        (
            {"leadTime": "soon"},
            'leadTime is "soon": it must be a duration from 1s to 6h, such as 90s, 5m, 1h30m or 7d',
        ),
        ({"leadTime": "7h"}, 'leadTime is "7h": it must be a duration from 1s to 6h'),
        (
            {"leadTime": "auto", "scaleTarget": "Web"},
            'scaleTarget is "Web": it must be the name of a Deployment or StatefulSet, as Kubernetes has it',
        ),
        (
            {"leadTime": "3m", "predictHorizon": "3m"},
            "leadTime and predictHorizon mean the same; give only one of them",
        ),
        (
            {"queryStep": "70s"},
            'queryStep is "70s": it must be whole seconds that divide a day, such as 15s, 30s, 1m, 5m, 15m or 1h',
        ),
        (
            {"queryStep": "15500ms"},
            'queryStep is "15500ms": it must be whole seconds that divide a day, such as 15s, 30s, 1m, 5m, 15m or 1h',
        ),
        ({"queryStep": "500ms"}, 'queryStep is "500ms": it must be a duration from 1s to 1h'),
        ({"historyTimeWindow": "20m"}, 'historyTimeWindow is "20m": it must be a duration from 1h to 400d'),
        (
            {"historyTimeWindow": "1h"},
            "historyTimeWindow is 1h, at a queryStep of 1m that is 60 samples: it must be 120 to 250000 samples",
        ),
        (
            {"historyTimeWindow": "60d", "queryStep": "15s"},
            "historyTimeWindow is 60d, at a queryStep of 15s that is 345600 samples: it must be 120 to 250000 samples",
        ),
        ({"quantile": "0.4"}, 'quantile is "0.4": it must be a number from 0.5 to 0.999, or auto'),
        ({"premium": "0"}, 'premium is "0": it must be a number from 0.01 to 10'),
        (
            {"quantile": "0.9", "premium": "1"},
            "premium chooses the quantile, so it excludes quantile; give only one of them",
        ),
        (
            {"costRatio": "9", "premium": "1"},
            "premium chooses the quantile, so it excludes costRatio; give only one of them",
        ),
        ({"quantile": "0.9", "costRatio": "9"}, "quantile and costRatio exclude each other; give only one of them"),
        (
            {"quantile": "0.9", "sloShortfall": "1%"},
            "quantile and sloShortfall exclude each other; give only one of them",
        ),
        (
            {"quantile": "0.9", "costRatio": "9", "sloShortfall": "1%"},
            "quantile, costRatio and sloShortfall exclude each other; give only one of them",
        ),
        (
            {"sloShortfall": "0.001"},
            'sloShortfall is "0.001": it must be a percentage of the load from 0% to 50%, such as 0.1%',
        ),
        ({"sloShortfall": "60%"}, 'sloShortfall is "60%": it must be a number from 0 to 50'),
        ({"mode": "Active"}, 'mode is "Active": it must be active or observe'),
        (
            {"timeZone": "Europe/Berln"},
            (
                'timeZone is "Europe/Berln": it must be a time zone such as UTC or Europe/Berlin; did you mean '
                "Europe/Berlin?"
            ),
        ),
        *(
            (
                {"holidays": region},
                (
                    f'holidays is "{region}": it must be a country whose public holidays are known, such as DE, or a '
                    "part of it, such as DE-BY"
                ),
            )
            for region in ("XX", "DE-QQ", "de", "Germany", "DE-")
        ),
        ({"timeZone": "../etc"}, 'timeZone is "../etc": it must be a time zone such as UTC or Europe/Berlin'),
        (
            {"forecaster": "Auto!"},
            'forecaster is "Auto!": it must be the name of a forecaster, such as auto or seasonal-naive',
        ),
        (
            {"forecaster.": "1"},
            (
                '"forecaster." is not a known name; after forecaster. stands a name of at most 64 lower-case letters, '
                "digits and _"
            ),
        ),
        ({"forecaster.alpha": "a\nb"}, r'forecaster.alpha is "a\nb": it holds a control character'),
        (
            {"authModes": "awsSigV4"},
            'authModes is "awsSigV4": "awsSigV4" is not supported; supported are bearer, basic, tls and custom',
        ),
        ({"authModes": "bearer"}, "authModes names bearer, but bearerTokenFromEnv is missing"),
        ({"bearerTokenFromEnv": "s3cret"}, "bearerTokenFromEnv is given, but authModes does not name bearer"),
        (
            {"authModes": "bearer", "bearerTokenFromEnv": "s3\ncret"},
            "bearerTokenFromEnv: it must be 1 to 16384 printable ASCII characters (its value is not shown)",
        ),
        (
            {"authModes": "basic", "usernameFromEnv": "s3:cret"},
            "usernameFromEnv: it must be a user's name without a colon (its value is not shown)",
        ),
        (
            {"caFromEnv": "s3cret"},
            "caFromEnv: it must be a certificate in PEM, with its -----BEGIN line (its value is not shown)",
        ),
        (
            {"authModes": "bearer,basic", "bearerTokenFromEnv": "s3cret", "usernameFromEnv": "s3cret"},
            "authModes names bearer and basic; only one of bearer, basic and custom can be used",
        ),
        (
            {"customHeaders": "X-A"},
            (
                "customHeaders: item 1 has no '='; it must be a list such as name=value,name2=value2 "
                "(its value is not shown)"
            ),
        ),
        (
            {"customHeaders": "X-A=s3cret,x-a=2"},
            'customHeaders: "x-a" is given twice (its value is not shown)',
        ),
        (
            {"customHeaders": "X-A=s3\x01cret"},
            (
                "customHeaders: the value of the header X-A must be 1 to 16384 printable ASCII characters "
                "(its value is not shown)"
            ),
        ),
        (
            {"customHeaders": "Host=evil"},
            "customHeaders: the header Host is set by the HTTP client and cannot be given (its value is not shown)",
        ),
        (
            {"customHeaders": "X A=1"},
            'customHeaders: "X A" is not a header\'s name (its value is not shown)',
        ),
        (
            {"queryParameters": "query=up"},
            (
                "queryParameters: the query parameter query is set by Foresail and cannot be given "
                "(its value is not shown)"
            ),
        ),
        (
            {"authModesFromEnv": "s3cret"},
            (
                "authModesFromEnv: it must be a list of bearer, basic, tls and custom, separated by commas "
                "(its value is not shown)"
            ),
        ),
        (
            {"customHeadersFromEnv": "s3cret s3cret=1"},
            "customHeadersFromEnv: it must be a list such as name=value,name2=value2 (its value is not shown)",
        ),
        (
            {"authModes": "custom", "customAuthHeaderFromEnv": "s3:cret", "customAuthValueFromEnv": "x"},
            "customAuthHeaderFromEnv: it must be a header's name (its value is not shown)",
        ),
        (
            {"thresholdFromEnv": "s3cret", "threshold": ""},
            "thresholdFromEnv: it must be a number from 0.001 to 1000000000000 (its value is not shown)",
        ),
    ],
)
def test_each_problem_is_told_in_words(metadata: dict[str, str], text: str) -> None:
    (only,) = problems({**LEAST, **metadata})
    assert only == text
    assert "s3cret" not in only


def test_a_directory_of_time_zones_is_none() -> None:
    assert problem(timeZone="America").startswith(
        'timeZone is "America": it must be a time zone such as UTC or Europe/Berlin'
    )


def test_all_problems_are_told_together() -> None:
    told = problems({"serverAddress": "x", "threshold": "x", "mode": "x", "tresold": "1"})
    assert [text.split()[0] for text in told] == ['"tresold"', "serverAddress", "query", "threshold", "mode"]


def test_no_more_problems_than_a_trailer_holds() -> None:
    told = problems({**LEAST, **{f"zz{n}": "x" for n in range(100)}})
    assert len(told) == 17
    assert told[-1] == "and 84 more"


def test_the_text_fits_a_trailer_whatever_the_alphabet() -> None:
    told = problems({**LEAST, **{"😀" * 90 + str(n): "x" for n in range(16)}})
    assert len(told) == 6
    assert told[-1] == "and 11 more"


def test_too_many_names_are_not_even_looked_at() -> None:
    told = problems({f"zz{n}": "x" for n in range(129)})
    assert told == ("129 names are given; at most 128 are accepted, see docs/reference/trigger-metadata.md",)


def test_names_of_the_object_are_checked() -> None:
    with pytest.raises(InvalidTrigger) as caught:
        parse_trigger(namespace="", name="a/b", metadata=LEAST)
    assert caught.value.problems == (
        'the ScaledObject\'s namespace is "": it must be a name as Kubernetes has them',
        'the ScaledObject\'s name is "a/b": it must be a name as Kubernetes has them',
    )


def test_a_named_source_brings_its_own_connection() -> None:
    metadata = {"source": "main", "query": "up", "threshold": "1", "timeout": "5s", "unsafeSsl": "true"}
    assert problems(metadata) == (
        "timeout cannot be given together with source: the server's settings say it for that",
    )


def test_forecasters_are_checked_where_they_are_known() -> None:
    for wanted, hint in (("seasonal-nave", "did you mean seasonal-naive?"), ("zz", "known are ets, seasonal-naive")):
        with pytest.raises(InvalidTrigger) as caught:
            parse_trigger(
                namespace="shop",
                name="checkout",
                metadata={**LEAST, "forecaster": wanted},
                forecasters=("seasonal-naive", "ets"),
            )
        assert caught.value.problems == (f'forecaster is "{wanted}": there is no such forecaster; {hint}',)
    parse_trigger(namespace="shop", name="checkout", metadata=LEAST, forecasters=("ets",))

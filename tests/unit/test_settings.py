"""Settings: file, environment and command line, each over the one before; every problem in words; no secret shown."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from scaler.errors import InvalidSettings
from scaler.settings import Settings, load_settings
from scaler.sources.base import SourceSpec

if TYPE_CHECKING:
    from collections.abc import Mapping


class Loader:
    """Writes the file and loads it."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "foresail.toml"

    def __call__(
        self, content: str | bytes = b"", environ: Mapping[str, str] | None = None, **overrides: str
    ) -> Settings:
        self.path.write_bytes(content.encode() if isinstance(content, str) else content)
        return load_settings(path=self.path, environ=environ or {}, overrides=overrides)

    def problems(
        self, content: str | bytes = b"", environ: Mapping[str, str] | None = None, **overrides: str
    ) -> tuple[str, ...]:
        with pytest.raises(InvalidSettings) as caught:
            self(content, environ, **overrides)
        assert "s3cret" not in str(caught.value)
        return caught.value.problems


@pytest.fixture
def load(tmp_path: Path) -> Loader:
    return Loader(tmp_path)


def test_nothing_is_needed() -> None:
    settings = load_settings(path=None, environ={}, overrides={})
    assert settings == Settings(
        grpc_address="[::]:6000",
        http_address="[::]:8080",
        log_level="info",
        log_format="text",
        data_dir=Path("foresail-data"),
        history_retention=3024000.0,
        decision_log=1000,
        idle_after=300.0,
        max_triggers=20000,
        allow_addresses=(),
        only_listed_addresses=False,
        observe_interval=15.0,
        source_concurrency=16,
        max_response_bytes=33554432,
        observed_max_age=300.0,
        forecast_max_age=240.0,
        first_answer_wait=2.0,
        rpc_deadline=2.5,
        max_concurrent_rpcs=256,
        max_streams=128,
        max_message_bytes=262144,
        drain_delay=0.0,
        drain_grace=20.0,
        fit_workers=1,
        fit_timeout=120.0,
        refit_every=21600.0,
        sources={},
    )


def test_each_layer_overrides_the_one_before(load: Loader) -> None:
    settings = load(
        'grpc_address = "127.0.0.1:1"\nhttp_address = "127.0.0.1:2"\nlog_level = "debug"\nfit_workers = 2',
        {"FORESAIL_HTTP_ADDRESS": "127.0.0.1:3", "FORESAIL_LOG_LEVEL": "error", "PATH": "/bin"},
        log_level="warning",
    )
    assert (settings.grpc_address, settings.http_address) == ("127.0.0.1:1", "127.0.0.1:3")
    assert (settings.log_level, settings.fit_workers) == ("warning", 2)


def test_an_empty_variable_overrides_nothing(load: Loader) -> None:
    assert load('log_level = "debug"', {"FORESAIL_LOG_LEVEL": ""}).log_level == "debug"


def test_durations_and_lists_in_every_layer(load: Loader) -> None:
    settings = load(
        'observe_interval = 20\nidle_after = "10m"\nallow_addresses = ["127.0.0.1:9090", "[::1]"]\n'
        "only_listed_addresses = true",
        {"FORESAIL_RPC_DEADLINE": "3.5"},
        first_answer_wait="500ms",
    )
    assert (settings.observe_interval, settings.idle_after, settings.rpc_deadline) == (20.0, 600.0, 3.5)
    assert settings.first_answer_wait == 0.5
    assert settings.allow_addresses == ("127.0.0.1:9090", "[::1]")
    assert settings.only_listed_addresses is True
    listed = load("", {}, allow_addresses="Prom:9090, prom:9090,,10.0.0.1")
    assert listed.allow_addresses == ("prom:9090", "10.0.0.1")


def test_kubernetes_own_variables_are_left_alone(load: Loader) -> None:
    injected = {
        "FORESAIL_SERVICE_HOST": "10.0.0.1",
        "FORESAIL_SERVICE_PORT": "6000",
        "FORESAIL_SERVICE_PORT_GRPC": "6000",
        "FORESAIL_PORT": "tcp://10.0.0.1:6000",
        "FORESAIL_PORT_6000_TCP": "tcp://10.0.0.1:6000",
        "FORESAIL_PORT_6000_TCP_ADDR": "10.0.0.1",
        "FORESAIL_HEADLESS_SERVICE_HOST": "10.0.0.1",
        "FORESAIL_HEADLESS_PORT_6000_TCP_PROTO": "tcp",
        "FORESAIL_CONFIG": "/etc/foresail.toml",
    }
    assert load("", injected) == load_settings(path=None, environ={}, overrides={})


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ('grpc_adress = "x"', '"grpc_adress" is not a known name; did you mean grpc_address?'),
        ("zzz = 1", '"zzz" is not a known name; see docs/reference/settings.md'),
        ("[zzz]", '"zzz" is not a known name; see docs/reference/settings.md'),
        ('grpc_address = "6000"', 'grpc_address is "6000": it must be HOST:PORT such as [::]:6000 or 127.0.0.1:6000'),
        (
            'grpc_address = "a:70000"',
            'grpc_address is "a:70000": it must be HOST:PORT such as [::]:6000 or 127.0.0.1:6000',
        ),
        ('grpc_address = "[x]:1"', 'grpc_address is "[x]:1": it must be HOST:PORT such as [::]:6000 or 127.0.0.1:6000'),
        ("fit_workers = 0", "fit_workers is 0: it must be a whole number from 1 to 256"),
        ("fit_workers = true", "fit_workers is True: it must be a whole number from 1 to 256"),
        ("fit_workers = [1]", "fit_workers is [1]: it must be a whole number from 1 to 256"),
        ("fit_timeout = 0.5", "fit_timeout is 0.5: it must be a duration from 1s to 1h"),
        ("log_level = 1979-05-27", "log_level is 1979-05-27: it must be debug, info, warning or error"),
        (
            'allow_addresses = ["*.x"]',
            (
                "allow_addresses is ['*.x']: \"*.x\" is not HOST or HOST:PORT, an IPv6 address "
                "in brackets, without wildcards"
            ),
        ),
        (
            'allow_addresses = ["h:0"]',
            (
                "allow_addresses is ['h:0']: \"h:0\" is not HOST or HOST:PORT, an IPv6 address "
                "in brackets, without wildcards"
            ),
        ),
        ("allow_addresses = [1]", 'allow_addresses is [1]: it must be a list such as ["127.0.0.1:9090"]'),
        ('data_dir = "a\\u0000"', r'data_dir is "a\x00": it holds a control character'),
        (
            'first_answer_wait = "3s"',
            (
                "first_answer_wait is 3s and rpc_deadline 2.5s: the wait must be shorter, or a trigger's first call "
                "ends before its answer"
            ),
        ),
        ("sources = 1", "sources must be tables such as [sources.main]"),
        ("[sources]\nmain = 1", "sources.main must be a table, begun by a line [sources.main]"),
        (
            "[sources.Main]",
            (
                '"sources.Main": after sources. stands a name; it must be at most 63 lower-case letters, digits and '
                "hyphens, none at its ends"
            ),
        ),
        (
            "[sources.main]",
            (
                "sources.main.address is missing; it must be an http or https URL such as "
                "http://prometheus.monitoring.svc:9090"
            ),
        ),
        (
            '[sources.main]\naddress = "http://u:s3cret@h"',
            (
                "sources.main.address: it holds credentials; give them with authModes (auth_modes in a settings file) "
                "(its value is not shown)"
            ),
        ),
        (
            '[sources.main]\naddress = "http://h"\nadress = 1',
            '"sources.main.adress" is not a known name; did you mean sources.main.address?',
        ),
        (
            '[sources.main]\naddress = "http://h"\nauth_modes = ["bearer"]\nbearer_token = "s3cret"',
            (
                "sources.main.bearer_token must not stand in the settings: give sources.main.bearer_token_file with "
                "a file that holds it, or sources.main.bearer_token_env with an environment variable"
            ),
        ),
        (
            '[sources.main]\naddress = "http://h"\nauth_modes = ["bearer"]',
            (
                "sources.main.auth_modes names bearer, but sources.main.bearer_token_file or "
                "sources.main.bearer_token_env is missing"
            ),
        ),
        (
            '[sources.main]\naddress = "http://h"\nauth_modes = ["bearer"]\nbearer_token_env = "NONE"',
            'sources.main.bearer_token_env is "NONE": there is no such environment variable, or it is empty',
        ),
        (
            '[sources.main]\naddress = "http://h"\nauth_modes = ["bearer"]\nbearer_token_file = "/none"',
            'sources.main.bearer_token_file is "/none": the file cannot be read: No such file or directory',
        ),
        (
            '[sources.main]\naddress = "http://h"\nauth_modes = ["bearer"]\nbearer_token_file = "a\\u0000b"',
            r'sources.main.bearer_token_file is "a\x00b": the file does not hold a text in UTF-8',
        ),
        (
            '[sources.main]\naddress = "http://h"\nauth_modes = ["bearer"]\nbearer_token_file = 7',
            'sources.main.bearer_token_file is "7": it must be a text in quotes',
        ),
        (
            '[sources.main]\naddress = "http://h"\nauth_modes = ["hmac"]',
            (
                "sources.main.auth_modes is ['hmac']: \"hmac\" is not supported; supported are bearer, basic, tls "
                "and custom"
            ),
        ),
        (
            '[sources.main]\naddress = "http://h"\nheaders = { X-A = 1 }',
            'sources.main.headers: it must be a table of texts such as { name = "value" } (its value is not shown)',
        ),
    ],
)
def test_each_problem_of_the_file_is_told_in_words(load: Loader, content: str, text: str) -> None:
    assert load.problems(content) == (text,)


def test_problems_of_all_layers_are_told_together(load: Loader) -> None:
    told = load.problems('log_level = "loud"', {"FORESAIL_LOG_LEVEL": "x", "FORESAIL_LOG_LVL": "x"}, log_level="y")
    assert told == (
        'log_level is "loud": it must be debug, info, warning or error',
        '"FORESAIL_LOG_LVL" is not a known name; did you mean FORESAIL_LOG_LEVEL?',
        'FORESAIL_LOG_LEVEL is "x": it must be debug, info, warning or error',
        'log_level (command line) is "y": it must be debug, info, warning or error',
    )


def test_files_that_are_none(load: Loader, tmp_path: Path) -> None:
    assert load.problems("a = ")[0].startswith(f"the file {load.path} is not TOML: Invalid value (at ")
    assert load.problems(b"\xff") == (f"the file {load.path} is not UTF-8",)
    assert load.problems("#" * (1 << 20) + "\n") == (f"the file {load.path} is larger than 1048576 bytes",)
    missing = tmp_path / "none.toml"
    with pytest.raises(InvalidSettings) as caught:
        load_settings(path=missing, environ={}, overrides={})
    assert str(caught.value) == f"settings: the file {missing} cannot be read: No such file or directory"


def test_a_source_with_everything(load: Loader, tmp_path: Path) -> None:
    (tmp_path / "password").write_text("s3cret\n")
    (tmp_path / "ca").write_text("-----BEGIN CERTIFICATE-----\nx\n")
    (tmp_path / "key").write_text("-----BEGIN PRIVATE KEY-----\nz\n")
    settings = load(
        f"""
        [sources.main]
        kind = "exposition"
        address = "http://app/metrics"
        namespace = "a"
        headers = {{ X-Scope-OrgID = "shop,other" }}
        query_parameters = {{ dedup = "true" }}
        timeout = 2.5
        unsafe_ssl = true
        auth_modes = ["basic", "tls"]
        username_env = "FORESAIL_MAIN_USER"
        password_file = "{tmp_path}/password"
        ca_file = "{tmp_path}/ca"
        cert_file = "{tmp_path}/ca"
        key_file = "{tmp_path}/key"

        [sources.other]
        address = "http://other"
        auth_modes = ["custom"]
        custom_auth_header = "X-Key"
        custom_auth_value_env = "OTHER_KEY"
        """,
        {"FORESAIL_MAIN_USER": "mia", "OTHER_KEY": "s3cret"},
    )
    files = {"ca": "ca", "cert": "ca", "key": "key", "password": "password"}
    assert dict(settings.sources) == {
        "main": SourceSpec(
            kind="exposition",
            address="http://app/metrics",
            name="main",
            namespace="a",
            headers=(("X-Scope-OrgID", "shop,other"),),
            query_parameters=(("dedup", "true"),),
            auth_modes=("basic", "tls"),
            username="mia",
            password="s3cret",
            ca="-----BEGIN CERTIFICATE-----\nx\n",
            cert="-----BEGIN CERTIFICATE-----\nx\n",
            key="-----BEGIN PRIVATE KEY-----\nz\n",
            files=tuple((name, f"{tmp_path}/{file}") for name, file in files.items()),
            unsafe_ssl=True,
            timeout=2.5,
        ),
        "other": SourceSpec(
            kind="prometheus",
            address="http://other",
            name="other",
            auth_modes=("custom",),
            custom_auth_header="X-Key",
            custom_auth_value="s3cret",
        ),
    }
    assert "s3cret" not in repr(settings)


def test_a_secret_file_has_a_size(load: Loader, tmp_path: Path) -> None:
    secret = tmp_path / "token"
    content = f'[sources.main]\naddress = "http://h"\nauth_modes = ["bearer"]\nbearer_token_file = "{secret}"'
    for data in (b"\n", b"s3cret" * 20000):
        secret.write_bytes(data)
        (text,) = load.problems(content)
        assert text.endswith(": the file must hold 1 to 65536 bytes")
    secret.write_bytes(b"\xff")
    assert load.problems(content)[0].endswith(": the file does not hold a text in UTF-8")


def test_an_empty_secret_key_counts_as_not_given(load: Loader) -> None:
    settings = load('[sources.main]\naddress = "http://h"\nbearer_token_file = ""')
    assert settings.sources["main"].bearer_token == ""


def test_listening_on_all_hosts_may_be_written_short(load: Loader) -> None:
    assert load('grpc_address = ":6000"').grpc_address == "[::]:6000"
    assert load('grpc_address = "[::1]:0"').grpc_address == "[::1]:0"


def test_tls_is_given_whole(load: Loader) -> None:
    assert load.problems('tls_cert = "/tls/tls.crt"') == ("tls_cert is given without tls_key; TLS needs both",)
    assert load.problems('tls_key = "/tls/tls.key"') == ("tls_key is given without tls_cert; TLS needs both",)
    assert load.problems('tls_client_ca = "/tls/ca.crt"\ntls_grpc_clients = ["keda"]') == (
        "tls_client_ca is given without tls_cert, which it needs",
    )
    assert load.problems('tls_grpc_clients = ["keda"]\ntls_http_clients = "a,b"') == (
        "tls_grpc_clients is given without tls_client_ca, which it needs",
        "tls_http_clients is given without tls_client_ca, which it needs",
    )
    settings = load(
        'tls_cert = "/tls/tls.crt"\ntls_client_ca = "/tls/ca.crt"',
        {"FORESAIL_TLS_KEY": "/tls/tls.key", "FORESAIL_TLS_GRPC_CLIENTS": "keda.svc, spiffe://x/y,keda.svc"},
    )
    assert (settings.tls_key, settings.tls_grpc_clients) == ("/tls/tls.key", ("keda.svc", "spiffe://x/y"))


def test_names_of_clients_are_names(load: Loader) -> None:
    wildcard, number = load.problems('tls_grpc_clients = ["*.keda.svc"]\ntls_http_clients = [7]')
    no_name = '"*.keda.svc" is no name as certificates have them; there are no wildcards'
    assert wildcard == f"tls_grpc_clients is ['*.keda.svc']: {no_name}"
    assert number == 'tls_http_clients is [7]: it must be a list such as ["keda-operator.keda.svc"]'

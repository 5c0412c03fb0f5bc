"""Tenants and readers of the settings: who gets what, and what is told of those who don't."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from scaler.errors import InvalidSettings, TenantRefused
from scaler.settings import Settings, load_settings
from scaler.tenancy.readers import reader_of
from scaler.tenancy.tenants import Quotas, quotas_of, tenant_of
from scaler.trigger import parse_trigger

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from scaler.trigger import TriggerConfig

FILE = """
namespace_triggers = 50
namespace_fits = 10

[sources.main]
address = "http://prometheus:9090"
[sources.more]
address = "http://thanos:9090"

[tenants.shop]
namespaces = ["shop", "shop-*"]
sources = ["main"]
labels = { namespace = "{namespace}", cluster = "eu" }
namespace_triggers = 5
namespace_fits = 0

[tenants.ops]
namespaces = ["*"]
sources = ["main", "more"]
own_addresses = true
"""


def load(content: str, directory: Path, environ: Mapping[str, str] | None = None) -> Settings:
    path = directory / "foresail.toml"
    path.write_text(content)
    return load_settings(path=path, environ=environ or {}, overrides={})


def problems(content: str, directory: Path, environ: Mapping[str, str] | None = None) -> tuple[str, ...]:
    with pytest.raises(InvalidSettings) as caught:
        load(content, directory, environ)
    return caught.value.problems


def trigger(namespace: str, **metadata: str) -> TriggerConfig:
    return parse_trigger(namespace=namespace, name="web", metadata={"query": "q", "threshold": "1", **metadata})


def test_the_first_tenant_that_has_the_namespace_counts(tmp_path: Path) -> None:
    settings = load(FILE, tmp_path)
    for namespace, name in (("shop", "shop"), ("shop-eu", "shop"), ("shopping", "ops"), ("kube-system", "ops")):
        tenant = tenant_of(namespace, settings)
        assert tenant is not None
        assert tenant.name == name
    shop = tenant_of("shop-eu", settings)
    assert shop is not None
    assert shop.matchers("shop-eu") == (("cluster", "eu"), ("namespace", "shop-eu"))
    assert tenant_of("any", Settings()) is None


def test_quotas_are_the_tenant_s_or_the_server_s(tmp_path: Path) -> None:
    settings = load(FILE, tmp_path)
    assert quotas_of("shop", settings) == Quotas(triggers=5, fits=0)
    assert quotas_of("other", settings) == Quotas(triggers=50, fits=10)
    assert quotas_of("any", Settings()) == Quotas()


def test_a_namespace_of_no_tenant(tmp_path: Path) -> None:
    settings = load('[tenants.shop]\nnamespaces = ["shop"]\n', tmp_path)
    with pytest.raises(TenantRefused) as caught:
        tenant_of("other", settings)
    assert str(caught.value) == (
        "namespace other belongs to no tenant of this server: let the operator add it to the namespaces of one of the "
        "tables [tenants.NAME] in its settings"
    )


@pytest.mark.parametrize(
    ("metadata", "refusal"),
    [
        ({"source": "main"}, None),
        ({"source": "more"}, 'source is "more": namespace shop may not use it; it may use main'),
        ({"source": "mian"}, 'source is "mian": namespace shop may not use it; did you mean main?'),
        (
            {"serverAddress": "http://prometheus:9090"},
            "namespace shop may not give addresses of its own; instead of serverAddress, give source: main",
        ),
    ],
)
def test_sources_of_a_tenant(tmp_path: Path, metadata: dict[str, str], refusal: str | None) -> None:
    tenant = tenant_of("shop", load(FILE, tmp_path))
    assert tenant is not None
    config = trigger("shop", **metadata)
    if refusal is None:
        tenant.check_source(config)
        return
    with pytest.raises(TenantRefused) as caught:
        tenant.check_source(config)
    assert str(caught.value) == refusal


def test_what_is_wrong_with_tenants_is_told_together(tmp_path: Path) -> None:
    content = """
tenants.a = 5
[tenants.B]
[tenants.c]
namespaces = ["Shop"]
sources = ["main"]
labels = { "a-b" = "x" }
namespace_triggers = -1
name = "x"
[tenants.d]
namespaces = []
labels = { namespace = "" }
"""
    no_name = (
        "after tenants. stands a name; it must be at most 63 lower-case letters, digits and hyphens, none at its ends"
    )
    patterns = 'a list of namespaces, in which * and ? are wildcards, such as ["shop", "shop-*"]'
    label = "the value of the label namespace must be 1 to 256 printable characters"
    assert problems(content, tmp_path) == (
        "tenants.a must be a table, begun by a line [tenants.a]",
        f'"tenants.B": {no_name}',
        '"tenants.c.name" is not a known name; see docs/reference/settings.md',
        f"tenants.c.namespaces is ['Shop']: \"Shop\" is none of them; it must be {patterns}",
        'tenants.c.labels: "a-b" is not a label\'s name (its value is not shown)',
        "tenants.c.namespace_triggers is -1: it must be a whole number from 0 to 1000000",
        'tenants.c.sources names "main": there is no such source',
        f"tenants.d.labels: {label} (its value is not shown)",
    )
    assert problems("tenants = 1", tmp_path) == ("tenants must be tables such as [tenants.shop]",)


READERS = """
[readers.shop]
namespaces = ["shop", "shop-*"]
token_env = "FORESAIL_SHOP_TOKEN"
[readers.ops]
namespaces = ["*"]
token_file = "{file}"
"""


def test_readers_see_their_namespaces(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("operators-token-0123456789\n")
    environ = {"FORESAIL_SHOP_TOKEN": "the-shop-s-own-token-0123"}
    settings = load(READERS.format(file=tmp_path / "token"), tmp_path, environ)
    shop = reader_of("the-shop-s-own-token-0123", settings.readers)
    ops = reader_of("operators-token-0123456789", settings.readers)
    assert shop is not None
    assert ops is not None
    assert [shop.sees(name) for name in ("shop", "shop-eu", "shopping", "ops")] == [True, True, False, False]
    assert (shop.sees_all, ops.sees_all, ops.sees("any")) == (False, True, True)
    assert reader_of("the-shop-s-own-token-012", settings.readers) is None
    assert reader_of("", settings.readers) is None
    assert reader_of("\udcff", settings.readers) is None
    assert "token" not in repr(settings.readers).replace("tokens", "")


def test_what_is_wrong_with_readers(tmp_path: Path) -> None:
    content = '[readers.a]\nnamespaces = ["*"]\ntoken = "in-the-file-itself-0123"\n'
    instead = "give readers.a.token_file with a file that holds it, or readers.a.token_env with an environment variable"
    assert problems(content, tmp_path) == (
        f"readers.a.token must not stand in the settings: {instead}",
        "readers.a.token is missing; it must be 16 to 4096 printable ASCII characters without blanks",
    )
    content = '[readers.a]\nnamespaces = ["*"]\ntoken_env = "NOT_THERE"\n'
    assert problems(content, tmp_path) == (
        'readers.a.token_env is "NOT_THERE": there is no such environment variable, or it is empty',
    )
    content = '[readers.a]\nnamespaces = ["*"]\ntoken_env = "SHORT"\n'
    assert problems(content, tmp_path, {"SHORT": "s3cret"}) == (
        "readers.a.token_env: it must be 16 to 4096 printable ASCII characters without blanks (its value is not shown)",
    )

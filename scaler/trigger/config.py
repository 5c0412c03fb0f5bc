"""What a trigger can ask for: each parameter declared once.

docs/reference/trigger-metadata.md is rendered from these declarations.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from forecasting.levels import DEFAULT_LEVEL
from scaler.connection import (
    ADDRESS,
    AUTH_MODES,
    CERTIFICATE,
    HEADER_NAME,
    HEADER_VALUE,
    HEADERS,
    PRIVATE_KEY,
    QUERY_PARAMETERS,
    SOURCE_NAME,
    TENANT,
    TIMEOUT,
    USERNAME,
)
from scaler.errors import InvalidTrigger
from scaler.events import EVENTS, Event
from scaler.kinds import BOOLEAN, DAY, HOUR, MINUTE, choice, duration, number, quoted, text
from scaler.parameters import family, nearest, parameter
from scaler.regions import REGION
from scaler.sources.base import SourceSpec
from scaler.time_zones import TIME_ZONE
from scaler.trigger.key import digest_of
from scaler.trigger.kinds import COVARIATES, FORECASTER, LEAD_TIME, QUANTILE, SHORTFALL, STEP, WORKLOAD

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scaler.trigger.key import TriggerKey

__all__ = ["MAX_SAMPLES", "MIN_SAMPLES", "TriggerConfig"]

MAX_SAMPLES = 250_000  # in one history window: 1 MB a series, and 23 range queries to fill
MIN_SAMPLES = 120  # fewer are no history to learn from

_LOAD = "The load"
_ACCESS = "Reaching the source"
_FORECAST = "Forecasting"
_DECIDING = "Deciding"


@dataclass(frozen=True, slots=True, kw_only=True, weakref_slot=True)
class TriggerConfig:
    """What one trigger asks for. Durations are seconds. Secrets, headers, query parameters stay out of repr.

    Attributes not declared as parameters:
        name: The ScaledObject's name.
        namespace_of_object: Its namespace.
        key: What tells it from every other trigger.
        matchers: (label, value) that the server's settings put into every selector of its queries.
        series_id: Digest of all that determines the samples: source, credentials, query, matchers, step. Triggers
            with the same one share a history; one without the credentials does not get at it. A named source counts
            by its name.
        metric_name: Made of source and query alone, so that it stays when anything else is edited.
    """

    name: str
    namespace_of_object: str
    key: TriggerKey
    matchers: tuple[tuple[str, str], ...] = ()
    series_id: str = field(init=False)
    metric_name: str = field(init=False)

    server_address: str = parameter(
        "serverAddress",
        ADDRESS,
        default="",
        aliases=("prometheusAddress",),
        group=_LOAD,
        doc="Prometheus, or what speaks its query API (Thanos, Mimir, VictoriaMetrics): the address before "
        "`/api/v1`. Either this or `source` is required. The server's address policy decides whether it may "
        "be asked.",
    )
    source: str = parameter(
        "source",
        SOURCE_NAME,
        default="",
        group=_LOAD,
        doc="A source named in the server's settings, with its address and credentials, instead of `serverAddress`.",
    )
    query: str = parameter(
        "query",
        text(says="a query with one result", maximum=16384, lines=True),
        group=_LOAD,
        doc="The load, as one number: the **total** over all replicas, such as "
        "`sum(rate(http_requests_total[2m]))`. What depends on the number of replicas (an average per pod, a "
        "utilisation) makes a feedback loop.",
    )
    threshold: float = parameter(
        "threshold",
        number(minimum=0.001, maximum=1e12),
        group=_LOAD,
        doc="The load that one replica carries: the HPA's target.",
    )
    activation_threshold: float = parameter(
        "activationThreshold",
        number(minimum=-1e12, maximum=1e12),
        default=0.0,
        group=_LOAD,
        doc="The workload is active, and leaves zero replicas, while its load or its forecast is **above** this.",
    )
    ignore_null_values: bool = parameter(
        "ignoreNullValues",
        BOOLEAN,
        default=False,
        group=_LOAD,
        doc="`true`: an empty result counts as 0. KEDA's own `prometheus` trigger does so by default; here "
        "the default is `false`, because an unknown load answered as 0 scales a busy workload down. An "
        "empty result then is an error, and KEDA keeps the replicas or uses its `fallback`.",
    )

    tenant_namespace: str = parameter(
        "namespace",
        TENANT,
        default="",
        group=_ACCESS,
        doc="Sent as the query parameter `namespace`, as Thanos and others want it of tenants.",
    )
    custom_headers: tuple[tuple[str, str], ...] = parameter(
        "customHeaders",
        HEADERS,
        default=(),
        private=True,
        group=_ACCESS,
        doc="Further headers of each request: `X-Scope-OrgID=shop,X-Other=1`. A value may hold `=`, but no comma.",
    )
    query_parameters: tuple[tuple[str, str], ...] = parameter(
        "queryParameters",
        QUERY_PARAMETERS,
        default=(),
        private=True,
        group=_ACCESS,
        doc="Further query parameters of each request: `dedup=true,partial_response=false`.",
    )
    unsafe_ssl: bool = parameter(
        "unsafeSsl",
        BOOLEAN,
        default=False,
        group=_ACCESS,
        doc="`true`: the source's certificate is not checked. KEDA reads the same key for its own "
        "connection to this server.",
    )
    timeout: float = parameter(
        "timeout",
        TIMEOUT,
        default=10.0,
        group=_ACCESS,
        doc="For one request to the source. A bare number counts milliseconds, as in KEDA.",
    )
    auth_modes: tuple[str, ...] = parameter(
        "authModes",
        AUTH_MODES,
        default=(),
        group=_ACCESS,
        doc="How the source is convinced: one of `bearer`, `basic` and `custom`, `tls` (a client "
        "certificate), or `tls` with one of them.",
    )
    bearer_token: str = parameter(
        "bearerToken", HEADER_VALUE, default="", secret=True, group=_ACCESS, doc="For `bearer`."
    )
    username: str = parameter("username", USERNAME, default="", secret=True, group=_ACCESS, doc="For `basic`.")
    password: str = parameter(
        "password",
        text(says="a password", lines=True),
        default="",
        secret=True,
        group=_ACCESS,
        doc="For `basic`; without it, the password is empty.",
    )
    ca: str = parameter(
        "ca",
        CERTIFICATE,
        default="",
        secret=True,
        group=_ACCESS,
        doc="Certificates of the authorities that the source's certificate is checked against, in PEM; needs no mode.",
    )
    cert: str = parameter(
        "cert",
        CERTIFICATE,
        default="",
        secret=True,
        group=_ACCESS,
        doc="For `tls`: the client's certificate in PEM.",
    )
    key_pem: str = parameter(
        "key", PRIVATE_KEY, default="", secret=True, group=_ACCESS, doc="For `tls`: the private key in PEM."
    )
    custom_auth_header: str = parameter(
        "customAuthHeader",
        HEADER_NAME,
        default="",
        secret=True,
        group=_ACCESS,
        doc="For `custom`: the header's name.",
    )
    custom_auth_value: str = parameter(
        "customAuthValue",
        HEADER_VALUE,
        default="",
        secret=True,
        group=_ACCESS,
        doc="For `custom`: the header's value.",
    )

    history_window: float = parameter(
        "historyTimeWindow",
        duration(minimum=HOUR, maximum=400 * DAY),
        default=14 * DAY,
        group=_FORECAST,
        doc=f"How much of the past is fetched and learned from: {MIN_SAMPLES} to {MAX_SAMPLES} samples at "
        f"`queryStep`. Two of the longest season (two weeks for a weekly one) are the least that pays. The "
        f"server's `history_retention` bounds it.",
    )
    step: int = parameter(
        "queryStep",
        STEP,
        default=60,
        group=_FORECAST,
        doc="Distance of two samples. Whole seconds that divide a day, so that all replicas look at the same moments.",
    )
    forecaster: str = parameter(
        "forecaster",
        FORECASTER,
        default="auto",
        group=_FORECAST,
        doc="The method. `auto` chooses for this very series.",
    )
    forecaster_parameters: tuple[tuple[str, str], ...] = family(
        "forecaster.",
        text(maximum=256),
        group=_FORECAST,
        doc="`forecaster.NAME` sets the parameter NAME of the chosen method.",
    )
    covariates: tuple[str, ...] = parameter(
        "covariates",
        COVARIATES,
        default=(),
        group=_FORECAST,
        doc="Other queries to the same source whose series move minutes before the load does, such as sign-ins or the "
        "load of the service in front: up to 4, one a line. What their latest values say is learned from the past and "
        "corrects the forecasts; where that gained nothing on the last days they are left out, and `explain` says so. "
        "[covariates.md](../covariates.md) tells more.",
    )
    time_zone: str = parameter(
        "timeZone",
        TIME_ZONE,
        default="UTC",
        group=_FORECAST,
        doc="Where the users live: whose mornings, weekends and clock changes the load follows.",
    )
    holidays: str = parameter(
        "holidays",
        REGION,
        default="",
        group=_FORECAST,
        doc="Whose public holidays the load keeps, by ISO 3166. It is forecast for them as for the last day of the "
        "weekend, and no weekday is learned from them: where `forecaster` follows weeks, as `auto`, `seasonal-profile` "
        "and `boosted` do. [events.md](../events.md#holidays) tells more.",
    )

    lead_time: float | None = parameter(
        "leadTime",
        LEAD_TIME,
        default=3 * MINUTE,
        aliases=("predictHorizon",),
        group=_DECIDING,
        doc="How long a replica that is asked for now takes until it serves: scheduling, image, start, "
        "readiness. The delays before the asking are added by the server. `auto`: measured every hour from what "
        "kube-state-metrics has told the source of the pods of `scaleTarget`: the time from creation to ready that "
        "90 % of those of the last three days kept, within 15s and 30m; `3m` while that cannot be told.",
    )
    scale_target: str = parameter(
        "scaleTarget",
        WORKLOAD,
        default="",
        group=_DECIDING,
        doc="For `leadTime: auto`: the name of the Deployment or StatefulSet that is scaled. Without it, the "
        "ScaledObject's own name.",
    )
    quantile: float | None = parameter(
        "quantile",
        QUANTILE,
        default=None,
        group=_DECIDING,
        doc="The forecast served is this quantile of the coming **peak**: at 0.9, one peak in ten is "
        "higher. `auto`: chosen after each fit, see `premium`. Not together with `costRatio` or `sloShortfall`.",
    )
    premium: float = parameter(
        "premium",
        number(minimum=0.01, maximum=10.0),
        default=0.24,
        group=_DECIDING,
        doc="For `quantile: auto`: what the 0.9-quantile of the forecast may add on average to what its median asks "
        "for: 0.24 is a bit less than a quarter. Higher ones may add more, by the same factor for each halving of the "
        "risk. The highest quantile from 0.9 to 0.99 (0.9865 up to a `leadTime` of 90s) that keeps to it is served, "
        "the median if none does, and none higher than there is need for: a load that can be foreseen gets a high one, "
        "and one that cannot does not cost a fortune.",
    )
    cost_ratio: float | None = parameter(
        "costRatio",
        number(minimum=1.0, maximum=999.0),
        default=None,
        group=_DECIDING,
        doc="What a unit of unmet load costs against a unit of idle capacity, instead of a `quantile`: 9 "
        "means quantile 9 / (1 + 9) = 0.9.",
    )
    slo_shortfall: float | None = parameter(
        "sloShortfall",
        SHORTFALL,
        default=None,
        group=_DECIDING,
        doc="How much of the load may go unserved, such as `0.1%`, instead of a `quantile`: after each fit the last "
        "days are replayed, and the cheapest quantile that kept to it is served; `explain` tells which, and why. "
        "Until the first such choice it is 0.9. [deciding.md](../deciding.md) tells more.",
    )
    headroom: float = parameter(
        "headroom",
        number(minimum=1.0, maximum=10.0),
        default=1.07,
        group=_DECIDING,
        doc="At least this multiple of the observed load is served, whatever the forecast says: the HPA "
        "ignores differences of up to 10 %, of which rounding up to whole pods makes good the rest.",
    )
    mode: str = parameter(
        "mode",
        choice("active", "observe"),
        default="active",
        group=_DECIDING,
        doc="`observe` serves the observed load, as plain KEDA would, and only records what would have been served.",
    )
    max_factor: float = parameter(
        "maxFactor",
        number(minimum=1.0, maximum=100.0),
        default=2.0,
        group=_DECIDING,
        doc="The forecast never asks for more than this multiple of the highest load of the history window.",
    )
    max_rise: float | None = parameter(
        "maxRise",
        number(minimum=0.001, maximum=100.0),
        default=None,
        group=_DECIDING,
        doc="The forecast may exceed the observed load by at most this part of the highest load per minute "
        "of lead time: 0.1 allows a tenth of the highest load a minute. Without it there is no such bound.",
    )

    events: tuple[Event, ...] = parameter(
        "events",
        EVENTS,
        default=(),
        group=_DECIDING,
        doc="Launches and campaigns that you announce: from a lead time before them until their end, the load counts "
        "as `factor` times itself, or as `floor` at least. One event a line, such as `launch: at 2026-11-27T08:00 for "
        "2h factor 2 in Europe/Berlin` or `news: cron 0 20 * * 1-5 for 30m floor 500`; without `in`, times are those "
        "of `timeZone`. [events.md](../events.md) tells more.",
    )

    def __post_init__(self) -> None:
        source = ("source", self.source) if self.source else ("address", self.server_address)
        asked = (*source, self.tenant_namespace, self.query)
        object.__setattr__(self, "metric_name", f"foresail-{_slug(self.query)}{digest_of('metric', *asked)[:8]}")
        bound = [part for matcher in self.matchers for part in ("matcher", *matcher)]
        reached = (*asked, *self._credentials(), *bound)
        object.__setattr__(self, "series_id", digest_of("series", *reached, f"{self.step}"))

    def _credentials(self) -> tuple[str, ...]:
        """All else that the source's answer may depend on; parts that vary in number carry their count."""
        listed = [part for pairs in (self.custom_headers, self.query_parameters) for item in pairs for part in item]
        return (
            f"{len(self.custom_headers)},{len(self.query_parameters)}",
            f"{self.ignore_null_values},{self.unsafe_ssl and not self.source}",
            *listed,
            ",".join(self.auth_modes),
            self.bearer_token,
            self.username,
            self.password,
            self.ca,
            self.cert,
            self.key_pem,
            self.custom_auth_header,
            self.custom_auth_value,
        )

    @property
    def effective_quantile(self) -> float:
        """The quantile: given, or the newsvendor's critical ratio r / (1 + r) (Arrow et al., 1951).

        Where it is chosen, by `premium` or `sloShortfall`, the one to begin with.
        """
        if self.cost_ratio is not None:
            return self.cost_ratio / (1 + self.cost_ratio)
        return DEFAULT_LEVEL if self.quantile is None else self.quantile

    @property
    def spends_premium(self) -> bool:
        """Whether the quantile is the one that `premium` buys."""
        return self.quantile is None and self.cost_ratio is None and self.slo_shortfall is None

    @property
    def target(self) -> str:
        """The workload that is scaled."""
        return self.scale_target or self.name

    def source_spec(self) -> SourceSpec:
        """How to reach the source of a trigger with `serverAddress`; `resolve` also knows named ones."""
        return SourceSpec(
            kind="prometheus",
            address=self.server_address,
            namespace=self.tenant_namespace,
            headers=self.custom_headers,
            query_parameters=self.query_parameters,
            auth_modes=self.auth_modes,
            bearer_token=self.bearer_token,
            username=self.username,
            password=self.password,
            custom_auth_header=self.custom_auth_header,
            custom_auth_value=self.custom_auth_value,
            ca=self.ca,
            cert=self.cert,
            key=self.key_pem,
            unsafe_ssl=self.unsafe_ssl,
            timeout=self.timeout,
            ignore_null_values=self.ignore_null_values,
        )

    def resolve(self, sources: Mapping[str, SourceSpec]) -> SourceSpec:
        """How to reach the trigger's source, be it named or given by its address.

        Args:
            sources: The named sources of the settings.

        Raises:
            InvalidTrigger: The source is not among them.
        """
        if not self.source:
            return self.source_spec()
        named = sources.get(self.source)
        if named is None:
            near = nearest(self.source, sources)
            hint = "the server's settings name no such source" if near is None else f"did you mean {near}?"
            raise InvalidTrigger([f"source is {quoted(self.source)}: it is not a named source; {hint}"])
        return replace(named, ignore_null_values=self.ignore_null_values)


def _slug(query: str) -> str:
    """The query's words, for people who read `kubectl describe hpa`; with a hyphen after them, or empty."""
    words = re.sub(r"[^a-z0-9]+", "-", query.lower()).strip("-")[:36].rstrip("-")
    return words and words + "-"

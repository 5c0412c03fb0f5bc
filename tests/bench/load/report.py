"""What a run has found, and the table that people read."""

from __future__ import annotations

import msgspec

__all__ = ["Busy", "Compared", "Point", "Refreshing", "Report", "Start", "table"]


class Start(msgspec.Struct, kw_only=True):
    """A start of the server with a fleet that calls at once; seconds, -1 if it never came."""

    listening: float
    first_answer: float
    half: float
    all_answers: float
    answered: int


class Compared(msgspec.Struct, kw_only=True):
    """Foresail beside the bare server, medians over the rounds."""

    pairs_per_cpu_second: float
    pairs_per_cpu_second_bare: float
    rate: float
    p50_ms: float
    p50_ms_bare: float
    p99_ms: float
    p99_ms_bare: float
    least_p99_ms: float  # of the calmest round: other work on the machine makes it larger, never smaller
    least_p99_ms_bare: float
    client_late_p99_ms: float
    errors: int

    @property
    def pairs_ratio(self) -> float:
        """At least 0.85 is wanted."""
        return self.pairs_per_cpu_second / self.pairs_per_cpu_second_bare

    @property
    def p99_ratio(self) -> float:
        """At most 1.5 is wanted."""
        return self.p99_ms / self.p99_ms_bare if self.p99_ms_bare else 0.0


class Point(msgspec.Struct, kw_only=True):
    """A fleet of this size at KEDA's default pace."""

    objects: int
    rpcs_per_second: float
    p50_ms: float
    p99_ms: float
    p99_ms_bare: float
    errors: int
    edge_cores: float
    bare_cores: float
    engine_cores: float
    client_late_p99_ms: float


class Busy(msgspec.Struct, kw_only=True):
    """The fit pool at work beside the same calls, medians over the rounds."""

    rate: float
    p99_ms_idle: float
    p99_ms_busy: float
    worker_cores: float  # while it was at work

    @property
    def ratio(self) -> float:
        """At most 2 is wanted."""
        return self.p99_ms_busy / self.p99_ms_idle if self.p99_ms_idle else 0.0


class Refreshing(msgspec.Struct, kw_only=True):
    """A span in which the fleet was refreshed. Cores: CPU seconds a second."""

    seconds: float
    queries_per_second: float
    oldest_observed_s: float
    oldest_forecast_s: float
    with_forecast: int
    edge_cores: float
    engine_cores: float
    worker_cores: float
    source_cores: float
    edge_lag_p99_s: float
    engine_lag_p99_s: float
    fits: float


class Report(msgspec.Struct, kw_only=True):
    """All of a run. Memory in MiB."""

    triggers: int
    forecaster: str
    days: int
    source: str = "fake"
    empty: dict[str, float] = {}
    cold: Start | None = None
    compared: Compared | None = None
    busy: Busy | None = None
    curve: list[Point] = []
    refreshing: Refreshing | None = None
    memory: dict[str, float] = {}
    warm: Start | None = None


def table(report: Report) -> str:
    """For people."""
    lines = [
        (
            f"{report.triggers} triggers on as many series, {report.days} days of history, "
            f"forecaster {report.forecaster}, {report.source} Prometheus"
        ),
        "",
    ]
    lines += [f"{name:<34} {value:>9.2f}" for name, value in report.empty.items()]
    for name, start in (("cold start", report.cold), ("warm start", report.warm)):
        if start is not None:
            lines.append(
                f"{name}: listens after {start.listening:.2f} s, first answer {start.first_answer:.2f} s, half "
                f"{start.half:.2f} s, all {start.all_answers:.2f} s ({start.answered} of {report.triggers})"
            )
    if (c := report.compared) is not None:
        lines += ["", f"{'':<34} {'foresail':>9} {'bare':>9} {'ratio':>9}"]
        lines += [
            _row("pairs per CPU second", c.pairs_per_cpu_second, c.pairs_per_cpu_second_bare, c.pairs_ratio),
            _row(f"p50 ms at {c.rate:.0f} RPC/s", c.p50_ms, c.p50_ms_bare),
            _row(f"p99 ms at {c.rate:.0f} RPC/s", c.p99_ms, c.p99_ms_bare, c.p99_ratio),
            _row(
                "the same in the calmest round",
                c.least_p99_ms,
                c.least_p99_ms_bare,
                c.least_p99_ms / c.least_p99_ms_bare,
            ),
            _row("failed calls", c.errors),
            _row("client late, p99 ms", c.client_late_p99_ms),
        ]
    if (b := report.busy) is not None:
        lines += [
            "",
            (
                f"p99 at {b.rate:.0f} RPC/s: fit pool held {b.p99_ms_idle:.1f} ms, at work {b.p99_ms_busy:.1f} ms, "
                f"ratio {b.ratio:.3f} ({b.worker_cores:.2f} cores of fits)"
            ),
        ]
    if report.curve:
        lines += [
            "",
            "| objects at KEDA's pace | RPC/s | p50 ms | p99 ms | bare p99 | failed | edge cores | bare | engine |",
            "|---|---|---|---|---|---|---|---|---|",
        ]
        lines += [
            f"| {p.objects} | {p.rpcs_per_second:.0f} | {p.p50_ms:.1f} | {p.p99_ms:.1f} | {p.p99_ms_bare:.1f} | "
            f"{p.errors} | {p.edge_cores:.2f} | {p.bare_cores:.2f} | {p.engine_cores:.2f} |"
            for p in report.curve
        ]
    if report.refreshing is not None:
        lines += ["", *_refreshing(report.refreshing)]
    if report.memory:
        lines.append("")
        lines += [f"{name + ', MiB':<34} {value:>9.1f}" for name, value in report.memory.items()]
    return "\n".join(lines)


def _row(name: str, *figures: float) -> str:
    shown = (
        f"{figure:>9.0f}" if float(figure).is_integer() or figure >= 100 else f"{figure:>9.3f}" for figure in figures
    )
    return f"{name:<34} {' '.join(shown)}"


def _refreshing(found: Refreshing) -> list[str]:
    edge, engine = 1000 * found.edge_lag_p99_s, 1000 * found.engine_lag_p99_s
    return [
        f"refreshing, over {found.seconds:.0f} s: {found.queries_per_second:.0f} queries/s, {found.fits:.0f} fits",
        (
            f"cores: edge {found.edge_cores:.2f}, engine {found.engine_cores:.2f}, "
            f"fit workers {found.worker_cores:.2f}, source {found.source_cores:.2f}"
        ),
        f"oldest observed value {found.oldest_observed_s:.1f} s",
        f"oldest forecast {found.oldest_forecast_s:.1f} s ({found.with_forecast} have one)",
        f"loop lag at p99, at most: edge {edge:.0f} ms, engine {engine:.0f} ms",
    ]

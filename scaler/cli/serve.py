"""`foresail serve`: the edge in this process, the engine in one of its own."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import signal
import sys
import time
from typing import TYPE_CHECKING

import uvloop
from prometheus_client import CollectorRegistry

from scaler import __version__
from scaler.cli.arguments import add_config_argument
from scaler.collecting import collect_rarely
from scaler.edge.desk import TriggerDesk
from scaler.edge.link import EngineLink
from scaler.edge.logbook import Logbook
from scaler.keda.clients import only_clients, server_credentials
from scaler.keda.server import KedaServer, Limits
from scaler.settings import load_settings
from scaler.telemetry.edge import EdgeMetrics, MetricsPage
from scaler.telemetry.log import get_logger, setup_logging
from scaler.telemetry.loop_lag import watch_loop
from scaler.tls.settings import certificates_of
from scaler.web.access import access_of
from scaler.web.app import make_app
from scaler.web.board import ReadyState
from scaler.web.listen import listening
from scaler.web.log import DecisionPages
from scaler.web.views import Board

if TYPE_CHECKING:
    import argparse

    from scaler.settings import Settings

__all__ = ["configure", "run"]

log = get_logger("foresail")

_ENGINE_UP_WITHIN = 15.0  # seconds that readiness waits for the first engine
_ENGINE_METRICS_WITHIN = 1.0  # seconds that a page of metrics waits for the engine's part

_OVERRIDES = (
    ("--grpc", "grpc_address", "ADDRESS", "where KEDA calls (default: [::]:6000)"),
    ("--http", "http_address", "ADDRESS", "where metrics, health and the explain API are (default: [::]:8080)"),
    ("--data-dir", "data_dir", "DIR", "where history and forecasts are kept (default: foresail-data)"),
    ("--log-level", "log_level", "LEVEL", "debug, info, warning or error (default: info)"),
    ("--log-format", "log_format", "FORMAT", "text or json (default: text)"),
)
"""Option, the setting that it overrides, its value's name, what it says of itself."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments."""
    add_config_argument(parser)
    for option, setting, metavar, text in _OVERRIDES:
        parser.add_argument(option, dest=setting, metavar=metavar, help=text)
    parser.add_argument(
        "--allow-address",
        dest="allow_addresses",
        metavar="HOST[:PORT]",
        action="append",
        help="let triggers name this address although it is refused by default (loopback, link-local); repeatable",
    )


def run(arguments: argparse.Namespace) -> int:
    """Serves until it is told to stop."""
    overrides = {
        setting: value for _, setting, _, _ in _OVERRIDES if (value := getattr(arguments, setting)) is not None
    }
    if arguments.allow_addresses:
        overrides["allow_addresses"] = ",".join(arguments.allow_addresses)
    settings = load_settings(path=arguments.config, environ=os.environ, overrides=overrides)
    setup_logging(level=settings.log_level, log_format=settings.log_format)
    # a core file would hold the credentials of all sources; the engine and its workers inherit this
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    collect_rarely()
    uvloop.run(_serve(settings))
    return 0


async def _serve(settings: Settings) -> None:
    """Runs the parts, in the order in which they need each other; ends them in the opposite one."""
    registry = CollectorRegistry()
    state = _State()

    def engine_lost(reason: str) -> None:
        log.error("engine.lost", reason=reason)
        metrics.engine_lost()

    link = EngineLink(command=(sys.executable, "-m", "scaler.engine.process"), settings=settings, on_lost=engine_lost)
    desk = TriggerDesk(settings=settings, tell=link.tell, engine_answering=lambda: link.answering)
    board = Board(entries=desk.entries, ready=state.ready, clock=time.time)
    metrics = EdgeMetrics(registry, version=__version__, triggers=board.triggers)
    page = MetricsPage(metrics, engine_metrics=lambda: link.ask("metrics", within=_ENGINE_METRICS_WITHIN))
    certificates = certificates_of(settings, clock=time.time)
    if certificates is not None:
        metrics.follow_certificate(lambda: certificates.current().not_after)
    server = KedaServer(
        desk,
        address=settings.grpc_address,
        observer=metrics.call_ended,
        limits=_limits(settings),
        credentials=None if certificates is None else server_credentials(certificates),
        admit=only_clients(settings.tls_grpc_clients),
    )
    stop = _stop_signal()
    app = make_app(
        board=board,
        metrics_page=page.render,
        decisions=DecisionPages(Logbook(desk=desk, link=link), clock=time.time),
        access=access_of(settings, certificates),
    )
    tasks: list[asyncio.Task[None]] = []
    try:
        of_http = certificates if settings.tls_http != "off" else None
        async with listening(app, settings.http_address, certificates=of_http) as http_port:
            await server.start()
            tasks += [
                asyncio.create_task(link.run(desk)),
                asyncio.create_task(watch_loop(metrics.loop_late, tasks=metrics.loop_tasks)),
                asyncio.create_task(state.follow(link)),
            ]
            log.info(
                "serving",
                grpc=_with_port(settings.grpc_address, server.port),
                http=_with_port(settings.http_address, http_port),
                version=__version__,
            )
            await stop.wait()
            log.info("draining", delay=settings.drain_delay, grace=settings.drain_grace)
            state.drain()
            await server.drain(grace=settings.drain_grace, delay=settings.drain_delay)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    log.info("stopped")


class _State:
    """Whether calls can be answered, and why not."""

    def __init__(self) -> None:
        self._reason = "starting: the engine process has not come up yet"
        self._draining = False

    def ready(self) -> ReadyState:
        return ReadyState(ready=not self._reason, reason=self._reason)

    async def follow(self, link: EngineLink) -> None:
        """Ready when the first engine is there: what the store has kept is known then, and sources are asked.

        A rolling restart that went on before could leave KEDA with replicas that know nothing. An engine that does
        not come up does not keep the server back for ever: specs are answered without it, and errors say why.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_ENGINE_UP_WITHIN):
                await link.answered()
        if not self._draining:
            self._reason = ""

    def drain(self) -> None:
        self._draining, self._reason = True, "draining: this server is about to end"


def _limits(settings: Settings) -> Limits:
    return Limits(
        deadline=settings.rpc_deadline,
        calls=settings.max_concurrent_rpcs,
        streams=settings.max_streams,
        message_bytes=settings.max_message_bytes,
    )


def _stop_signal() -> asyncio.Event:
    """Set at SIGTERM or Ctrl-C."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop


def _with_port(address: str, port: int) -> str:
    """The address with the port that was really taken."""
    return f"{address.rpartition(':')[0]}:{port}"

"""`foresail serve`: the edge in this process, the engine in one of its own."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry

from scaler import __version__
from scaler.edge.board import Board
from scaler.edge.desk import TriggerDesk
from scaler.edge.link import EngineLink
from scaler.keda.server import KedaServer, Limits
from scaler.settings import Settings, load_settings
from scaler.telemetry.edge import EdgeMetrics, MetricsPage
from scaler.telemetry.log import get_logger, setup_logging
from scaler.telemetry.loop_lag import watch_loop
from scaler.web.server import WebServer

if TYPE_CHECKING:
    import argparse

__all__ = ["configure", "run"]

log = get_logger("foresail")

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


def add_config_argument(parser: argparse.ArgumentParser) -> None:
    """The option that `serve` and `doctor` share."""
    parser.add_argument(
        "--config",
        metavar="FILE",
        type=Path,
        default=os.environ.get("FORESAIL_CONFIG"),
        help="the settings, a TOML file (default: $FORESAIL_CONFIG, or none); the environment (FORESAIL_...) overrides "
        "it, the options of this command override both",
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
    asyncio.run(_serve(settings))
    return 0


async def _serve(settings: Settings) -> None:
    registry = CollectorRegistry()

    def engine_lost(reason: str) -> None:
        log.error("engine.lost", reason=reason)
        metrics.engine_lost()

    link = EngineLink(
        command=(sys.executable, "-m", "scaler.engine.process"), settings=settings, on_lost=engine_lost
    )
    desk = TriggerDesk(settings=settings, tell=link.tell)
    board = Board(desk)
    metrics = EdgeMetrics(registry, version=__version__, triggers=board.readings)
    page = MetricsPage(registry, metrics, engine_metrics=link.metrics)
    server = KedaServer(desk, address=settings.grpc_address, observer=metrics.call_ended, limits=_limits(settings))
    web = WebServer(board, address=settings.http_address, metrics=page.render)
    stop = _stop_signal()
    tasks = [asyncio.create_task(link.run(desk)), asyncio.create_task(watch_loop(metrics.loop_late))]
    try:
        await web.start()
        await server.start()
        board.serving = True
        log.info("serving", grpc=f"{_host(settings.grpc_address)}:{server.port}", http=web.address, version=__version__)
        await stop.wait()
        log.info("draining", delay=settings.drain_delay, grace=settings.drain_grace)
        board.serving = False
        await server.drain(grace=settings.drain_grace, delay=settings.drain_delay)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await web.stop()
    log.info("stopped")


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


def _host(address: str) -> str:
    return address.rpartition(":")[0]

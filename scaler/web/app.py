"""The HTTP side: health, metrics, and the triggers with the reasons of their answers, as JSON.

/healthz says that the process runs and its event loop turns, nothing more: an outage of Prometheus must not make
Kubernetes restart us. /readyz says whether calls can be answered here.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import TYPE_CHECKING, TypeAlias

import msgspec
from aiohttp import web

from scaler.errors import EngineLost
from scaler.telemetry.filter import of_namespaces
from scaler.telemetry.log import get_logger
from scaler.tenancy.readers import Reader
from scaler.web.access import Access, NotAdmitted
from scaler.web.log import InvalidSince

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from aiohttp.typedefs import Middleware

    from scaler.web.board import TriggerBoard
    from scaler.web.log import DecisionPages

__all__ = ["make_app"]

log = get_logger(__name__)

_READER = web.RequestKey("reader", Reader)
_Handler: TypeAlias = "Callable[[web.Request], Awaitable[web.StreamResponse]]"

_ENDPOINTS = {
    "/healthz": "liveness: the process runs",
    "/readyz": "readiness: calls can be answered here",
    "/metrics": "for Prometheus",
    "/api/v1/triggers": "the triggers in use, with what is answered for each",
    "/api/v1/triggers/{namespace}/{name}/explain": "why a ScaledObject's triggers answer what they do",
    "/api/v1/triggers/{namespace}/{name}/decisions": "how their answers changed, ?since=6h",
}
_TEXT = "text/plain; version=0.0.4; charset=utf-8"


def make_app(
    *,
    board: TriggerBoard,
    metrics_page: Callable[[], Awaitable[bytes]],
    decisions: DecisionPages,
    access: Access | None = None,
) -> web.Application:
    """The application.

    Args:
        board: The triggers in use, and whether this server is ready.
        metrics_page: Renders /metrics: `scaler.telemetry.edge.MetricsPage.render`.
        decisions: The decision log.
        access: Who may read; None: everyone who reaches the port.
    """
    pages = _Pages(board, metrics_page, decisions)
    app = web.Application(middlewares=[_errors, _guard(access or Access())], client_max_size=0)  # no request has a body
    app.router.add_get("/", pages.index)
    app.router.add_get("/healthz", pages.healthz)
    app.router.add_get("/readyz", pages.readyz)
    app.router.add_get("/metrics", pages.metrics)
    app.router.add_get("/api/v1/triggers", pages.triggers)
    app.router.add_get("/api/v1/triggers/{namespace}/{name}/explain", pages.explain)
    app.router.add_get("/api/v1/triggers/{namespace}/{name}/decisions", pages.decisions)
    return app


class _Pages:
    def __init__(
        self, board: TriggerBoard, metrics_page: Callable[[], Awaitable[bytes]], decisions: DecisionPages
    ) -> None:
        self._board = board
        self._metrics_page = metrics_page
        self._decisions = decisions

    async def index(self, _: web.Request) -> web.Response:
        rows = "".join(
            f"<li>{path if '{' in path else f'<a href={path}>{path}</a>'}: {what}</li>"
            for path, what in _ENDPOINTS.items()
        )
        page = (
            f"<!doctype html><html lang=en><meta charset=utf-8><title>Foresail</title><h1>Foresail</h1><ul>{rows}</ul>"
        )
        return web.Response(text=page, content_type="text/html")

    async def healthz(self, _: web.Request) -> web.Response:
        return _json({"alive": True})

    async def readyz(self, _: web.Request) -> web.Response:
        state = self._board.ready()
        return _json(state, HTTPStatus.OK if state.ready else HTTPStatus.SERVICE_UNAVAILABLE)

    async def metrics(self, request: web.Request) -> web.Response:
        page, reader = await self._metrics_page(), request[_READER]
        if not reader.sees_all:
            page = await asyncio.to_thread(of_namespaces, page, reader.sees)
        return web.Response(body=page, headers={"Content-Type": _TEXT})

    async def triggers(self, request: web.Request) -> web.Response:
        # a fleet's views take a moment of computing; KEDA's calls go on meanwhile
        found, sees = await asyncio.to_thread(self._board.triggers), request[_READER].sees
        return _json({"triggers": [trigger for trigger in found if sees(trigger.namespace)]})

    async def explain(self, request: web.Request) -> web.Response:
        namespace, name = request.match_info["namespace"], request.match_info["name"]
        sees = request[_READER].sees(namespace)
        found = await asyncio.to_thread(self._board.explain, namespace, name) if sees else []
        if not found:
            return _error(
                HTTPStatus.NOT_FOUND,
                f"no trigger of ScaledObject {namespace}/{name} is in use here: KEDA has not called for it since this "
                "server started, or not for long; /api/v1/triggers lists those in use, and with several replicas "
                "another one may have been called",
            )
        return _json({"triggers": found})

    async def decisions(self, request: web.Request) -> web.Response:
        namespace, name = request.match_info["namespace"], request.match_info["name"]
        if not request[_READER].sees(namespace):
            return _json({"decisions": []})  # as of one that nobody has called
        try:
            found = await self._decisions.decisions(namespace, name, request.query.get("since", ""))
        except InvalidSince as error:
            return _error(HTTPStatus.BAD_REQUEST, str(error))
        except EngineLost as error:
            return _error(HTTPStatus.SERVICE_UNAVAILABLE, f"the decision log cannot be read now: {error}")
        return _json({"decisions": found})


def _guard(access: Access) -> Middleware:
    @web.middleware
    async def guard(request: web.Request, handler: _Handler) -> web.StreamResponse:
        """Looks at the path as it was asked for: what is not there is not told to strangers either."""
        request[_READER] = access.admit(request)
        return await handler(request)

    return guard


@web.middleware
async def _errors(request: web.Request, handler: _Handler) -> web.StreamResponse:
    """Every error is JSON with a text that stands alone."""
    try:
        return await handler(request)
    except NotAdmitted as error:
        wanted = {"WWW-Authenticate": "Bearer"} if error.status is HTTPStatus.UNAUTHORIZED else None
        return _error(error.status, str(error), wanted)
    except web.HTTPMethodNotAllowed as error:
        allowed = ", ".join(sorted(error.allowed_methods))
        text = f"{request.path} is asked with {' or '.join(sorted(error.allowed_methods))}, not {request.method}"
        return _error(HTTPStatus.METHOD_NOT_ALLOWED, text, {"Allow": allowed})
    except web.HTTPNotFound:
        return _error(HTTPStatus.NOT_FOUND, f"there is no {request.path} here; there are {', '.join(_ENDPOINTS)}")
    except Exception as error:  # noqa: BLE001  # the boundary: anything else is told once, and without details outside
        log.unforeseen("web.bug", error, path=request.path)
        return _error(
            HTTPStatus.INTERNAL_SERVER_ERROR, f"{request.path} failed by a fault of this server; its log has the cause"
        )


def _json(body: object, status: HTTPStatus = HTTPStatus.OK, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(body=msgspec.json.encode(body), status=status, content_type="application/json", headers=headers)


def _error(status: HTTPStatus, text: str, headers: dict[str, str] | None = None) -> web.Response:
    return _json({"error": text}, status, headers)

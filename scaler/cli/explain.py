"""`foresail explain`: asks a running server why it answers what it does, and shows it to people."""

from __future__ import annotations

import argparse
import json
import os
import re
import ssl
from http import HTTPStatus
from pathlib import Path
from typing import NoReturn, TypeVar
from urllib.parse import quote

import httpx
import msgspec
from rich.console import Console

from scaler.cli.arguments import typed
from scaler.cli.explanation import show, show_log
from scaler.errors import ForesailError
from scaler.kinds import quoted, show_duration
from scaler.telemetry.masking import without_credentials
from scaler.web.board import Explanation
from scaler.web.log import SPAN, LoggedDecision

__all__ = ["NotExplained", "configure", "run"]

SERVER_VARIABLE = "FORESAIL_SERVER"
TOKEN_VARIABLE = "FORESAIL_TOKEN"  # noqa: S105  # the name of a variable
_DEFAULT_SERVER = "http://127.0.0.1:8080"
_TIMEOUT = 10.0  # seconds
_OBJECT = re.compile(r"([a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)/([a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?)")
_PORT_FORWARD = "kubectl port-forward svc/foresail 8080 -n NAMESPACE"


_T = TypeVar("_T")


class NotExplained(ForesailError):
    """The server cannot be asked, or has no answer."""


class _Document(msgspec.Struct, frozen=True):
    triggers: list[Explanation]


class _Log(msgspec.Struct, frozen=True):
    decisions: list[LoggedDecision]


class _Refusal(msgspec.Struct, frozen=True):
    error: str


def configure(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments."""
    parser.add_argument(
        "scaled_object",
        metavar="NAMESPACE/NAME",
        type=_scaled_object,
        help="the ScaledObject, as 'kubectl get scaledobject -A' lists it",
    )
    parser.add_argument(
        "--server",
        metavar="URL",
        default=os.environ.get(SERVER_VARIABLE) or _DEFAULT_SERVER,
        help=f"the server's HTTP side (default: ${SERVER_VARIABLE}, or {_DEFAULT_SERVER})",
    )
    parser.add_argument("--ca", metavar="FILE", help="authority of the server's certificate, if no public one (PEM)")
    parser.add_argument("--cert", metavar="FILE", help="your certificate and its key in one file, if it asks for one")
    parser.add_argument(
        "--token-file",
        metavar="FILE",
        help=f"your token, if the server asks for one (default: what the variable {TOKEN_VARIABLE} holds)",
    )
    parser.add_argument(
        "--since",
        metavar="DURATION",
        type=typed(SPAN),
        help="how the answers changed in this time, such as 6h, instead of why the last one is what it is",
    )
    parser.add_argument("--json", action="store_true", help="print the server's answer for machines")
    parser.epilog = (
        "From outside of the cluster, let kubectl lead to the server first:\n"
        f"  {_PORT_FORWARD}\n\n"
        "Exit codes: 0 explained, 1 not explained (standard error says why), 2 wrong arguments."
    )


def run(arguments: argparse.Namespace) -> int:
    """Asks, and shows the answer."""
    namespace, name = arguments.scaled_object
    path = f"/api/v1/triggers/{quote(namespace)}/{quote(name)}"
    if arguments.since is not None:
        return _run_log(arguments, path, since=show_duration(arguments.since))
    body, document = _ask(arguments, f"{path}/explain", _Document)
    if arguments.json:
        _print_json(body)
    else:
        show(Console(), document.triggers)
    return 0


def _run_log(arguments: argparse.Namespace, path: str, *, since: str) -> int:
    """Asks for the decision log, and shows it."""
    body, log = _ask(arguments, f"{path}/decisions?since={since}", _Log)
    if arguments.json:
        _print_json(body)
    elif log.decisions:
        show_log(Console(), log.decisions)
    else:
        print(
            f"The decision log has no change of {'/'.join(arguments.scaled_object)} within the last {since}: its "
            "answers stayed as they were, KEDA did not call for it, or the setting decision_log is 0."
        )
    return 0


def _print_json(body: bytes) -> None:
    print(json.dumps(json.loads(body), indent=2, ensure_ascii=False))


def _scaled_object(text: str) -> tuple[str, str]:
    match = _OBJECT.fullmatch(text)
    if match is None:
        raise argparse.ArgumentTypeError(
            f"{quoted(text)} is not NAMESPACE/NAME of a ScaledObject, such as shop/checkout"
        )
    return match[1], match[2]


def _ask(arguments: argparse.Namespace, path: str, kind: type[_T]) -> tuple[bytes, _T]:
    """The body of the server's answer, and what it says."""
    server: str = arguments.server
    shown = without_credentials(server)
    headers = _headers(arguments.token_file)
    tls = _tls(arguments.ca, arguments.cert) if server.startswith("https:") else True
    try:
        # the environment's proxies are for the world outside, not for a forwarded port
        reply = httpx.get(server.rstrip("/") + path, timeout=_TIMEOUT, trust_env=False, verify=tls, headers=headers)
    except (httpx.InvalidURL, httpx.UnsupportedProtocol):
        raise NotExplained(
            f"--server {quoted(shown)} is no address; write http://HOST:PORT, such as {_DEFAULT_SERVER}"
        ) from None
    except httpx.TimeoutException:
        raise NotExplained(
            f"{shown} gave no answer within {_TIMEOUT:g} s: is this the HTTP side of Foresail?"
        ) from None
    except (httpx.RemoteProtocolError, httpx.DecodingError):
        _not_ours(shown)
    except httpx.HTTPError as error:
        raise NotExplained(
            f"no server answers at {shown} ({_cause(error)}); if it runs in a cluster, run '{_PORT_FORWARD}' "
            "in another terminal, or give its address with --server"
        ) from None
    if reply.status_code != HTTPStatus.OK:
        _refused(shown, reply)
    try:
        return reply.content, msgspec.json.decode(reply.content, type=kind)
    except msgspec.ValidationError as error:
        raise NotExplained(
            f"{shown} answers in a form that this version does not know ({error}): "
            "use the 'foresail' of the server's version"
        ) from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        _not_ours(shown)


def _headers(token_file: str | None) -> dict[str, str]:
    """Who asks, by a token: never on the command line, where every process of the machine could read it."""
    try:
        token = Path(token_file).read_text("ascii") if token_file else os.environ.get(TOKEN_VARIABLE, "")
    except (OSError, UnicodeDecodeError):
        raise NotExplained(
            f"--token-file {quoted(token_file or '')}: the file must hold a token, and nothing else"
        ) from None
    if not (token.strip().isascii() and token.strip().isprintable()):
        raise NotExplained("the token must be printable ASCII characters, without line breaks between them")
    return {"Authorization": f"Bearer {token.strip()}"} if token.strip() else {}


def _tls(ca: str | None, cert: str | None) -> ssl.SSLContext:
    """Whom to trust and who we are."""
    context = ssl.create_default_context()
    for option, path in (("--ca", ca), ("--cert", cert)):
        try:
            if path is not None and option == "--ca":
                context = ssl.create_default_context(cafile=path)
            elif path is not None:
                context.load_cert_chain(path, password="")  # OpenSSL would ask the terminal for an encrypted key's
        except (OSError, ValueError) as error:
            why = error.strerror if type(error) is FileNotFoundError else ""
            holds = "a certificate and its unencrypted key" if option == "--cert" else "certificates"
            raise NotExplained(
                f"{option} {quoted(path or '')}: {why or f'the file must hold {holds} in PEM'}"
            ) from None
    return context


def _refused(shown: str, reply: httpx.Response) -> NoReturn:
    """Gives the server's own text if it is Foresail's."""
    try:
        said = msgspec.json.decode(reply.content, type=_Refusal).error
    except (msgspec.DecodeError, UnicodeDecodeError):
        _not_ours(shown)
    raise NotExplained(f"{shown} says: {said}")


def _not_ours(shown: str) -> NoReturn:
    raise NotExplained(
        f"what answers at {shown} is not Foresail: --server takes the address of its HTTP side, port 8080 by default "
        "(6000 is for KEDA alone)"
    )


def _cause(error: httpx.HTTPError) -> str:
    """What the operating system said, below the layers that wrapped it."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"certificate verify failed: {cause.verify_message}"
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror.lower()
        cause = cause.__cause__ or cause.__context__
    return str(error) or type(error).__name__

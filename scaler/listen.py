"""Whether an address can be listened on: tried out, as gRPC gives no reasons and takes the half that is free."""

from __future__ import annotations

import socket

__all__ = ["listen_error"]


def listen_error(address: str) -> OSError | None:
    """Why nobody can listen there now; None if one can.

    Args:
        address: HOST:PORT, an IPv6 host in brackets.
    """
    host, _, port = address.rpartition(":")
    try:
        found = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, kind, protocol, _, where in found:
            with socket.socket(family, kind, protocol) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(where)
                probe.listen()
    except OSError as error:
        return error
    return None

"""Runs the dashboard on gunicorn: one process with threads, because sessions and what was read live in its memory."""

import contextlib
import logging
import os
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gunicorn.app.base import BaseApplication

from hpo.dashboard.wire import App
from hpo.errors import UsageError

THREADS = 8
BACKLOG = 128
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Place:
    """Where to listen.

    Attributes:
        port: 0 takes a free one.
        certificate, key: files for TLS; both or none.
        proxy: address of a proxy that is believed; empty for none.
    """

    host: str
    port: int
    certificate: Path | None = None
    key: Path | None = None
    proxy: str = ""

    def address(self, listener: socket.socket) -> str:
        """What to type into a browser."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http{'' if self.certificate is None else 's'}://{host}:{listener.getsockname()[1]}/"


def check_certificate(place: Place) -> None:
    """Tries the files for TLS.

    Raises:
        UsageError: they cannot be read, or do not belong together.
    """
    if place.certificate is None:
        return
    try:
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(place.certificate, place.key)
    except OSError as error:  # ssl.SSLError is one
        reason = error.strerror or str(error)
        raise UsageError(f"--certfile: cannot use {place.certificate} with {place.key}: {reason}") from error


def listen(place: Place) -> socket.socket:
    """A socket at that place.

    Raises:
        UsageError: nothing can listen there.
    """
    with contextlib.ExitStack() as stack:
        try:
            found = socket.getaddrinfo(place.host, place.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
            family, kind, protocol, _, address = found[0]
            listener = stack.enter_context(socket.socket(family, kind, protocol))
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            # Head and body of an answer are sent one after the other: on a connection that was kept the second would
            # wait 40 ms for the other end's leave. What is accepted inherits this.
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            listener.bind(address)
            listener.listen(BACKLOG)
        except OSError as error:
            where, reason = f"{place.host} port {place.port}", error.strerror or str(error)
            raise UsageError(f"cannot listen at {where}: {reason}; --port takes another one") from error
        stack.pop_all()  # it stays open
    return listener


def run(place: Place, listener: socket.socket, make: Callable[[], App]) -> None:
    """Serves until SIGTERM or Ctrl-C, and ends the process.

    Args:
        place: where.
        listener: what listens there already; from here on it is the server's.
        make: makes the application, in the process that serves.
    """
    listener.set_inheritable(True)
    _Server(make, _options(place, listener)).run()


def _options(place: Place, listener: socket.socket) -> dict[str, Any]:
    address = place.address(listener)
    return {
        "bind": f"fd://{listener.detach()}",
        "worker_class": "gthread",
        "workers": 1,
        "threads": THREADS,
        "timeout": 120,  # seconds without a sign of life of the process, not of one request
        "graceful_timeout": 5,
        "keepalive": 30,
        "limit_request_line": 4094,
        "limit_request_fields": 64,
        "limit_request_field_size": 8190,
        "forwarded_allow_ips": place.proxy,
        "loglevel": "warning",
        "control_socket_disable": True,
        "certfile": None if place.certificate is None else str(place.certificate),
        "keyfile": None if place.key is None else str(place.key),
        "when_ready": lambda _: log.info("the dashboard is at %s; Ctrl-C ends it", address),
        "proc_name": f"hpo dashboard {os.getpid()}",
    }


class _Server(BaseApplication):  # type: ignore[misc] # gunicorn has no types
    def __init__(self, make: Callable[[], App], options: dict[str, Any]) -> None:
        self._make = make
        self._options = options
        super().__init__()

    def load_config(self) -> None:
        for name, value in self._options.items():
            self.cfg.set(name, value)

    def load(self) -> App:
        return self._make()

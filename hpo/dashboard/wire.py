"""Requests and answers of WSGI as values; knows nothing of users and studies."""

import io
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
App = Callable[[Environ, StartResponse], Iterable[bytes]]

SAFE = frozenset({"GET", "HEAD"})
HTML = "text/html; charset=utf-8"
JSON = "application/json"


class Refused(Exception):
    """A request that is not granted.

    Args:
        status: of the answer.
        reason: what was wrong and what to do; it is shown.
        headers: that the answer has besides.
    """

    def __init__(self, status: int, reason: str, headers: tuple[tuple[str, str], ...] = ()) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.headers = headers


@dataclass(frozen=True)
class Answer:
    """What goes back.

    Attributes:
        body: in pieces; a WSGI server closes it if it can be closed.
        headers: without those that every answer has.
    """

    status: int
    body: Iterable[bytes] = ()
    headers: tuple[tuple[str, str], ...] = ()

    @property
    def line(self) -> str:
        """Status code and phrase."""
        return f"{self.status} {HTTPStatus(self.status).phrase}"

    def header(self, name: str) -> str:
        """A header's value; empty where there is none."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), "")


def text(status: int, content: str, kind: str = HTML, headers: tuple[tuple[str, str], ...] = ()) -> Answer:
    """An answer that holds a text."""
    return raw(status, content.encode(), kind, headers)


def raw(status: int, content: bytes, kind: str, headers: tuple[tuple[str, str], ...] = ()) -> Answer:
    """An answer that holds bytes of some content type."""
    size = ("Content-Length", str(len(content)))
    return Answer(status, (content,), (("Content-Type", kind), size, *headers))


def as_json(status: int, value: Any) -> Answer:
    """An answer that holds JSON."""
    return text(status, json.dumps(value), JSON)


def redirect(place: str, headers: tuple[tuple[str, str], ...] = ()) -> Answer:
    """To another page of ours, by GET."""
    return Answer(303, (), (("Location", place), ("Content-Length", "0"), *headers))


@dataclass(frozen=True)
class Request:
    """A request.

    Attributes:
        environ: as the server gave it; its body is read once, by `limits.body`.
        peer: address that it came from, behind a trusted proxy the client's.
        secure: it came by TLS, if only as far as that proxy.
    """

    environ: Environ
    peer: str
    secure: bool

    @property
    def method(self) -> str:
        """In capitals."""
        return str(self.environ["REQUEST_METHOD"])

    @property
    def path(self) -> str:
        """Decoded once, as WSGI has it."""
        return str(self.environ.get("PATH_INFO") or "/")

    @property
    def safe(self) -> bool:
        """Whether it only looks."""
        return self.method in SAFE

    @property
    def wants_json(self) -> bool:
        """Whether a script asks, and not a person."""
        return self.path.startswith(("/api/", "/csv/", "/artifacts/"))

    def header(self, name: str) -> str:
        """A header's value; empty where there is none."""
        key = name.upper().replace("-", "_")
        return str(self.environ.get(key if key == "CONTENT_TYPE" else f"HTTP_{key}", ""))

    @cached_property
    def cookies(self) -> Mapping[str, str]:
        """Name -> value, as it was sent: ours need no quotes, and other programs of this host set what they like.

        Of one name that comes twice the first counts: browsers send what was set for the nearest path first.
        """
        found: dict[str, str] = {}
        for pair in self.header("Cookie").split(";"):
            name, _, value = pair.partition("=")
            found.setdefault(name.strip(), value.strip())
        return found

    @cached_property
    def query(self) -> Mapping[str, str]:
        """Name -> its first value."""
        return _first(str(self.environ.get("QUERY_STRING", "")))

    def form(self, body: bytes) -> Mapping[str, str]:
        """Name -> its first value, of a form that was posted."""
        return _first(body.decode("utf-8", errors="replace"))

    def holding(self, body: bytes) -> "Request":
        """The same request with this body."""
        environ = self.environ | {"wsgi.input": io.BytesIO(body), "CONTENT_LENGTH": str(len(body))}
        for name in ("HTTP_TRANSFER_ENCODING", "wsgi.input_terminated"):
            environ.pop(name, None)
        return replace(self, environ=environ)


def _first(encoded: str) -> dict[str, str]:
    try:
        return {name: values[0] for name, values in parse_qs(encoded, max_num_fields=20).items()}
    except ValueError as error:
        raise Refused(400, "the request has too many fields") from error


def call(app: App, environ: Environ) -> Answer:
    """What another WSGI application answers."""
    found: list[tuple[str, list[tuple[str, str]]]] = []

    def start_response(status: str, headers: list[tuple[str, str]], _: object = None) -> Callable[[bytes], None]:
        found[:] = [(status, headers)]
        return lambda _: None

    body = app(environ, start_response)
    status, headers = found[0]
    return Answer(int(status.split()[0]), body, tuple(headers))


def whole(answer: Answer) -> bytes:
    """An answer's body in one piece."""
    try:
        return b"".join(answer.body)
    finally:
        close = getattr(answer.body, "close", None)
        if close is not None:
            close()

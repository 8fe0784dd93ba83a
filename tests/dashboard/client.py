"""A browser without a screen: calls a WSGI application in this process, keeps its cookies, and checks its manners."""

import io
import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import unquote_to_bytes, urlencode
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

App = Callable[..., Iterable[bytes]]
FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True)
class Reply:
    """What came back."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str:
        """A header's value; empty where there is none."""
        return ", ".join(value for key, value in self.headers if key.lower() == name.lower())

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode()

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


@dataclass
class Client:
    """Somebody who asks.

    Attributes:
        csrf: what pages of ours know; sent with every change, unless headers say otherwise.
    """

    app: App
    host: str = "127.0.0.1:8080"
    peer: str = "127.0.0.1"
    scheme: str = "http"
    cookies: dict[str, str] = field(default_factory=dict)
    csrf: str = ""

    def ask(
        self,
        method: str,
        path: str,
        body: bytes | str | dict[str, Any] = b"",
        headers: dict[str, str] | None = None,
        **environ: Any,
    ) -> Reply:
        """One request; a mapping is sent as JSON. Headers may be given as "": then they are not sent."""
        place, _, query = path.partition("?")
        kind = "application/json" if isinstance(body, dict) else "text/plain"
        content = (
            json.dumps(body).encode() if isinstance(body, dict) else body.encode() if isinstance(body, str) else body
        )
        sent = {"Host": self.host, "Content-Type": kind, "X-CSRF-Token": self.csrf, **(headers or {})}
        if self.cookies:
            sent.setdefault("Cookie", "; ".join(f"{name}={value}" for name, value in self.cookies.items()))
        given: dict[str, Any] = {
            "REQUEST_METHOD": method,
            "PATH_INFO": unquote_to_bytes(place).decode("latin-1"),
            "SCRIPT_NAME": "",
            "QUERY_STRING": query,
            "REMOTE_ADDR": self.peer,
            "wsgi.url_scheme": self.scheme,
            "wsgi.input": io.BytesIO(content),
            "CONTENT_LENGTH": str(len(content)),
        }
        for name, value in sent.items():
            key = name.upper().replace("-", "_")
            if value:
                given[key if key == "CONTENT_TYPE" else f"HTTP_{key}"] = value
        setup_testing_defaults(given)
        given |= environ
        return self._call({name: value for name, value in given.items() if value is not None})

    def _call(self, environ: dict[str, Any]) -> Reply:
        found: list[Any] = []

        def start_response(status: str, headers: list[tuple[str, str]], _: object = None) -> Callable[[bytes], None]:
            found[:] = [status, headers]
            return lambda _: None

        pieces = self.app(environ, start_response)
        try:
            body = b"".join(pieces)
        finally:
            getattr(pieces, "close", lambda: None)()
        for name, value in found[1]:
            if name.lower() == "set-cookie":
                for key, morsel in SimpleCookie(value).items():
                    self.cookies[key] = morsel.value
                    if morsel["max-age"] == "0":
                        del self.cookies[key]
        return Reply(int(found[0].split()[0]), found[1], body)

    def get(self, path: str, **headers: str) -> Reply:
        """Looks."""
        return self.ask("GET", path, headers=headers)

    def submit(self, path: str, fields: dict[str, str], headers: dict[str, str] | None = None) -> Reply:
        """Sends a form."""
        return self.ask("POST", path, urlencode(fields), {"Content-Type": FORM, "X-CSRF-Token": "", **(headers or {})})

    def log_in(self, user: str, password: str, place: str = "", **headers: str) -> Reply:
        """Fills in the login form and, if that was right, loads the page behind it."""
        form = self.get(f"/login?next={place}" if place else "/login", **headers)
        token = re.search(r'name="csrf" value="([^"]*)"', form.text)
        wanted = re.search(r'name="next" value="([^"]*)"', form.text)
        assert token is not None
        assert wanted is not None
        fields = {"csrf": token[1], "next": wanted[1], "user": user, "password": password}
        reply = self.submit("/login", fields, headers)
        if reply.status == 303:
            self.read_page(**headers)
        return reply

    def read_page(self, **headers: str) -> Reply:
        """Loads the page of the front-end, which holds what shows that a change comes from it."""
        page = self.get("/dashboard", **headers)
        found = re.search(r'name="csrf-token" content="([^"]*)"', page.text)
        self.csrf = found[1] if found else ""
        return page


def well_mannered(app: App) -> App:
    """The application, watched by Python's own checker of WSGI's rules."""
    return validator(app)

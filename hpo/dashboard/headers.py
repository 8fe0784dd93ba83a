"""What browsers are told with every answer, and which names of this machine are accepted."""

import base64
import hashlib
import ipaddress
import re
import socket
from collections.abc import Iterable
from functools import cache

from hpo.dashboard.wire import Answer, Refused, Request

# The bundled front-end sets styles in scripts, makes pictures of plots and, for parallel coordinates (WebGL), functions
# from text: 'unsafe-inline' for styles, data: and blob: for pictures and 'unsafe-eval' are for these, and nothing more.
PAGE = (
    "default-src 'none'; script-src 'self' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:"
    "; font-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
# Pictures and files: whatever they hold, nothing of it runs and nothing is loaded.
FILE = "default-src 'none'; style-src 'unsafe-inline'; sandbox; frame-ancestors 'none'"
NOTHING = "default-src 'none'; frame-ancestors 'none'"
_ALWAYS = (
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Referrer-Policy", "same-origin"),  # with no-referrer, browsers hide where our own forms come from
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Permissions-Policy", "camera=(), geolocation=(), microphone=()"),
)
_OURS = {"content-security-policy", "access-control-allow-origin", *(name.lower() for name, _ in _ALWAYS)}


@cache
def own_page(style: str) -> str:
    """The policy of a page of ours, which has no script and this one style sheet."""
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return (
        f"default-src 'none'; style-src 'sha256-{digest}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )


def secured(answer: Answer, request: Request) -> list[tuple[str, str]]:
    """All headers of an answer. Without a content security policy of its own it gets the strictest one."""
    policy = answer.header("Content-Security-Policy") or NOTHING
    headers = [(name, value) for name, value in answer.headers if name.lower() not in _OURS]
    headers += [*_ALWAYS, ("Content-Security-Policy", policy)]
    if not answer.header("Cache-Control"):
        headers.append(("Cache-Control", "no-store"))  # nothing is left to see after log-out
    if request.secure:
        headers.append(("Strict-Transport-Security", "max-age=31536000"))
    return headers


def loopback(host: str) -> bool:
    """Whether an address can be reached from this machine alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Hosts:
    """The names by which this dashboard may be called: another one is a page that pretends to be us (DNS rebinding).

    Args:
        bound: the address that it listens at. Where that is every address, any address in numbers is ours as well: a
            forged name needs a name.
        others: further names, for example of the proxy in front.
    """

    def __init__(self, bound: str, others: Iterable[str] = ()) -> None:
        self._every = bound in ("0.0.0.0", "::", "")  # noqa: S104 - compared, not bound
        self._names = {name.lower().rstrip(".") for name in others}
        if loopback(bound):
            self._names |= {"localhost", "127.0.0.1", "::1"}
        if not self._every:
            self._names.add(bound.lower())
        else:
            self._names |= {"localhost", socket.gethostname().lower()}

    @property
    def names(self) -> list[str]:
        """All of them, for people."""
        return [*sorted(self._names), *(["any address in numbers"] if self._every else [])]

    def check(self, request: Request) -> None:
        """Whether a request was meant for us.

        Raises:
            Refused: it names another host, or comes from a page of another site.
        """
        name = _name(request.header("Host"))
        if name is None or not (name in self._names or (self._every and _numeric(name))):
            raise Refused(403, "this name is not one of this dashboard's; --allow-host NAME makes it one")

    @staticmethod
    def same_origin(request: Request) -> bool:
        """Whether a request comes from a page of ours, as far as the browser says."""
        origin, site = request.header("Origin"), request.header("Sec-Fetch-Site")
        if site and site not in ("same-origin", "none"):
            return False
        scheme = "https" if request.secure else "http"
        return not origin or origin == f"{scheme}://{request.header('Host')}"


def _name(host: str) -> str | None:
    """The name in a Host header, without its port; None if it is none."""
    found = re.fullmatch(r"(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+))(?::\d{1,5})?", host, re.ASCII)
    return None if found is None else (found[1] or found[2]).lower().rstrip(".")


def _numeric(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True

"""The door: every request passes here, is looked at in this order, and is refused at the first thing that is wrong."""

import hmac
import logging
import re
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from hpo.dashboard import limits, pages, policy
from hpo.dashboard.accounts import TOKEN, Accounts, Role
from hpo.dashboard.audit import Audit
from hpo.dashboard.headers import Hosts, secured
from hpo.dashboard.house import House
from hpo.dashboard.limits import Throttle
from hpo.dashboard.sessions import Session, Sessions
from hpo.dashboard.wire import Answer, Environ, Refused, Request, StartResponse, as_json, redirect, text
from hpo.errors import HpoError, reason
from hpo.store import OUTAGE, is_outage

_FORM_COOKIE = "hpo_form"
_PLACE = re.compile(r"/dashboard(/[A-Za-z0-9/_-]*)?", re.ASCII)  # where a login may lead
AWAY = "the database cannot be reached at the moment; try again in a little while"
BROKEN = "something went wrong here that should not have; the log of this dashboard says what"
_NEVER = re.compile(r"[\x00-\x1f\x7f%\\]|//|(^|/)\.\.?(/|$)")  # in a path that was decoded once

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Door:
    """Everything that decides on who comes in.

    Attributes:
        accounts: who there is; without any, everybody has the role `anonymous`.
        proxy: address of the one proxy that is believed when it says whom it speaks for; empty for none.
    """

    hosts: Hosts
    accounts: Accounts
    sessions: Sessions
    audit: Audit
    anonymous: Role = "viewer"
    throttle: Throttle = field(default_factory=Throttle)
    proxy: str = ""


@dataclass
class _Visit:
    """What is known of who asks, for the audit.

    Attributes:
        session: None for whoever showed the token.
    """

    user: str = ""
    role: Role | None = None
    session: Session | None = None
    what: str = "refused"


class Gate:
    """The WSGI application.

    Args:
        door: who comes in.
        house: what there is to see.
    """

    def __init__(self, door: Door, house: House) -> None:
        self._door = door
        self._house = house
        self._nobody = Session(None, secrets.token_urlsafe(32))
        self._actions: dict[policy.Action, Callable[[Request, _Visit, bytes], Answer]] = {
            "login page": self._login_page,
            "login": self._login,
            "logout": self._logout,
            "script": lambda *_: text(200, pages.SCRIPT, "text/javascript; charset=utf-8"),
            "page": self._page,
            "look": lambda request, *_: house.look(request),
            "meta": lambda request, *_: house.meta(request),
            "studies": lambda *_: house.studies(),
            "study": lambda request, *_: house.study(request),
            "picture": lambda request, *_: house.picture(request),
            "file": lambda request, *_: house.file(request),
            "note": lambda request, _, body: house.note(request, body),
            "attributes": lambda request, _, body: house.attributes(request, body),
        }

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answers a request."""
        request, visit = self._request(environ), _Visit()
        try:
            answer = self._answer(request, visit)
        except Refused as refusal:
            visit.what = f"{visit.what}: {refusal.reason}"
            answer = _refusal(request, refusal)
        except OUTAGE as error:
            answer = _away(request, error)
        except HpoError as error:  # perhaps a study has just gone
            answer = _away(request, error) if is_outage(error) else _refusal(request, Refused(503, str(error)))
        except Exception:  # the last door: no answer leaves without our headers and its line of the audit
            log.exception("%s %r failed", request.method, request.path)
            answer = _refusal(request, Refused(500, BROKEN))
        if not request.safe:
            self._door.audit.write(request, visit.user, visit.what, answer.status)
        start_response(answer.line, secured(answer, request))
        return answer.body

    def _request(self, environ: Environ) -> Request:
        """The request, with whom the trusted proxy speaks for."""
        peer = str(environ.get("REMOTE_ADDR", ""))
        secure = environ.get("wsgi.url_scheme") == "https"
        if self._door.proxy and peer == self._door.proxy:
            peer = str(environ.get("HTTP_X_FORWARDED_FOR", "")).rpartition(",")[2].strip() or peer
            secure = secure or environ.get("HTTP_X_FORWARDED_PROTO") == "https"
        environ.setdefault("HTTP_ACCEPT_ENCODING", "identity")  # without it, the bundled front-end's files fail
        return Request(environ, peer, secure)

    def _answer(self, request: Request, visit: _Visit) -> Answer:
        door = self._door
        door.hosts.check(request)
        if _NEVER.search(request.path):
            raise Refused(400, "there is no such address")
        door.throttle.request(request.peer)
        self._recognise(request, visit)
        if request.path != "/login" and visit.role is None:
            raise Refused(401, "log in first", (("WWW-Authenticate", "Bearer"),))
        route = policy.route(request)
        visit.what = route.action
        body = b"" if request.safe else limits.body(request)
        if not request.safe and route.action != "login":
            self._refuse_forged(request, visit, body)
        if route.who == "editor" and visit.role != "editor":
            raise Refused(403, "viewers look and change nothing; editors may write notes")
        return self._actions[route.action](request, visit, body)

    def _recognise(self, request: Request, visit: _Visit) -> None:
        """Who asks: by token, by the cookie of a session, or nobody yet."""
        door = self._door
        kind, _, token = request.header("Authorization").partition(" ")
        if kind.lower() == "bearer":
            visit.user = TOKEN
            if (bearer := door.accounts.check_token(token)) is None:
                door.throttle.try_login(request.peer, TOKEN)
            else:
                visit.role = bearer.role
        elif not door.accounts:
            visit.role, visit.session = door.anonymous, self._nobody
        elif (session := door.sessions.find(request.cookies.get(_cookie(request), ""))) and session.account:
            visit.user, visit.session = session.account.name, session
            if door.accounts.stands(session.account):
                visit.role = session.account.role

    def _refuse_forged(self, request: Request, visit: _Visit, body: bytes) -> None:
        """Whether a page of ours asks: a token in a header is nothing that a browser adds by itself, a cookie is."""
        if visit.session is None:
            return
        shown = request.header("X-CSRF-Token")
        if not shown and request.header("Content-Type").startswith("application/x-www-form-urlencoded"):
            shown = request.form(body).get("csrf", "")
        right = hmac.compare_digest(shown.encode(), visit.session.csrf.encode())
        if not right or not self._door.hosts.same_origin(request):
            raise Refused(403, "this did not come from a page of this dashboard; load the page again")

    def _page(self, request: Request, visit: _Visit, _: bytes) -> Answer:
        if request.path == "/":
            return redirect("/dashboard")
        csrf = "" if visit.session is None else visit.session.csrf
        return pages.dashboard(visit.user, str(visit.role), csrf)

    def _login_page(self, request: Request, visit: _Visit, _: bytes) -> Answer:
        place = _place(request.query.get("next", ""))
        return redirect(place) if visit.role is not None else self._form(request, place)

    def _form(
        self, request: Request, place: str, problem: str = "", status: int = 200, more: tuple[tuple[str, str], ...] = ()
    ) -> Answer:
        nonce = secrets.token_urlsafe(16)
        cookie = ("Set-Cookie", _set_cookie(_FORM_COOKIE, nonce, request, path="/login"))
        return pages.login(self._door.sessions.form_token(nonce), place, problem, status, (cookie, *more))

    def _login(self, request: Request, visit: _Visit, body: bytes) -> Answer:
        door, form = self._door, request.form(body)
        visit.user = name = form.get("user", "").strip()
        place = _place(form.get("next", ""))
        expected = door.sessions.form_token(request.cookies.get(_FORM_COOKIE, ""))
        known = request.cookies.get(_FORM_COOKIE) and hmac.compare_digest(
            form.get("csrf", "").encode(), expected.encode()
        )
        if not known or not door.hosts.same_origin(request):
            return self._form(request, place, "That form was too old. Please try again.", 403)
        try:
            door.throttle.try_login(request.peer, name)
        except Refused as refusal:
            return self._form(request, place, f"{refusal.reason.capitalize()}.", refusal.status, refusal.headers)
        if (account := door.accounts.check(name, form.get("password", ""))) is None:
            return self._form(request, place, "Name or password is not right.", 401)
        door.throttle.logged_in(request.peer, name)
        door.sessions.end(request.cookies.get(_cookie(request), ""))
        secret, _ = door.sessions.open(account)
        return redirect(place, (("Set-Cookie", _set_cookie(_cookie(request), secret, request)),))

    def _logout(self, request: Request, _: _Visit, __: bytes) -> Answer:
        self._door.sessions.end(request.cookies.get(_cookie(request), ""))
        gone = _set_cookie(_cookie(request), "", request) + "; Max-Age=0"
        return redirect("/login", (("Set-Cookie", gone), ("Clear-Site-Data", '"cache"')))


def _cookie(request: Request) -> str:
    """The session cookie's name; browsers take the longer one by TLS alone, and from this very host."""
    return "__Host-hpo" if request.secure else "hpo"


def _set_cookie(name: str, value: str, request: Request, *, path: str = "/") -> str:
    secure = "; Secure" if request.secure else ""
    return f"{name}={value}; Path={path}; HttpOnly; SameSite=Strict{secure}"


def _place(wanted: str) -> str:
    """A page of ours, whatever was wanted: a login never leads to another site."""
    return wanted if _PLACE.fullmatch(wanted) and "//" not in wanted else "/dashboard"


def _away(request: Request, error: Exception) -> Answer:
    log.warning("the database is away: %s", reason(error))
    return _refusal(request, Refused(503, AWAY))


def _refusal(request: Request, refusal: Refused) -> Answer:
    if refusal.status == 401 and request.safe and not request.wants_json and not request.header("Authorization"):
        place = request.path if _PLACE.fullmatch(request.path) else ""
        return redirect(f"/login?next={place}" if place else "/login")
    if request.wants_json:
        answer = as_json(refusal.status, {"reason": refusal.reason})
        return Answer(answer.status, answer.body, answer.headers + refusal.headers)
    return pages.refusal(refusal.status, refusal.reason, refusal.headers)

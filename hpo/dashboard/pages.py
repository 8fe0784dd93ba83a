"""Our own pages: the login, a refusal, and the frame around the bundled front-end."""

from functools import cache
from html import escape
from importlib.resources import files
from string import Template

from hpo.dashboard import headers
from hpo.dashboard.wire import Answer, text

_ASSETS = files("hpo.dashboard") / "assets"
STYLE = (_ASSETS / "page.css").read_text("utf-8")
SCRIPT = (_ASSETS / "session.js").read_text("utf-8")
_BAR_STYLE = (_ASSETS / "bar.css").read_text("utf-8")


def _page(status: int, title: str, body: str, more: tuple[tuple[str, str], ...] = ()) -> Answer:
    page = Template((_ASSETS / "page.html").read_text("utf-8"))
    policy = ("Content-Security-Policy", headers.own_page(STYLE))
    content = page.substitute(title=escape(title), style=STYLE, body=body)
    return text(status, content, headers=(policy, *more))


def login(
    token: str, place: str, problem: str = "", status: int = 200, more: tuple[tuple[str, str], ...] = ()
) -> Answer:
    """The login form.

    Args:
        token: what shows that the form is ours.
        place: where to go from there.
        problem: what was wrong with the last try.
    """
    said = f'<p class="problem" role="alert">{escape(problem)}</p>' if problem else ""
    form = Template((_ASSETS / "login.html").read_text("utf-8"))
    body = form.substitute(token=escape(token), place=escape(place), problem=said)
    return _page(status, "Log in", body, more)


def refusal(status: int, reason: str, more: tuple[tuple[str, str], ...] = ()) -> Answer:
    """Why something was not done."""
    title = "Not this way" if status < 500 else "Not now"
    body = f'<h1>{title}</h1><p>{escape(reason)}.</p><p><a href="/dashboard">All studies</a></p>'
    return _page(status, "Refused", body, more)


def dashboard(user: str, role: str, csrf: str) -> Answer:
    """The page of the bundled front-end, with our script before its own and a bar to log out."""
    who = f"<strong>{escape(user)}</strong> · " if user else ""
    leave = f'<input type="hidden" name="csrf" value="{escape(csrf)}"><button>Log out</button>' if user else ""
    bar = f'<form id="hpo-bar" data-role="{role}" method="post" action="/logout"><span>{who}{role}</span>{leave}</form>'
    page = _frontend().replace("$CSRF$", escape(csrf)).replace("$BAR$", bar)
    return text(200, page, headers=(("Content-Security-Policy", headers.PAGE),))


@cache
def _frontend() -> str:
    """The front-end's own page with places for what we add.

    Raises:
        ValueError: this version of Optuna Dashboard has another page.
    """
    page = (files("optuna_dashboard") / "index.html").read_text("utf-8")
    head = '<meta name="csrf-token" content="$CSRF$">'
    ours = f'{head}\n<style>{_BAR_STYLE}</style>\n<script src="/hpo/session.js"></script>\n'
    for place, more in (("<script defer", ours + "<script defer"), ("</body>", "$BAR$</body>")):
        if page.count(place) != 1:
            raise ValueError(f"the page of this Optuna Dashboard has {page.count(place)} times {place!r}")
        page = page.replace(place, more)
    return page.replace("<title>Optuna Dashboard</title>", "<title>hpo dashboard</title>")

"""What may be asked at all, and by whom: everything that is not in this table is refused."""

import re
from dataclasses import dataclass
from typing import Literal

from hpo.dashboard.wire import SAFE, Refused, Request

Action = Literal[
    "login page",
    "login",
    "logout",
    "script",
    "page",
    "look",
    "meta",
    "studies",
    "study",
    "picture",
    "file",
    "note",
    "attributes",
]
Who = Literal["anybody", "viewer", "editor"]

_STUDY = r"/api/studies/\d{1,9}"
_TRIAL = r"/api/trials/\d{1,9}"
_FILES = r"/artifacts/\d{1,9}"


@dataclass(frozen=True)
class Route:
    """A kind of request.

    Attributes:
        method: GET stands for HEAD too.
        path: all of it matches.
        who: an editor may what a viewer may.
    """

    method: str
    path: str
    action: Action
    who: Who = "viewer"


ROUTES = (
    Route("GET", r"/login", "login page", "anybody"),
    Route("POST", r"/login", "login", "anybody"),
    Route("POST", r"/logout", "logout", "anybody"),
    Route("GET", r"/hpo/session\.js", "script"),
    Route("GET", r"/|/dashboard(/[A-Za-z0-9/_-]*)?", "page"),
    Route("GET", r"/favicon\.ico|/static/[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)+", "look"),
    Route("GET", r"/api/meta", "meta"),
    Route("GET", r"/api/studies", "studies"),
    Route("GET", _STUDY, "study"),
    Route("GET", rf"{_STUDY}/param_importances|{_STUDY}/plot/[a-z_]+|/csv/\d{{1,9}}", "look"),
    Route("GET", r"/hpo/\d{1,9}/\d{1,9}/[a-z]+\.svg", "picture"),
    Route("GET", rf"{_FILES}/\d{{1,9}}/[0-9a-f]{{2,128}}", "file"),
    Route("PUT", rf"{_STUDY}(/\d{{1,9}})?/note", "note", "editor"),
    Route("POST", rf"{_TRIAL}/user-attrs", "attributes", "editor"),
)

_USE_THE_COMMAND = "workers may be at it, and would lose their study"
# What Optuna Dashboard can do and nobody may do here -> why, and how it is done instead.
FORBIDDEN = (
    ("POST", r"/api/studies", "a study is made from its study file: hpo launch STUDY.toml"),
    ("POST", rf"{_STUDY}/rename", f"a study keeps its name: {_USE_THE_COMMAND}"),
    ("DELETE", _STUDY, f"a study is not deleted here: {_USE_THE_COMMAND}. Use: hpo delete NAME"),
    ("POST", rf"{_TRIAL}/tell", "only the worker that trained a trial says how it ended"),
    ("POST", rf"{_STUDY}/\d+/skip", "hpo's studies are not judged by hand"),
    ("(POST|PUT|DELETE)", rf"{_STUDY}/preference.*", "hpo's studies are not judged by hand"),
    ("(POST|DELETE)", r"/api/artifacts/.*", "the files of a trial are those that its training wrote"),
    ("(GET|POST)", r"/incompatible-rdb-schema", "the database's tables are upgraded by: hpo migrate"),
    ("POST", r"/api/llm/.*", "no language model is asked here"),
)
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE"})
# Headers by which some frameworks let a POST be something else.
OVERRIDES = ("X-HTTP-Method", "X-HTTP-Method-Override", "X-Method-Override")


def route(request: Request) -> Route:
    """The kind of a request.

    Raises:
        Refused: it is none that anybody may make; the reason says what to do instead, where there is something.
    """
    if request.method not in METHODS:
        raise Refused(405, f"{request.method[:20]} is not known here", (("Allow", ", ".join(sorted(METHODS))),))
    if any(request.header(name) for name in OVERRIDES):
        raise Refused(400, "a request is what its method says; headers that override it are not accepted")
    method = "GET" if request.method in SAFE else request.method
    for one in ROUTES:
        if one.method == method and re.fullmatch(one.path, request.path, re.ASCII):
            return one
    for methods, path, why in FORBIDDEN:
        if re.fullmatch(methods, method) and re.fullmatch(path, request.path, re.ASCII):
            raise Refused(403, why)
    raise Refused(404, "there is nothing at this address")

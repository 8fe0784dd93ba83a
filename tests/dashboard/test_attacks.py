"""What attackers try: all of it is refused here and changes nothing.

Where Optuna Dashboard by itself lets it happen, the same request is seen to succeed there.
"""

import base64
import hashlib
import shutil
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from hpo.dashboard import accounts
from tests.dashboard.client import FORM, Client, Reply
from tests.dashboard.place import STUDY, TOKEN, USERS, Place, open_place

RUNNING_ID, ENDED_ID = 3, 1  # of trials
EVIL = "https://evil.example"
PAGE = b"<script>steal()</script>"
UPLOAD = {"file": f"data:text/html;base64,{base64.b64encode(PAGE).decode()}", "filename": "page.html"}
NOTE = {"version": 1, "body": "x"}
A_STUDY = f"/api/studies/{STUDY}"
NOTES, ATTRIBUTES = f"/api/studies/{STUDY}/note", f"/api/trials/{RUNNING_ID}/user-attrs"
FILES = f"/artifacts/{STUDY}/{ENDED_ID}"
OVERRIDE = {"X-HTTP-Method-Override": "DELETE"}
GZIP = {"Accept-Encoding": "gzip"}
FROM_EVIL = {"Origin": EVIL, "Content-Type": FORM}


@dataclass(frozen=True)
class Attack:
    """A request that must not do what it asks for.

    Attributes:
        who: is logged in with us; with Optuna Dashboard nobody has to be.
        refused: the status that we answer with.
        bare: it works with Optuna Dashboard alone.
        headers: "" leaves a header out.
    """

    name: str
    method: str
    path: str
    refused: int
    who: str | None = "anna"
    body: Any = b""
    headers: dict[str, str] = field(default_factory=dict)
    bare: bool = True

    def __str__(self) -> str:
        return self.name


ATTACKS = [
    Attack("studies without login", "GET", "/api/studies", 401, None),
    Attack("a study without login", "GET", A_STUDY, 401, None),
    Attack("the table of trials without login", "GET", f"/csv/{STUDY}", 401, None),
    Attack("the page without login", "GET", "/dashboard", 303, None),
    Attack("the front-end's files without login", "GET", "/static/bundle.js", 303, None, headers=GZIP),
    Attack("a note without login", "PUT", NOTES, 401, None, NOTE),
    Attack("a token in the address", "GET", f"/api/studies?token={TOKEN}", 401, None),
    Attack("a wrong token", "GET", "/api/studies", 401, None, headers={"Authorization": "Bearer wrong"}),
    Attack("a password as HTTP sends it", "GET", "/api/studies", 401, None, headers={"Authorization": "Basic YTpi"}),
    Attack("another host", "GET", "/api/studies", 403, headers={"Host": "evil.example"}),
    Attack("another host in numbers", "GET", "/api/studies", 403, headers={"Host": "192.0.2.7:8080"}),
    Attack("our name within another", "GET", "/api/studies", 403, headers={"Host": "127.0.0.1.evil.example"}),
    Attack("DNS rebinding", "DELETE", A_STUDY, 403, headers={"Host": "rebound.example", "Origin": "http://rebound.example"}),
    Attack("two names", "GET", "/api/studies", 403, headers={"Host": "127.0.0.1, evil.example"}),
    Attack("cross-site form", "POST", f"{A_STUDY}/rename", 403, body="study_name=x", headers=FROM_EVIL, bare=False),
    Attack("cross-site note", "PUT", NOTES, 403, body=NOTE, headers={"Origin": EVIL}),
    Attack("cross-site note, as browsers say", "PUT", NOTES, 403, body=NOTE, headers={"Sec-Fetch-Site": "cross-site"}),
    Attack("note from a hidden origin", "PUT", NOTES, 403, body=NOTE, headers={"Origin": "null"}),
    Attack("no CSRF token", "PUT", NOTES, 403, body=NOTE, headers={"X-CSRF-Token": ""}),
    Attack("a foreign CSRF token", "PUT", NOTES, 403, body=NOTE, headers={"X-CSRF-Token": "x" * 43}),
    Attack("a CSRF token beyond ASCII", "PUT", NOTES, 403, body=NOTE, headers={"X-CSRF-Token": "\xe4"}),
    Attack("viewer writes a note", "PUT", NOTES, 403, "vera", NOTE),
    Attack("viewer writes a trial's note", "PUT", f"/api/studies/{STUDY}/{ENDED_ID}/note", 403, "vera", NOTE),
    Attack("viewer sets attributes", "POST", ATTRIBUTES, 403, "vera", {"user_attrs": {"a": 1}}),
    Attack("create a study", "POST", "/api/studies", 403, body={"study_name": "x", "directions": ["maximize"]}),
    Attack("rename", "POST", f"/api/studies/{STUDY}/rename", 403, body={"study_name": "x"}),
    Attack("delete", "DELETE", A_STUDY, 403, body={}),
    Attack("tell a result", "POST", f"/api/trials/{RUNNING_ID}/tell", 403, body={"state": "Complete", "values": [1.0]}),
    Attack("upgrade the tables", "POST", "/incompatible-rdb-schema", 403, headers={"Content-Type": FORM}),
    Attack("cross-site upgrade of the tables", "POST", "/incompatible-rdb-schema", 401, None, headers=FROM_EVIL),
    Attack("upload to a trial", "POST", f"/api/artifacts/{STUDY}/{RUNNING_ID}", 403, body=UPLOAD),
    Attack("upload to a study", "POST", f"/api/artifacts/{STUDY}", 403, body=UPLOAD),
    Attack("delete a file", "DELETE", f"/api/artifacts/{STUDY}/{ENDED_ID}/00", 403, bare=False),
    Attack("prefer", "POST", f"{A_STUDY}/preference", 403, body={"mode": "ChooseWorst", "clicked": 0}, bare=False),
    Attack("set how to prefer", "PUT", f"{A_STUDY}/preference_feedback_component", 403, body={"output_type": "note"}),
    Attack("skip a trial", "POST", f"/api/studies/{STUDY}/{RUNNING_ID}/skip", 403, body={}, bare=False),
    Attack("ask a language model", "POST", "/api/llm/trial_filter_query", 403, body={"user_query": "x"}, bare=False),
    Attack("an attribute that workers read", "POST", ATTRIBUTES, 403, body={"user_attrs": {"given": {}}}),
    Attack("an attribute of Optuna's", "POST", ATTRIBUTES, 403, body={"user_attrs": {"hpo:x": 1}}),
    Attack("a huge attribute", "POST", ATTRIBUTES, 400, body={"user_attrs": {"a": "x" * 3000}}, bare=False),
    Attack("a huge note", "PUT", NOTES, 413, body={"version": 1, "body": "x" * 60_000}),
    Attack("a body without measure", "PUT", NOTES, 413, body={"version": 1, "body": "x" * 300_000}),
    Attack("a body that is no JSON", "PUT", NOTES, 400, body="{" * 1000, bare=False),
    Attack("a body of deep lists", "PUT", NOTES, 400, body="[" * 200_000, bare=False),
    Attack("a note that is none", "PUT", NOTES, 400, body={"version": True, "body": ["x"]}, bare=False),
    Attack("another method by header", "POST", NOTES, 400, body=NOTE, headers=OVERRIDE, bare=False),
    Attack("another method by the other header", "GET", A_STUDY, 400, headers={"X-HTTP-Method": "DELETE"}),
    Attack("an unknown method", "PATCH", A_STUDY, 405, bare=False),
    Attack("TRACE", "TRACE", "/dashboard", 405, bare=False),
    Attack("a file above the folder", "GET", f"{FILES}/../../../hpo.db", 400, bare=False),
    Attack("the same, encoded", "GET", "/static/%2e%2e/index.html", 400, bare=False),
    Attack("the same, encoded twice", "GET", "/static/%252e%252e/index.html", 400, bare=False),
    Attack("a back slash", "GET", "/static/..%5cindex.html", 400, bare=False),
    Attack("a NUL", "GET", "/api/studies%00.js", 400, bare=False),
    Attack("a line break in the path", "GET", "/dashboard%0d%0aSet-Cookie:%20a=b", 400, bare=False),
    Attack("a file by a key that leads out", "GET", f"{FILES}/{b'../../users'.hex()}", 404, bare=False),
    Attack("a file of another study's trial", "GET", f"/artifacts/2/{ENDED_ID}/{b'log.txt'.hex()}", 404, bare=False),
    Attack("a trial's number without end", "GET", f"/hpo/{STUDY}/{'9' * 30}/curves.svg", 404, bare=False),
    Attack("digits of another script", "GET", "/api/studies/%D9%A1", 404, bare=False),
]  # fmt: skip


Attacked = tuple[Place, dict[str | None, Client]]


@pytest.fixture(scope="module")
def door(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Attacked]:
    """One dashboard for all of the table, for nothing of it changes anything; and who stands before it."""
    folder = tmp_path_factory.mktemp("attacked") / "place"
    shutil.copytree(made, folder)
    place = open_place(folder)
    yield place, {who: place.client(who) for who in (None, "anna", "vera")}
    place.house.close()


@pytest.mark.parametrize("attack", ATTACKS, ids=str)
def test_refused(door: Attacked, request: pytest.FixtureRequest, attack: Attack) -> None:
    """With us: the status that says no, a reason, and a database that is as before. Bare: it works."""
    place, clients = door
    before = contents(place.folder)
    reply = clients[attack.who].ask(attack.method, attack.path, attack.body, attack.headers)
    assert reply.status == attack.refused, reply.text
    assert reply.body or attack.refused == 303
    assert b"Traceback" not in reply.body
    assert contents(place.folder) == before
    if attack.bare:
        assert (
            request.getfixturevalue("optuna").ask(attack.method, attack.path, attack.body, attack.headers).status < 400
        )


def contents(folder: Path) -> str:
    """A hash of everything that stands in the database."""
    connection = sqlite3.connect(folder / "hpo.db")
    try:
        return hashlib.sha256("\n".join(connection.iterdump()).encode()).hexdigest()
    finally:
        connection.close()


def test_there_are_enough() -> None:
    """At least 25 attacks of the table work on Optuna Dashboard alone."""
    assert sum(attack.bare for attack in ATTACKS) >= 25


def test_every_refusal_says_what_to_do(place: Place) -> None:
    """What Optuna Dashboard offers and nobody may do here is refused with the command that does it instead."""
    client = place.client("anna")
    for method, path, words in (
        ("POST", "/api/studies", "hpo launch"),
        ("DELETE", A_STUDY, "hpo delete"),
        ("POST", "/api/trials/3/tell", "worker"),
        ("GET", "/incompatible-rdb-schema", "hpo migrate"),
    ):
        assert words in client.ask(method, path, {}).text


@pytest.mark.parametrize("name", ["page.html", "picture.svg", "script.js"])
def test_a_file_runs_nothing(place: Place, optuna: Client, name: str) -> None:
    """HTML, SVG and scripts among a trial's files are bytes to keep, in a sandbox; bare, they are pages of its own."""
    (place.folder / "artifacts" / "s" / "0" / name).write_bytes(PAGE)
    reply = place.client("vera").get(f"/artifacts/{STUDY}/{ENDED_ID}/{name.encode().hex()}")
    assert reply.status == 200
    assert reply.header("Content-Type") == "application/octet-stream"
    assert reply.header("Content-Disposition") == f'attachment; filename="{name}"'
    assert "sandbox" in reply.header("Content-Security-Policy")
    assert reply.header("X-Content-Type-Options") == "nosniff"
    assert reply.header("Access-Control-Allow-Origin") == ""
    uploaded = optuna.ask("POST", f"/api/artifacts/{STUDY}/{RUNNING_ID}", UPLOAD | {"filename": name}).json
    bare = optuna.get(f"/artifacts/{STUDY}/{RUNNING_ID}/{uploaded['artifact_id']}")
    assert bare.body == PAGE
    assert bare.header("Content-Type") in ("text/html", "image/svg+xml", "text/javascript")
    assert bare.header("Content-Disposition") == bare.header("Content-Security-Policy") == ""
    assert bare.header("Access-Control-Allow-Origin") == "*"


def test_no_frame_no_cache_no_sniffing(place: Place, optuna: Client) -> None:
    """Every answer forbids frames and guessing, and none but the front-end's own files stays in a cache."""
    client = place.client("vera")
    for path in (
        "/login",
        "/dashboard",
        "/api/studies",
        f"/csv/{STUDY}",
        f"/hpo/{STUDY}/0/curves.svg",
        "/nothing",
        "/favicon.ico",
    ):
        reply = client.get(path)
        assert "frame-ancestors 'none'" in reply.header("Content-Security-Policy")
        assert reply.header("X-Frame-Options") == "DENY"
        assert reply.header("X-Content-Type-Options") == "nosniff"
        assert reply.header("Referrer-Policy") == "same-origin"
        assert reply.header("Cache-Control") == "no-store"
    assert client.get("/static/bundle.js").header("Cache-Control") == "private, no-cache"
    bare = optuna.get("/dashboard")
    assert "frame-ancestors" not in bare.header("Content-Security-Policy")
    assert bare.header("X-Frame-Options") == ""


def test_cookies_are_hidden(place: Place) -> None:
    """From scripts, from other sites, and by TLS from everything unencrypted."""
    client = Client(place.gate)
    cookie = client.log_in("vera", USERS["vera"]).header("Set-Cookie")
    assert cookie.startswith("hpo=")
    assert cookie.endswith("; Path=/; HttpOnly; SameSite=Strict")
    encrypted = Client(place.gate, scheme="https")
    reply = encrypted.log_in("vera", USERS["vera"])
    assert reply.header("Set-Cookie").startswith("__Host-hpo=")
    assert reply.header("Set-Cookie").endswith("; Path=/; HttpOnly; SameSite=Strict; Secure")
    assert reply.header("Strict-Transport-Security")


def test_a_session_cannot_be_fixed(place: Place) -> None:
    """A cookie that somebody was given before the login is worth nothing after it."""
    attacker, victim = Client(place.gate), Client(place.gate)
    victim.cookies["hpo"] = attacker.cookies["hpo"] = "chosen-by-the-attacker"
    assert victim.log_in("anna", USERS["anna"]).status == 303
    assert victim.cookies["hpo"] != "chosen-by-the-attacker"
    assert attacker.get("/api/studies").status == 401


def test_a_stolen_cookie_ends_with_the_session(place: Place) -> None:
    """After log-out, after a second login in the same browser, after its time, and once its user is gone."""
    client = place.client("anna")
    thief = Client(place.gate, cookies=dict(client.cookies))
    assert thief.get("/api/studies").status == 200
    reply = client.submit("/logout", {"csrf": client.csrf})
    assert reply.header("Clear-Site-Data") == '"cache"', reply.text
    assert thief.get("/api/studies").status == client.get("/api/studies").status == 401
    client = place.client("anna")
    thief = Client(place.gate, cookies=dict(client.cookies))
    client.submit("/logout", {"csrf": client.csrf})
    client.log_in("anna", USERS["anna"])
    assert thief.get("/api/studies").status == 401
    thief = Client(place.gate, cookies=dict(client.cookies))
    place.clock.now += 3601.0
    assert thief.get("/api/studies").status == client.get("/api/studies").status == 401
    client.log_in("anna", USERS["anna"])
    assert client.get("/api/studies").status == 200
    file = place.folder / "users"
    file.write_text("".join(line for line in file.read_text().splitlines(keepends=True) if "vera" in line))
    assert client.get("/api/studies").status == 401


def test_log_out_cannot_be_forged(place: Place) -> None:
    """Another site cannot end a session."""
    client = place.client("anna")
    assert client.submit("/logout", {"csrf": "wrong"}).status == 403
    assert client.submit("/logout", {"csrf": client.csrf}, {"Origin": EVIL}).status == 403
    assert client.get("/api/studies").status == 200


def test_login_cannot_be_forged(place: Place) -> None:
    """Another site cannot log somebody in as somebody else: it lacks the form's token, and says where it is."""
    client = Client(place.gate)
    fields = {"user": "vera", "password": USERS["vera"], "csrf": "x", "next": ""}
    assert client.submit("/login", fields).status == 403
    assert client.log_in("vera", USERS["vera"], Origin=EVIL).status == 403
    assert client.log_in("vera", USERS["vera"], Origin="http://127.0.0.1:8080").status == 303


@pytest.mark.parametrize(
    "wanted",
    [
        *(
            "//evil.example",
            "https://evil.example",
            "/\\evil.example",
            "/dashboard//evil.example",
            "/dashboard@evil.example",
        ),
        *(
            "/logout",
            "javascript:alert(1)",
            "/dashboard%0d%0aLocation:%20//evil.example",
            "/dashboard/../x",
            "/dashboard?x=1",
        ),
    ],
)
def test_a_login_leads_nowhere_else(place: Place, wanted: str) -> None:
    """Wherever somebody wants to go after the login: it is a page of ours, and one header."""
    reply = Client(place.gate).log_in("vera", USERS["vera"], wanted)
    assert (reply.status, reply.header("Location")) == (303, "/dashboard")
    assert (
        Client(place.gate).log_in("vera", USERS["vera"], "/dashboard/studies/1").header("Location")
        == "/dashboard/studies/1"
    )


def test_guessing_gets_slow(place: Place) -> None:
    """After ten wrong passwords from one address, the right one has to wait too; elsewhere it does not."""
    client = Client(place.gate)
    answers = [client.log_in("anna", f"guess {i}").status for i in range(11)]
    assert answers == [401] * 10 + [429]
    late = client.log_in("anna", USERS["anna"])
    assert late.status == 429
    assert int(late.header("Retry-After")) > 200
    assert Client(place.gate, peer="192.0.2.9").log_in("anna", USERS["anna"]).status == 303
    place.clock.now += 301.0
    assert client.log_in("anna", USERS["anna"]).status == 303


def test_guessing_from_many_addresses_gets_slow(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """After twenty wrong passwords for one name, from wherever; other names are not held up."""
    monkeypatch.setattr("hpo.dashboard.accounts.verify", lambda password, _: password == USERS["vera"])
    answers = [Client(place.gate, peer=f"192.0.2.{i}").log_in("anna", "guess").status for i in range(21)]
    assert answers == [401] * 20 + [429]
    assert Client(place.gate, peer="192.0.2.99").log_in("vera", USERS["vera"]).status == 303


def test_guessing_tokens_gets_slow(place: Place) -> None:
    """As passwords; who has the token is not held up."""
    client = Client(place.gate)
    answers = [client.get("/api/studies", Authorization=f"Bearer {i}").status for i in range(11)]
    assert answers == [401] * 10 + [429]
    assert client.get("/api/studies", Authorization=f"Bearer {TOKEN}").status == 200


def test_unknown_names_cost_the_same(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that nobody has is checked against a hash like any other, and gets the same answer."""
    checked: list[str] = []
    real = accounts.verify

    def verify(password: str, hashed: str) -> bool:
        checked.append(hashed)
        return real(password, hashed)

    monkeypatch.setattr(accounts, "verify", verify)
    known, unknown = (Client(place.gate).log_in(name, "wrong password") for name in ("anna", "nobody"))
    assert len(checked) == 2
    assert checked[0].split("$")[:4] == checked[1].split("$")[:4]
    assert known.status == unknown.status == 401
    assert "Name or password is not right" in known.text
    assert len(known.body) == len(unknown.body)


def test_too_many_requests(place: Place) -> None:
    """An address that asks without end has to wait; others do not."""
    client = place.client("vera")
    assert [client.get("/nothing").status for _ in range(700)].count(429) > 90
    assert Client(place.gate, peer="192.0.2.1").get("/login").status == 200
    place.clock.now += 11.0
    assert client.get("/api/studies").status == 200


@pytest.mark.parametrize("name", ["a\r\nSet-Cookie: x=y", "<script>", "a\nb", "x" * 5000, "token", "", "\x00"])
def test_strange_names(place: Place, name: str) -> None:
    """They are no login, stand in no header, and are one line of the audit each."""
    reply = Client(place.gate).log_in(name, "a password")
    assert reply.status == 401
    assert "x=y" not in reply.header("Set-Cookie")
    assert "<script>" not in reply.text
    (line,) = (place.folder / "audit").read_text().splitlines()
    assert len(line) < 600


def test_only_the_proxy_is_believed(place: Place) -> None:
    """Whoever else says for whom it speaks, or that it came by TLS, is not believed."""
    client = Client(place.gate)
    reply = client.log_in("vera", USERS["vera"], **{"X-Forwarded-Proto": "https", "X-Forwarded-For": "192.0.2.5"})
    assert "Secure" not in reply.header("Set-Cookie")
    assert '"from": "127.0.0.1"' in (place.folder / "audit").read_text()


def test_the_database_itself_refuses(place: Place) -> None:
    """Were our table of routes to let a change through as a look, the database would not."""
    before = contents(place.folder)
    requests: list[tuple[str, str, dict[str, Any]]] = [
        ("PUT", NOTES, NOTE),
        ("DELETE", A_STUDY, {}),
        ("POST", f"/api/trials/{RUNNING_ID}/tell", {"state": "Fail"}),
    ]
    bare = Client(place.house._reading)
    answers: list[Reply] = [bare.ask(method, path, body) for method, path, body in requests]
    assert [reply.status for reply in answers] == [500, 500, 500]
    assert contents(place.folder) == before

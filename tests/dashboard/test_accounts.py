"""Who comes in: files of users, hashes of passwords, tokens, and what happens where nobody has to log in."""

import hashlib
import os
import re
import threading
from pathlib import Path

import pytest

from hpo.dashboard import accounts
from hpo.dashboard.accounts import Account, Accounts, hash_password, read_users, verify
from hpo.dashboard.headers import Hosts, loopback
from hpo.dashboard.limits import Counter, Limit
from hpo.dashboard.sessions import MOST, Sessions
from hpo.dashboard.wire import Refused, Request
from hpo.errors import UsageError
from tests.dashboard.client import Client
from tests.dashboard.place import REAL_COST, STUDY, TOKEN, USERS, Clock, Place, open_place, users_file


def test_a_hash_tells_a_password_and_no_other() -> None:
    """Salted, so that equal passwords differ; as strong as OWASP asks for; as scrypt's own test has it."""
    first, second = hash_password("a long password"), hash_password("a long password")
    assert first != second
    assert verify("a long password", first)
    assert not verify("a long passwore", first)
    assert not verify("", first)
    assert not verify("x" * 2000, first)
    assert REAL_COST >= 2**15
    _, cost, block, parallel, salt, key = first.split("$")
    assert int(cost) == accounts.COST
    assert len(salt) == 24
    assert len(key) == 44
    assert hashlib.scrypt(
        b"a long password", salt=_bytes(salt), n=int(cost), r=int(block), p=int(parallel), dklen=32
    ) == (_bytes(key))


def _bytes(text: str) -> bytes:
    import base64

    return base64.b64decode(text)


@pytest.mark.parametrize("password", ["", "short", "x" * 2000])
def test_passwords_have_a_length(password: str) -> None:
    """Too short a one is not hashed."""
    with pytest.raises(UsageError, match="at least 8"):
        hash_password(password)


GOOD = "scrypt$32$8$1$AAAAAAAAAAAAAAAAAAAAAA==$" + "A" * 43 + "="


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "it names nobody"),
        ("# only words\n\n", "it names nobody"),
        ("anna", "line 1: '' is no role"),
        (f"anna:admin:{GOOD}", "line 1: 'admin' is no role; accepted: viewer, editor"),
        (f"an na:viewer:{GOOD}", "line 1: 'an na' is no name"),
        (f"token:viewer:{GOOD}", "line 1: 'token' is no name"),
        (f"anna:viewer:{GOOD}\nanna:editor:{GOOD}", "line 2: 'anna' stands there twice"),
        ("anna:viewer:secret", "line 1: the third field is no hash"),
        (f"anna:viewer:{GOOD[:-5]}", "line 1: the third field is no hash"),
        (f"anna:viewer:{GOOD.replace('$32$', '$999999999$')}", "line 1: the third field is no hash"),
        (f"a:b:c\nanna:viewer:{GOOD}\nd:viewer:e", "line 1: .*; line 3: "),
    ],
)
def test_wrong_users_files(tmp_path: Path, content: str, message: str) -> None:
    """All mistakes are named by their lines, and no hash and no password is shown."""
    file = tmp_path / "users"
    file.write_text(content)
    file.chmod(0o600)
    with pytest.raises(UsageError, match=message) as error:
        read_users(file)
    assert "secret" not in str(error.value)
    assert "--make-user" in str(error.value)


def test_a_users_file_is_nobody_elses(tmp_path: Path) -> None:
    """A file that others can change, or that is missing, is refused."""
    file = users_file(tmp_path)
    file.chmod(0o666)
    with pytest.raises(UsageError, match="can be changed by others: chmod 600"):
        read_users(file)
    with pytest.raises(UsageError, match=r"cannot read .*nothing: No such file"):
        read_users(tmp_path / "nothing")


def test_a_changed_users_file_counts_at_once(tmp_path: Path) -> None:
    """Who is removed or changed is out, others stay, and while the file is broken nobody comes in."""
    file = users_file(tmp_path)
    found = Accounts(file)
    anna, vera = (found.check(name, USERS[name]) for name in USERS)
    assert anna is not None
    assert vera is not None
    assert (anna.role, vera.role, found.check("nobody", USERS["anna"])) == ("editor", "viewer", None)
    whole = file.read_text()
    for second, changed in enumerate(
        (
            whole.replace("anna:editor", "anna:viewer"),
            whole.replace(anna.hash, hash_password(USERS["anna"])),
            whole.replace("anna:", "hanna:"),
        )
    ):
        file.write_text(changed)
        os.utime(file, (second, second))  # older kernels tell no two moments within a few milliseconds apart
        assert (found.stands(anna), found.stands(vera)) == (False, True)
    file.write_text("broken")
    assert (found.stands(vera), found.check("vera", USERS["vera"])) == (False, None)
    file.write_text(whole + "# fine\n")
    assert found.stands(anna)
    assert found.check("anna", USERS["anna"]) == anna
    file.unlink()
    assert found.check("anna", USERS["anna"]) is None


def test_who_reads_the_users_file_slowly_brings_nobody_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two requests at once: one has read the file before somebody was removed, and is done after the other one."""
    file = users_file(tmp_path)
    found = Accounts(file)
    anna = found.check("anna", USERS["anna"])
    assert anna is not None
    has_read, may_go_on = threading.Event(), threading.Event()

    def slow(path: Path) -> dict[str, Account]:
        users = read_users(path)
        if threading.current_thread() is reader:
            has_read.set()
            may_go_on.wait(60)
        return users

    monkeypatch.setattr("hpo.dashboard.accounts.read_users", slow)
    os.utime(file, (1, 1))
    reader = threading.Thread(target=found.stands, args=(anna,))
    reader.start()
    assert has_read.wait(60)
    file.write_text(file.read_text().replace("anna:", "hanna:"))
    assert not found.stands(anna)
    may_go_on.set()
    reader.join(60)
    assert not found.stands(anna)


def test_another_password_ends_sessions(place: Place) -> None:
    """Whoever has an old session of that user has to log in anew; other users' sessions go on."""
    anna, vera, file = place.client("anna"), place.client("vera"), place.folder / "users"
    before = file.read_text()
    file.write_text(before.replace(before.splitlines()[0], f"anna:editor:{hash_password('a new password')}"))
    assert (anna.get("/api/studies").status, vera.get("/api/studies").status) == (401, 200)
    assert anna.log_in("anna", "a new password").status == 303


def test_tokens() -> None:
    """A token is a login called "token", and a header for programs; a short one is refused."""
    found = Accounts(None, TOKEN, "editor")
    assert found
    bearer = found.check_token(TOKEN)
    assert bearer is not None
    assert found.check("token", TOKEN) == bearer
    assert (bearer.role, found.stands(bearer)) == ("editor", True)
    assert (found.check("token", "x"), found.check_token(""), found.check("anna", TOKEN)) == (None,) * 3
    assert not Accounts(None)
    assert Accounts(None).check_token("") is None
    with pytest.raises(UsageError, match="has 5 characters; accepted: at least 16"):
        Accounts(None, "short")


def test_a_token_needs_no_page(place: Place) -> None:
    """A program that shows the token looks without a cookie, and as an editor it may write: no page can forge that."""
    client = Client(place.gate)
    assert client.get("/api/studies", Authorization=f"Bearer {TOKEN}").status == 200
    assert client.cookies == {}
    assert client.log_in("token", TOKEN).status == 303
    reply = client.ask("PUT", f"/api/studies/{STUDY}/note", {"version": 1, "body": "x"})
    assert (reply.status, reply.json) == (403, {"reason": "viewers look and change nothing; editors may write notes"})


@pytest.mark.parametrize("role", ["viewer", "editor"])
def test_where_nobody_logs_in(made: Path, tmp_path: Path, role: str) -> None:
    """On the loopback everybody has one role; there is no login page, and a forged request is refused all the same."""
    (tmp_path / "hpo.db").write_bytes((made / "hpo.db").read_bytes())
    place = open_place(tmp_path, login=False, anonymous="editor" if role == "editor" else "viewer")
    client = Client(place.gate)
    assert client.get("/login").header("Location") == "/dashboard"
    page = client.read_page()
    assert f">{role}</span>" in page.text.replace("<span>", ">")
    assert "Log out" not in page.text
    note = {"version": 1, "body": "x"}
    assert client.ask("PUT", f"/api/studies/{STUDY}/note", note, {"X-CSRF-Token": ""}).status == 403
    assert client.ask("PUT", f"/api/studies/{STUDY}/note", note).status == (200 if role == "editor" else 403)
    assert client.get("/api/studies", Authorization="Bearer anything-at-all").status == 401
    place.house.close()


def test_the_proxy_says_for_whom_it_speaks(made: Path, tmp_path: Path) -> None:
    """Its client's address is what is limited and recorded; its TLS makes cookies secure."""
    (tmp_path / "hpo.db").write_bytes((made / "hpo.db").read_bytes())
    place = open_place(tmp_path, proxy="192.0.2.1")
    client = Client(place.gate, host="hpo.example", peer="192.0.2.1")
    said = {"X-Forwarded-For": "198.51.100.1, 203.0.113.9", "X-Forwarded-Proto": "https"}
    reply = client.log_in("anna", USERS["anna"], **said)
    assert "Secure" in reply.header("Set-Cookie")
    assert '"from": "203.0.113.9"' in (tmp_path / "audit").read_text()
    place.house.close()


@pytest.mark.parametrize(
    ("bound", "accepted", "refused"),
    [
        ("127.0.0.1", ["127.0.0.1", "localhost:80", "[::1]:8080", "LOCALHOST", "localhost."], ["192.0.2.1", "", "a b"]),
        ("192.0.2.1", ["192.0.2.1:8080", "other.example"], ["192.0.2.2", "localhost", "192.0.2.1.nip.io"]),
        (
            "0.0.0.0",  # noqa: S104 - nothing is bound
            ["192.0.2.7", "[2001:db8::1]:80", "localhost"],
            ["evil.example", "192.0.2.7.evil.example", "[evil]"],
        ),
        ("::", ["192.0.2.7:1"], ["evil.example:1", "host:port", "user@localhost"]),
    ],
)
def test_names(bound: str, accepted: list[str], refused: list[str]) -> None:
    """Ours are accepted with any port; where we listen everywhere, so are all numbers: rebinding needs a name."""
    hosts = Hosts(bound, ["other.example"])
    for name in accepted:
        hosts.check(Request({"HTTP_HOST": name}, "", secure=False))
    for name in refused:
        with pytest.raises(Refused, match="--allow-host"):
            hosts.check(Request({"HTTP_HOST": name}, "", secure=False))


def test_loopback() -> None:
    """What only this machine reaches."""
    hosts = ("127.0.0.1", "127.9.9.9", "::1", "localhost", "0.0.0.0", "192.0.2.1", "hpo.example")  # noqa: S104 - nothing is bound
    assert [host for host in hosts if loopback(host)] == ["127.0.0.1", "127.9.9.9", "::1", "localhost"]


@pytest.mark.parametrize(
    "other",
    [
        "a=b",
        'prefs={"dark":true}',
        "msg=hello world",
        "x=[1,2]",
        "utf=\xc3\xa9",
        "bare",
        "k[0]=1",
        "a b=1",
        '="',
        "hpo2=x",
    ],
)
def test_cookies_of_other_programs(place: Place, other: str) -> None:
    """Browsers send them to every port of a host: whatever they hold, before or after ours, ours is found."""
    client = place.client("vera")
    ours = f"hpo={client.cookies['hpo']}"
    for sent in (f"{other}; {ours}", f"{ours}; {other}", f"{other};{ours};"):
        assert client.get("/api/meta", Cookie=sent).status == 200, sent


def test_a_cookie_that_comes_twice() -> None:
    """The first one counts."""
    request = Request({"HTTP_COOKIE": 'a=1=2; hpo=first; a=3; hpo=second; q="x"'}, "", secure=False)
    assert request.cookies == {"a": "1=2", "hpo": "first", "q": '"x"'}


def test_memory_has_an_end() -> None:
    """Neither sessions nor counters grow without end; the oldest session goes first."""
    clock = Clock()
    sessions = Sessions(10.0, clock)
    secrets = [sessions.open(Account("anna", "viewer", ""))[0] for _ in range(MOST + 1)]
    assert sessions.find(secrets[0]) is None
    assert sessions.find(secrets[1]) is not None
    counter = Counter(Limit(2, 10.0), clock)
    assert [counter.add("a"), counter.add("a"), counter.add("a")] == [0.0, 0.0, 10.0]
    counter.take_back("a")
    assert counter.add("a") == 0.0
    for i in range(10_001):
        counter.add(str(i))
    assert len(counter._seen) == 10_000


def test_the_page_is_optuna_dashboards() -> None:
    """Our script comes before the front-end's, and nothing else of its page is changed."""
    from importlib.resources import files

    from hpo.dashboard import pages

    theirs = (files("optuna_dashboard") / "index.html").read_text("utf-8")
    ours = b"".join(pages.dashboard("<b>", "viewer", "c").body).decode()
    assert ours.index("/hpo/session.js") < ours.index("/static/bundle.js")
    assert "&lt;b&gt;" in ours
    assert not re.search(r"<script(?![^>]* src=)", ours)
    assert len(theirs) < len(ours)

"""`hpo dashboard` of a real study: in a browser as viewer and as editor, and as its server takes what is no HTTP."""

import contextlib
import json
import re
import socket
import sqlite3
import ssl
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect

from hpo.dashboard.accounts import hash_password
from tests.browser import visit
from tests.cli.run import Launched

START_SECONDS = 60.0
expect.set_options(timeout=40_000)  # milliseconds: the front-end is 6 MB, and the machine may be busy
USERS = {"anna": ("editor", "a long password"), "vera": ("viewer", "another password")}


@contextmanager
def serving(launched: Launched, folder: Path, *options: str) -> Iterator[str]:
    """The dashboard in a process of its own, on a copy of the study's database; yields its address."""
    with (
        closing(sqlite3.connect(launched.folder / ".hpo" / "hpo.db")) as source,
        closing(sqlite3.connect(folder / "hpo.db")) as copy,
    ):
        source.backup(copy)
    users = folder / "users"
    users.write_text("".join(f"{name}:{role}:{hash_password(word)}\n" for name, (role, word) in USERS.items()))
    users.chmod(0o600)
    said = folder / "log"
    command = [sys.executable, "-m", "hpo.cli", "dashboard", "--port", "0", "--users-file", str(users), *options]
    command += [
        "--storage",
        f"sqlite:///{folder / 'hpo.db'}",
        "--artifacts",
        str(launched.folder / ".hpo" / "artifacts"),
    ]
    with said.open("w") as log, subprocess.Popen(command, stderr=log, cwd=folder) as process:
        try:
            began = time.monotonic()
            while not (found := re.search(r"the dashboard is at (\S+)/;", said.read_text())):
                assert process.poll() is None, said.read_text()
                assert time.monotonic() - began < START_SECONDS, said.read_text()
                time.sleep(0.05)
            # waits for the process that serves: the address is known before
            trusting = ssl._create_unverified_context()  # noqa: S323 - it is ours, whoever signed it
            urllib.request.urlopen(f"{found[1]}/login", timeout=START_SECONDS, context=trusting)  # noqa: S310 - our own
            yield found[1]
        finally:
            process.terminate()
    assert process.returncode == 0
    assert "Traceback" not in said.read_text()


@pytest.fixture(scope="module")
def url(launched: Launched, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Of a dashboard for this file."""
    folder = tmp_path_factory.mktemp("dashboard")
    with serving(launched, folder, "--audit-file", str(folder / "audit")) as address:
        yield address


def log_in(page: Page, url: str, user: str) -> None:
    """From the login page to the list of studies."""
    page.goto(url)
    expect(page).to_have_title("Log in - hpo dashboard")
    page.fill("#user", user)
    page.fill("#password", "a wrong password")
    page.click("main button")
    expect(page.get_by_role("alert")).to_have_text("Name or password is not right.")
    page.fill("#user", user)
    page.fill("#password", USERS[user][1])
    page.click("main button")
    expect(page.get_by_text("1. tiny")).to_be_visible()


def ask(page: Page, method: str, url: str, value: object) -> tuple[int, str]:
    """A request as the page would send it: with its cookies and its token. Returns status and reason."""
    token = page.locator('meta[name="csrf-token"]').get_attribute("content") or ""
    reply = page.request.fetch(
        url, method=method, data=json.dumps(value), headers={"X-CSRF-Token": token, "Content-Type": "application/json"}
    )
    return reply.status, reply.text()


def look_around(page: Page, url: str) -> None:
    """The study's plots and note, and a trial's note with its pictures."""
    page.get_by_text("1. tiny").click()
    expect(page.get_by_text("Cost against score")).to_be_visible()
    expect(page.get_by_text("Infeasible share over time")).to_be_visible()
    page.goto(f"{url}/dashboard/studies/1/note")
    for words in (
        "BasicMotions: 40 windows of 100 steps",
        "2 of 2 trials",
        "2 complete",
        "hpo export tiny -o best.json",
    ):
        expect(page.get_by_text(words)).to_be_visible()
    page.goto(f"{url}/dashboard/studies/1/trials?numbers=0")
    expect(page.get_by_text("completed", exact=True)).to_be_visible()
    for title in ("learning curves", "confusion matrix", "scores class by class"):
        picture = page.get_by_role("img", name=title)
        picture.scroll_into_view_if_needed()
        expect(picture).to_be_visible()
        expect(picture).to_have_js_property("complete", True)
        assert picture.evaluate("image => image.complete && image.naturalWidth") > 600
    for name in ("curves.json", "log.txt", "report.json"):
        expect(page.get_by_text(name)).to_be_visible()


def log_out(page: Page, url: str) -> None:
    """By the button; going back shows nothing any more."""
    page.get_by_role("button", name="Log out").click()
    expect(page).to_have_url(f"{url}/login")
    page.go_back()
    expect(page).to_have_title("Log in - hpo dashboard")
    assert page.request.get(f"{url}/api/studies").status == 401


def test_a_viewer_looks(browser: Browser, url: str) -> None:
    """Log in, see study, curves, matrix and note; changes are neither offered nor done; log out. All stays here."""
    with visit(browser) as seen:
        page = seen.page
        log_in(page, url, "vera")
        expect(page.get_by_text("Create")).to_be_hidden()
        expect(page.get_by_label("delete study")).to_be_hidden()
        expect(page.get_by_label("rename study")).to_be_hidden()
        look_around(page, url)
        expect(page.locator('button:has([data-testid="EditIcon"])')).to_be_hidden()
        note = {"version": 1, "body": "mine"}
        assert ask(page, "PUT", f"{url}/api/studies/1/note", note)[0] == 403
        assert ask(page, "DELETE", f"{url}/api/studies/1", {})[0] == 403
        with page.expect_download() as download:
            page.get_by_label("download artifact").first.click()
        assert json.loads(download.value.path().read_text())["metric"] == "accuracy"
        log_out(page, url)
    assert seen.outside == []
    # what the browser itself says of the wrong password is all
    assert [error for error in seen.errors if "401" not in error] == []


def test_an_editor_writes_a_note(browser: Browser, url: str) -> None:
    """With the front-end's own editor, below the part that keeps itself current; what breaks studies is refused."""
    with visit(browser, color_scheme="dark") as seen:
        page = seen.page
        log_in(page, url, "anna")
        look_around(page, url)
        page.goto(f"{url}/dashboard/studies/1/note")
        page.locator('button:has([data-testid="EditIcon"])').click()
        editor = page.get_by_role("textbox").first
        editor.press("Control+End")
        editor.type("This is *mine*.")
        page.get_by_role("button", name="Save").click()
        expect(page.get_by_text("Success to save the note")).to_be_visible()
        page.reload()
        expect(page.get_by_text("This is mine.")).to_be_visible()
        expect(page.get_by_text("2 of 2 trials")).to_be_visible()
        for method, path, value, reason in (
            ("DELETE", "/api/studies/1", {}, "hpo delete NAME"),
            ("POST", "/api/studies/1/rename", {"study_name": "x"}, "keeps its name"),
            ("POST", "/api/trials/1/tell", {"state": "Fail"}, "only the worker"),
            ("POST", "/api/studies", {"study_name": "x", "directions": ["minimize"]}, "hpo launch"),
        ):
            status, said = ask(page, method, f"{url}{path}", value)
            assert status == 403
            assert reason in said
        log_out(page, url)
    assert seen.outside == []
    assert [error for error in seen.errors if "401" not in error] == []


def answer(url: str, raw: bytes) -> bytes:
    """What the server says to bytes; empty if it only hangs up."""
    place = urlsplit(url)
    with socket.create_connection((str(place.hostname), place.port or 0), timeout=60) as connection:
        connection.sendall(raw)
        with contextlib.suppress(OSError):  # it has hung up already
            connection.shutdown(socket.SHUT_WR)
        found = b""
        try:
            while piece := connection.recv(65536):
                found += piece
        except ConnectionResetError:
            pass
    return found


CHUNKED = b"PUT /api/studies/1/note HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n"


@pytest.mark.parametrize(
    ("raw", "statuses"),
    [
        (b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", (400, 414)),
        (b"GET /login HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 20000 + b"\r\n\r\n", (400, 431)),
        (b"GET /login HTTP/1.1\r\nHost: localhost\r\n" + b"X: y\r\n" * 200 + b"\r\n", (400, 431)),
        (b"GET /login\0 HTTP/1.1\r\nHost: localhost\r\n\r\n", (400,)),
        (b"GET /login HTTP/1.1\r\n\r\n", (400, 403)),
        (b"GET http://evil.example/login HTTP/1.1\r\nHost: evil.example\r\n\r\n", (400, 403)),
        (b"GET /login HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n", (400, 403)),
        (b"POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello", (400,)),
        (CHUNKED + b"Content-Length: 5\r\n\r\n0\r\n\r\n", (400,)),
        (CHUNKED + b"\r\n" + b"10000\r\n" + b"x" * 65536 + b"\r\n0\r\n\r\n", (401,)),
        (b"CONNECT evil.example:443 HTTP/1.1\r\nHost: localhost\r\n\r\n", (400, 405, 401)),
        (b"\x16\x03\x01\x02\x00\x01", (400,)),
    ],
)
def test_the_server_refuses(url: str, raw: bytes, statuses: tuple[int, ...]) -> None:
    """Requests that are too long, unclear or none are refused or hung up on, and say nothing of what is inside."""
    found = answer(url, raw)
    first = found.split(b"\r\n", 1)[0]
    assert not found or int(first.split()[1]) in statuses, found[:300]
    assert b"Traceback" not in found
    assert b"tiny" not in found


def test_a_body_without_length_is_measured(url: str) -> None:
    """Sent in chunks, with no word of its size: read up to what a note may have, and not further."""
    form = urllib.request.urlopen(f"{url}/login")  # noqa: S310 - our own
    cookie = form.headers["Set-Cookie"].split(";")[0]
    head = f"POST /login HTTP/1.1\r\nHost: localhost\r\nCookie: {cookie}\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunk = b"10000\r\n" + b"x" * 65536 + b"\r\n"
    assert answer(url, head.encode() + chunk * 5 + b"0\r\n\r\n").startswith(b"HTTP/1.1 413 ")


def test_tls(launched: Launched, tmp_path: Path) -> None:
    """With a certificate it speaks TLS, and the cookie goes by TLS alone."""
    certificate, key = made_certificate(tmp_path)
    with serving(launched, tmp_path, "--certfile", str(certificate), "--keyfile", str(key)) as url:
        assert url.startswith("https://127.0.0.1:")
        context = ssl.create_default_context(cafile=str(certificate))
        reply = urllib.request.urlopen(f"{url}/login", context=context)  # noqa: S310 - our own
        assert reply.headers["Set-Cookie"].endswith("; Secure")
        assert reply.headers["Strict-Transport-Security"]


def made_certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that signs itself, and its key."""
    import ipaddress

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "hpo")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    files = folder / "cert.pem", folder / "key.pem"
    files[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    files[1].write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return files

"""Who is told: a web server and a mail server of the tests' own, on the loopback, that can be told to misbehave."""

import contextlib
import json
import socketserver
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Hook:
    """A webhook's receiver.

    Attributes:
        statuses: that it answers first; then 200. "hang" never answers, "drip" sends a byte now and then.
        heard: what was posted, with the header of its id.
    """

    statuses: list[int | str] = field(default_factory=list)
    heard: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    url: str = ""

    def wait(self, number: int) -> None:
        """Until so many were heard."""
        deadline = time.monotonic() + 60
        while len(self.heard) < number:
            if time.monotonic() > deadline:
                raise TimeoutError(f"heard {self.heard}")
            time.sleep(0.02)


@contextmanager
def webhook() -> Iterator[Hook]:
    """A running receiver."""
    hook = Hook()
    leave = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            hook.heard.append((self.headers["Idempotency-Key"], json.loads(body)))
            status = hook.statuses.pop(0) if hook.statuses else 200
            if status == "hang":
                leave.wait(300)
                return
            if status == "drip":
                self.wfile.write(b"HTTP/1.1 200 OK\r\n")
                while not leave.wait(0.1):
                    self.wfile.write(b"X")
                return
            self.send_response(int(status))
            if status == 302:
                self.send_header("Location", "file:///etc/passwd")
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.handle_error = lambda *_: None  # type: ignore[method-assign] # a client that left is no news
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    hook.url = f"http://127.0.0.1:{server.server_port}/services/T0/B0/very-secret-token"
    try:
        yield hook
    finally:
        leave.set()
        server.shutdown()
        thread.join()
        server.server_close()


@dataclass
class Mailbox:
    """A mail server's; `refuse` is a code that it answers to every recipient."""

    port: int = 0
    refuse: str = ""
    commands: list[str] = field(default_factory=list)
    mails: list[str] = field(default_factory=list)


class _MailServer(socketserver.ThreadingTCPServer):
    daemon_threads = True

    def __init__(self, box: Mailbox, tls: ssl.SSLContext | None) -> None:
        super().__init__(("127.0.0.1", 0), _Mail)
        self.box = box
        self.tls = tls


class _Mail(socketserver.StreamRequestHandler):
    """One client."""

    server: _MailServer

    def handle(self) -> None:
        with contextlib.ExitStack() as self.opened:
            self.say("220 here")
            while line := self.rfile.readline().decode().strip():
                self.server.box.commands.append(line)
                if not self.answer(line.split()[0].upper()):
                    return

    def say(self, *lines: str) -> None:
        self.wfile.write("".join(f"{line}\r\n" for line in lines).encode())
        self.wfile.flush()

    def answer(self, word: str) -> bool:
        """Whether it goes on."""
        box, tls = self.server.box, self.server.tls
        match word:
            case "EHLO":
                self.say("250-here", *([] if tls is None else ["250-STARTTLS", "250-AUTH PLAIN"]), "250 8BITMIME")
            case "RCPT" if box.refuse:
                self.say(f"{box.refuse} the secret reason")
            case "DATA":
                self.say("354 go on")
                box.mails.append("".join(iter(lambda: self.rfile.readline().decode(), ".\r\n")))
                self.say("250 taken")
            case "QUIT":
                self.say("221 bye")
                return False
            case "STARTTLS" if tls is not None:
                self.say("220 go on")
                return self.encrypt(tls)
            case "STARTTLS":
                self.say("502 not here")
            case "AUTH":
                self.say("235 welcome")
            case _:
                self.say("250 fine")
        return True

    def encrypt(self, tls: ssl.SSLContext) -> bool:
        """Whether the client trusts us."""
        try:
            line = self.opened.enter_context(tls.wrap_socket(self.connection, server_side=True))
        except ssl.SSLError:
            return False
        self.rfile = self.opened.enter_context(line.makefile("rb"))
        self.wfile = self.opened.enter_context(line.makefile("wb"))
        return True


@contextmanager
def mail_server(tls: ssl.SSLContext | None = None) -> Iterator[Mailbox]:
    """A running server that speaks SMTP.

    Args:
        tls: what STARTTLS is answered with; None where it is not known.
    """
    box = Mailbox()
    server = _MailServer(box, tls)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    box.port = server.server_address[1]
    try:
        yield box
    finally:
        server.shutdown()
        thread.join()
        server.server_close()

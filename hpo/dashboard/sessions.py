"""Who is logged in. Sessions live in this process: a restart ends all, log-out its own, wherever the cookie is."""

import hashlib
import hmac
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from hpo.dashboard.accounts import Account

MOST = 1000  # sessions at a time; the oldest goes


@dataclass(frozen=True)
class Session:
    """One login.

    Attributes:
        account: who logged in, as the account was then; None where nobody has to log in.
        csrf: what a page of ours knows and a forged request does not.
        ends: by the clock of `Sessions`.
    """

    account: Account | None
    csrf: str
    ends: float = float("inf")


class Sessions:
    """All sessions by the hash of their secret.

    Args:
        seconds: that a session lasts.
        clock: monotonic seconds.
    """

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._clock = clock
        self._sessions: dict[str, Session] = {}
        self._lock = threading.Lock()
        self._key = secrets.token_bytes(32)

    def open(self, account: Account) -> tuple[str, Session]:
        """A new session and the secret that its cookie holds, which nobody has seen before."""
        secret = secrets.token_urlsafe(32)
        session = Session(account, secrets.token_urlsafe(32), self._clock() + self._seconds)
        with self._lock:
            now = self._clock()
            self._sessions = {key: one for key, one in self._sessions.items() if one.ends > now}
            while len(self._sessions) >= MOST:
                del self._sessions[next(iter(self._sessions))]
            self._sessions[_hash(secret)] = session
        return secret, session

    def find(self, secret: str) -> Session | None:
        """The session of a cookie, unless it has ended."""
        session = self._sessions.get(_hash(secret))
        return session if session is not None and session.ends > self._clock() else None

    def end(self, secret: str) -> None:
        """Ends a session; harmless if there is none."""
        with self._lock:
            self._sessions.pop(_hash(secret), None)

    def form_token(self, nonce: str) -> str:
        """What a login form holds: made from a cookie that came with it, so that no other site can know both."""
        return hmac.new(self._key, nonce.encode(), "sha256").hexdigest()


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()

"""Who may come in: users with hashed passwords, and a token. Never from the command line, which everybody can read.

A users file has a line for each user, `NAME:ROLE:HASH`; `hpo dashboard --make-user NAME` prints one. The hash is
scrypt's (RFC 7914), with the parameters that OWASP's cheat sheet on password storage asks for at least.
"""

import base64
import binascii
import hashlib
import hmac
import logging
import re
import secrets
import stat
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from hpo import redact
from hpo.errors import UsageError

Role = Literal["viewer", "editor"]
ROLES: tuple[str, ...] = get_args(Role)
TOKEN = "token"  # noqa: S105 - the name that whoever has the token goes by
SHORTEST_PASSWORD = 8
SHORTEST_TOKEN = 16
LONGEST_SECRET = 1024
COST, _BLOCK, _PARALLEL, _BYTES = 2**15, 8, 1, 32  # 32 MiB and about 0.1 s for each try
_LARGEST_COST = 2**18
_AT_A_TIME = threading.BoundedSemaphore(2)  # tries, because each needs that much memory

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Account:
    """One user.

    Attributes:
        hash: of the password; empty for whoever has the token.
    """

    name: str
    role: Role
    hash: str


def hash_password(password: str) -> str:
    """`scrypt$COST$BLOCK$PARALLEL$SALT$KEY`, with a fresh salt.

    Raises:
        UsageError: the password is too short or too long.
    """
    if not SHORTEST_PASSWORD <= len(password) <= LONGEST_SECRET:
        raise UsageError(f"a password of {len(password)} characters; accepted: at least {SHORTEST_PASSWORD}")
    salt = secrets.token_bytes(16)
    key = _derive(password, salt, COST, _BLOCK, _PARALLEL)
    return "$".join(("scrypt", str(COST), str(_BLOCK), str(_PARALLEL), _encode(salt), _encode(key)))


def verify(password: str, hashed: str) -> bool:
    """Whether it is the password."""
    cost, block, parallel, salt, key = _parts(hashed)
    if len(password) > LONGEST_SECRET:
        return False
    return hmac.compare_digest(_derive(password, salt, cost, block, parallel), key)


def _parts(hashed: str) -> tuple[int, int, int, bytes, bytes]:
    kind, *numbers, salt, key = hashed.split("$")
    cost, block, parallel = map(int, numbers)
    if kind != "scrypt" or not 2 <= cost <= _LARGEST_COST or not 1 <= block <= 16 or not 1 <= parallel <= 4:
        raise ValueError(hashed)
    decoded = base64.b64decode(salt, validate=True), base64.b64decode(key, validate=True)
    if len(decoded[1]) != _BYTES:
        raise ValueError(hashed)
    return cost, block, parallel, *decoded


def _derive(password: str, salt: bytes, cost: int, block: int, parallel: int) -> bytes:
    memory = 256 * cost * block
    with _AT_A_TIME:
        return hashlib.scrypt(password.encode(), salt=salt, n=cost, r=block, p=parallel, maxmem=memory, dklen=_BYTES)


def _encode(value: bytes) -> str:
    return base64.b64encode(value).decode()


def read_users(path: Path) -> dict[str, Account]:
    """The users of a file by name.

    Raises:
        UsageError: it cannot be read, or has lines that are none; all of them are named, and no hash is shown.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        mode = path.stat().st_mode
    except (OSError, UnicodeDecodeError) as error:
        what = error.strerror if isinstance(error, OSError) else "it is not text"
        raise UsageError(f"--users-file: cannot read {path}: {what}") from error
    if mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise UsageError(f"--users-file: {path} can be changed by others: chmod 600 {path}")
    found: dict[str, Account] = {}
    wrong = []
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith("#"):
            continue
        name, _, rest = line.strip().partition(":")
        role, _, hashed = rest.partition(":")
        if (problem := _problem(name, role, hashed, found)) is not None:
            wrong.append(f"line {number}: {problem}")
        else:
            found[name] = Account(name, "editor" if role == "editor" else "viewer", hashed)
    if wrong or not found:
        said = "; ".join(wrong) or "it names nobody"
        raise UsageError(f"--users-file: {path}: {said}. `hpo dashboard --make-user NAME --role ROLE` prints a line")
    return found


def _problem(name: str, role: str, hashed: str, known: Mapping[str, Account]) -> str | None:
    if not acceptable(name):
        return f"{name[:64]!r} is no name; accepted: letters, digits and . _ @ -, and not {TOKEN!r}"
    if name in known:
        return f"{name!r} stands there twice"
    if role not in ROLES:
        return f"{role[:64]!r} is no role; accepted: {', '.join(ROLES)}"
    try:
        _parts(hashed)
    except (ValueError, binascii.Error):
        return "the third field is no hash of a password"
    return None


def acceptable(name: str) -> bool:
    """Whether a user may be called so."""
    return re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}", name) is not None and name != TOKEN


class Accounts:
    """Everybody who may come in, as the users file says now: who is removed or changed there is out at once.

    Args:
        users_file: see above; None means there is none.
        token: a secret that is a login of its own; None means there is none.
        token_role: what it allows; None is a viewer.

    Raises:
        UsageError: the file is none, or the token is too short.
    """

    def __init__(self, users_file: Path | None, token: str | None = None, token_role: Role | None = None) -> None:
        if token is not None and not SHORTEST_TOKEN <= len(token) <= LONGEST_SECRET:
            raise UsageError(f"the token has {len(token)} characters; accepted: at least {SHORTEST_TOKEN}")
        redact.remember(token)
        self._file = users_file
        self._token = None if token is None else hashlib.sha256(token.encode()).digest()
        self._bearer = Account(TOKEN, token_role or "viewer", "")
        self._nobody = hash_password(secrets.token_urlsafe())
        # the file's stamp, taken before it was read, and what stood there: one value, since several threads change it
        self._known: tuple[tuple[int, ...] | None, dict[str, Account]] = (None, {})
        if users_file is not None:
            self._known = (self._stamp(), read_users(users_file))

    def __bool__(self) -> bool:
        """Whether anybody is known."""
        return self._file is not None or self._token is not None

    def summary(self) -> str:
        """Who may come in, for people."""
        users = [f"{account.name} ({account.role})" for account in self._known[1].values()]
        return ", ".join([*users, *([] if self._token is None else [f"whoever has the token ({self._bearer.role})"])])

    def stands(self, account: Account) -> bool:
        """Whether an account that was right once still is what it was: name, role and password."""
        return account is self._bearer or self._current().get(account.name) == account

    def check(self, name: str, password: str) -> Account | None:
        """Whoever has this name and password, else None. Unknown names take as long as known ones."""
        if name == TOKEN:
            return self.check_token(password)
        account = self._current().get(name)
        right = verify(password, self._nobody if account is None else account.hash)
        return account if right else None

    def check_token(self, token: str) -> Account | None:
        """Whoever has the token, else None."""
        digest = hashlib.sha256(token[: LONGEST_SECRET + 1].encode()).digest()
        right = self._token is not None and hmac.compare_digest(digest, self._token)
        return self._bearer if right else None

    def _stamp(self) -> tuple[int, ...] | None:
        if self._file is None:
            return None
        try:
            there = self._file.stat()
        except OSError:
            return None
        return there.st_mtime_ns, there.st_size, there.st_ino

    def _current(self) -> Mapping[str, Account]:
        """The users; none while the file cannot be read."""
        stamp, users = self._known
        if self._file is not None and (now := self._stamp()) != stamp:
            try:
                users = read_users(self._file)
            except UsageError as error:
                users = {}
                log.error("nobody can log in by password: %s", error)  # noqa: TRY400 - the message says it all
            self._known = (now, users)
        return users

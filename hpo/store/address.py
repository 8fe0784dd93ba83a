"""The address of a database, put together from what a person gave, and never shown with its password."""

import logging
import stat
from pathlib import Path
from typing import NamedTuple

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from hpo import redact
from hpo.errors import StorageError, UsageError

log = logging.getLogger(__name__)

ACCEPTED = "accepted: sqlite:///PATH (one machine) and postgresql://USER@HOST/DATABASE"
# Where containers find secrets: mounted for them alone, with whatever mode the mount has.
_MOUNTED = (Path("/run/secrets"), Path("/var/run/secrets"))
_LARGEST = 1 << 16
PASSPHRASE = "sslpassword"  # noqa: S105 # the name of one: of the client's own key


class Given(NamedTuple):
    """A value and how much it counts: 2 typed, 1 from a variable, 0 a default."""

    value: str | Path | None
    rank: int


def parse(url: str) -> URL:
    """The parts of an address; a password among its parameters stands where passwords do.

    Raises:
        StorageError: it is none. The message does not show it.
    """
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError) as error:
        raise StorageError(f"the storage is no database address; {ACCEPTED}") from error
    if "@" in (parsed.host or ""):
        raise StorageError(
            "the storage's address has more than one @; in a password, write @ as %40, or keep it in a file"
        )
    for name in ("password", PASSPHRASE):
        if isinstance(parsed.query.get(name), tuple):
            raise StorageError(f"the storage's address names {name} more than once")
    password = parsed.query.get("password")
    if isinstance(password, str):
        parsed = parsed.difference_update_query(["password"]).set(password=password)
    for secret in (parsed.password, parsed.query.get(PASSPHRASE)):
        redact.remember(None if secret is None else str(secret))
    return parsed


def shown(url: URL) -> str:
    """The address with stars for its password, and for the passphrase of a key."""
    if PASSPHRASE in url.query:
        url = url.update_query_dict({PASSPHRASE: "***"})
    return url.render_as_string(hide_password=True)


def redacted(url: str) -> str:
    """The address without its password."""
    try:
        return shown(parse(url))
    except StorageError:
        return "(not an address)"


def has_password(url: str) -> bool:
    """Whether the address itself holds a password, or the passphrase of a key.

    Raises:
        StorageError: it is no address.
    """
    return _holds_secret(parse(url))


def _holds_secret(url: URL) -> bool:
    return url.password is not None or PASSPHRASE in url.query


def without_password(url: str) -> str:
    """The address for those who have the password from elsewhere.

    Raises:
        StorageError: it is no address.
    """
    bare = parse(url).set(password=None).difference_update_query([PASSPHRASE])
    return bare.render_as_string(hide_password=False)


def from_file(storage: Given, file: Given) -> bool:
    """Whether the address comes from `--storage-file`: of both, what was typed wins over a variable."""
    return file.value is not None and file.rank >= storage.rank


def assemble(storage: Given, file: Given, password_file: Given) -> str:
    """The address that commands use, with its password if it came in one of these ways.

    Args:
        storage: `--storage`.
        file: `--storage-file`: a file that holds the address.
        password_file: `--storage-password-file`: a file that holds the password alone.

    Raises:
        UsageError: two that exclude each other, a password where everybody can read it, or a file that cannot be read.
        StorageError: what was given is no address.
    """
    if file.value is not None and from_file(storage, file):
        if file.rank == storage.rank:
            raise UsageError("--storage and --storage-file both name a database; give one of them")
        url = parse(read_secret(Path(file.value), "--storage-file"))
    else:
        url = parse(str(storage.value))
        if _holds_secret(url) and storage.rank == 2:
            raise UsageError(
                "the password in --storage can be read by everybody on this machine while the command runs; "
                "give the address by HPO_STORAGE, --storage-file or --storage-password-file, or use PGPASSFILE"
            )
    if password_file.value is not None:
        if url.password is not None or url.get_backend_name() == "sqlite":
            held = "has a password already" if url.password is not None else "takes none"
            raise UsageError(f"--storage-password-file: the address {shown(url)} {held}")
        url = url.set(password=read_secret(Path(password_file.value), "--storage-password-file"))
        redact.remember(str(url.password))
    return url.render_as_string(hide_password=False)


def read_secret(path: Path, option: str) -> str:
    """The one line of a file; warns if others can read it.

    Args:
        path: of the file.
        option: that named it, for messages.

    Raises:
        UsageError: it cannot be read, or does not hold one line of text. The message does not show what it holds.
    """
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST + 1)
        mode = path.stat().st_mode
    except OSError as error:
        raise UsageError(f"{option}: cannot read {path}: {error.strerror}") from error
    lines = [line for line in content.decode("utf-8", errors="replace").splitlines() if line.strip()]
    if len(content) > _LARGEST or len(lines) != 1:
        raise UsageError(f"{option}: {path} holds {len(lines)} lines; accepted: one line of text")
    if mode & (stat.S_IRWXG | stat.S_IRWXO) and not any(path.is_relative_to(place) for place in _MOUNTED):
        log.warning("%s can be read by others: chmod 600 %s", path, path)
    return lines[0].strip()

"""One file over HTTP: in pieces that survive a lost connection and a second try, checked by its SHA-256."""

import fcntl
import http.client
import os
import re
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from hpo import __version__
from hpo.data._cache import file_sha256
from hpo.errors import DataError, UsageError

Progress = Callable[[int, int | None], None]
"""Called with the bytes that are there and those that there will be, None where the server does not say."""

TRIES = 5  # in a row that brought nothing
TIMEOUT = 30.0  # seconds without a byte
_BLOCK = 1 << 16
_LOST = (OSError, http.client.HTTPException)  # urllib's own errors and timeouts are OSErrors


def download(
    url: str, to: Path, sha256: str | None, progress: Progress, wait: Callable[[float], None] = time.sleep
) -> str:
    """Downloads a file to `to`, which appears only when it is whole. Returns its SHA-256 in hex.

    What came before a connection broke lies in ``to.part`` and is kept: a later try, also of another process, asks the
    server for the rest only.

    Args:
        url: with http or https.
        sha256: what the file must have; None takes what comes.
        wait: sleeps for so many seconds between two tries.

    Raises:
        UsageError: the address is none.
        DataError: the server refuses or cannot be reached, or the file is another one than asked for.
    """
    if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname:
        raise UsageError(f"{url} is no address that can be downloaded; accepted: http://... or https://...")
    part = to.with_name(to.name + ".part")
    with _alone(part):
        resumed = part.stat().st_size > 0
        _fetch(url, part, progress, wait)
        found = file_sha256(part)
        if sha256 is not None and found != sha256 and resumed:
            # the beginning may be of another file, or of an older one
            os.truncate(part, 0)
            _fetch(url, part, progress, wait)
            found = file_sha256(part)
        if sha256 is not None and found != sha256:
            part.unlink()
            raise DataError(f"{url} has SHA-256 {found}, and not {sha256}: another file than asked for; it was removed")
        part.replace(to)
    return found


@contextmanager
def _alone(part: Path) -> Iterator[None]:
    """Makes the file where it is missing, and holds it against other processes that download the same."""
    try:
        with part.open("ab") as held:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield
    except BlockingIOError as error:
        raise DataError(f"another process is downloading {part}") from error


def _fetch(url: str, part: Path, progress: Progress, wait: Callable[[float], None]) -> None:
    """Brings `part` to its full length."""
    fruitless = 0
    while True:
        before = part.stat().st_size
        try:
            if _more(url, part, before, progress):
                return
            reason = "the connection was lost"
        except urllib.error.HTTPError as error:
            error.close()
            if error.code < 500 and error.code not in (408, 429):
                raise DataError(f"{url}: the server says {error.code} {error.reason}") from error
            reason = f"the server says {error.code} {error.reason}"
        except _LOST as error:
            reason = str(getattr(error, "reason", error)) or type(error).__name__
        there = part.stat().st_size
        fruitless = 0 if there > before else fruitless + 1
        if fruitless == TRIES:
            raise DataError(
                f"cannot download {url}: {reason}; tried {TRIES} times in vain. "
                f"{there} bytes are there: run the same command again, and it goes on from them"
            )
        wait(2.0**fruitless)


def _more(url: str, part: Path, there: int, progress: Progress) -> bool:
    """Asks for what is missing. Returns whether nothing is missing any more."""
    request = urllib.request.Request(url, headers={"User-Agent": f"hpo/{__version__}"})  # noqa: S310 - see `download`
    if there:
        request.add_header("Range", f"bytes={there}-")
    try:
        answer = urllib.request.urlopen(request, timeout=TIMEOUT)  # noqa: S310 - the scheme was checked
    except urllib.error.HTTPError as error:
        if error.code != 416:
            raise
        error.close()
        if _total(error.headers.get("Content-Range")) == there:
            return True  # all of it was there already
        os.truncate(part, 0)  # longer than the server's file: of another one
        return False
    with answer:
        ranged = answer.status == 206
        if ranged and not str(answer.headers.get("Content-Range", "")).startswith(f"bytes {there}-"):
            os.truncate(part, 0)
            raise http.client.HTTPException("the server sent another part of the file than asked for")
        length = answer.headers.get("Content-Length")
        start = there if ranged else 0  # a server that knows no ranges begins anew
        total = None if length is None else start + int(length)
        got = start
        with part.open("ab" if ranged else "wb") as file:
            while block := answer.read(_BLOCK):
                try:
                    file.write(block)
                except OSError as error:
                    raise DataError(f"cannot write {part}: {error.strerror or error}") from error
                got += len(block)
                progress(got, total)
    return total is None or got == total


def _total(content_range: str | None) -> int | None:
    match = re.fullmatch(r"bytes \*/(\d+)", content_range or "")
    return int(match[1]) if match else None

"""Downloads: whole or not there, resumed where they broke off, and never another file than asked for."""

import fcntl
import hashlib
import random
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from hpo.data import _download
from hpo.data._download import TRIES, download
from hpo.errors import DataError, UsageError
from tests.web import Site, serve

CONTENT = random.Random(0).randbytes(200_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A server with one file; no proxy stands in between."""
    monkeypatch.setenv("no_proxy", "*")
    with serve() as site:
        site.files["/set.bin"] = CONTENT
        yield site


class Seen:
    """What a download told of its progress, and how long it waited."""

    def __init__(self) -> None:
        self.bytes: list[tuple[int, int | None]] = []
        self.waits: list[float] = []

    def progress(self, done: int, total: int | None) -> None:
        """Called by the download."""
        self.bytes.append((done, total))


def get(site: Site, to: Path, seen: Seen, sha256: str | None = SHA256) -> str:
    """The file, without really waiting."""
    return download(f"{site.url}/set.bin", to, sha256, seen.progress, seen.waits.append)


def test_a_file_arrives(site: Site, tmp_path: Path) -> None:
    """It has its content, its hash comes back, progress rises to its size, and nothing else is left."""
    seen = Seen()
    assert get(site, tmp_path / "set", seen) == SHA256
    assert (tmp_path / "set").read_bytes() == CONTENT
    assert seen.bytes == sorted(seen.bytes, key=lambda pair: pair[0])
    assert seen.bytes[-1] == (len(CONTENT), len(CONTENT))
    assert [path.name for path in tmp_path.iterdir()] == ["set"]
    assert seen.waits == []


def test_a_lost_connection_is_taken_up(site: Site, tmp_path: Path) -> None:
    """Where the server breaks off, only what is missing is asked for again, as often as it takes."""
    site.drop_after = 60_000
    seen = Seen()
    get(site, tmp_path / "set", seen)
    assert (tmp_path / "set").read_bytes() == CONTENT
    assert site.requests == ["", "bytes=60000-", "bytes=120000-", "bytes=180000-"]
    assert len(seen.waits) == 3


def test_another_process_goes_on(site: Site, tmp_path: Path) -> None:
    """What an earlier try left is used, and a file that was whole already is asked for nothing."""
    (tmp_path / "set.part").write_bytes(CONTENT[:150_000])
    get(site, tmp_path / "set", Seen())
    (tmp_path / "set.part").write_bytes(CONTENT)
    get(site, tmp_path / "set", Seen())
    assert site.requests == ["bytes=150000-", "bytes=200000-"]
    assert (tmp_path / "set").read_bytes() == CONTENT


def test_a_server_without_ranges(site: Site, tmp_path: Path) -> None:
    """It begins anew, and the file is right all the same."""
    site.ranges = False
    (tmp_path / "set.part").write_bytes(CONTENT[:150_000])
    get(site, tmp_path / "set", Seen())
    assert (tmp_path / "set").read_bytes() == CONTENT


@pytest.mark.parametrize("left", [b"x" * 1000, b"x" * 300_000])
def test_the_beginning_of_another_file(site: Site, tmp_path: Path, left: bytes) -> None:
    """If what lay there does not go with the rest, all of it is fetched once more."""
    (tmp_path / "set.part").write_bytes(left)
    get(site, tmp_path / "set", Seen())
    assert (tmp_path / "set").read_bytes() == CONTENT


def test_another_file_than_asked_for(site: Site, tmp_path: Path) -> None:
    """A wrong hash is refused with both, and nothing stays; without a hash the file is taken."""
    with pytest.raises(DataError, match=f"has SHA-256 {SHA256}, and not {'0' * 64}"):
        get(site, tmp_path / "set", Seen(), "0" * 64)
    assert list(tmp_path.iterdir()) == []
    assert get(site, tmp_path / "set", Seen(), None) == SHA256


def test_a_server_that_gives_nothing(site: Site, tmp_path: Path) -> None:
    """After some tries in vain, ever longer apart, it gives up, says what is there, and keeps it."""
    site.drop_after = 0
    (tmp_path / "set.part").write_bytes(CONTENT[:5])
    seen = Seen()
    with pytest.raises(
        DataError, match=rf"tried {TRIES} times in vain\. 5 bytes are there: run the same command again"
    ):
        get(site, tmp_path / "set", seen)
    assert seen.waits == [2, 4, 8, 16]
    assert (tmp_path / "set.part").read_bytes() == CONTENT[:5]


def test_a_server_in_trouble(site: Site, tmp_path: Path) -> None:
    """A server that is overloaded is asked again; one that does not have the file is not."""
    site.errors = [503, 429]
    get(site, tmp_path / "set", Seen())
    site.errors = [404]
    before = len(site.requests)
    with pytest.raises(DataError, match=r"set\.bin: the server says 404 Not Found"):
        get(site, tmp_path / "other", Seen())
    assert len(site.requests) == before + 1


def test_nobody_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An address where nobody listens is named with the reason."""
    monkeypatch.setenv("no_proxy", "*")
    with pytest.raises(DataError, match=r"cannot download http://127\.0\.0\.1:9/x: .*refused"):
        download("http://127.0.0.1:9/x", tmp_path / "x", None, Seen().progress, lambda _: None)


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://host/file", "https://", "nowhere"])
def test_only_the_web(tmp_path: Path, url: str) -> None:
    """Other kinds of addresses, which would read local files, are refused."""
    with pytest.raises(UsageError, match="is no address that can be downloaded; accepted: http"):
        download(url, tmp_path / "x", None, Seen().progress)


def test_two_at_once(site: Site, tmp_path: Path) -> None:
    """While one process downloads a file, a second one is told so and spoils nothing."""
    with (tmp_path / "set.part").open("ab") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(DataError, match=r"another process is downloading .*set\.part"):
            get(site, tmp_path / "set", Seen())
    get(site, tmp_path / "set", Seen())


def test_a_server_that_falls_silent(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, site: Site) -> None:
    """A server that accepts and says nothing is left after a while."""
    monkeypatch.setattr(_download, "TIMEOUT", 0.05)
    monkeypatch.setattr(_download, "TRIES", 1)
    done = threading.Event()
    monkeypatch.setattr(site, "files", Waiting(done))
    try:
        with pytest.raises(DataError, match="timed out"):
            get(site, tmp_path / "set", Seen())
    finally:
        done.set()


class Waiting(dict[str, bytes]):
    """Files that nobody gets before the event has happened."""

    def __init__(self, event: threading.Event) -> None:
        super().__init__()
        self._event = event

    def get(self, key: str, default: bytes | None = None) -> bytes | None:  # type: ignore[override]  # one use of it
        """Waits."""
        self._event.wait(10)
        return None

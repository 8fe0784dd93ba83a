"""How much and how often: sizes of requests, failed logins, requests a second."""

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass

from hpo.dashboard.wire import Refused, Request

LARGEST_BODY = 1 << 18  # bytes; a note is the largest thing that anybody may send
MOST_KEYS = 10_000  # addresses or names that are remembered


@dataclass(frozen=True)
class Limit:
    """So many events in so many seconds."""

    events: int
    seconds: float


FAILURES_OF_ADDRESS = Limit(10, 300.0)
FAILURES_OF_NAME = Limit(20, 900.0)
REQUESTS = Limit(600, 10.0)  # of one address


class Counter:
    """Counts events by key within a sliding window.

    Args:
        limit: from which on a key has to wait.
        clock: monotonic seconds.
    """

    def __init__(self, limit: Limit, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit = limit
        self._clock = clock
        self._lock = threading.Lock()
        self._seen: OrderedDict[str, deque[float]] = OrderedDict()

    def add(self, key: str) -> float:
        """Counts an event; or returns the seconds until the key may go on, and counts nothing."""
        with self._lock:
            events = self._recent(key)
            if len(events) >= self._limit.events:
                return events[0] + self._limit.seconds - self._clock()
            events.append(self._clock())
            self._seen[key] = events
            self._seen.move_to_end(key)
            while len(self._seen) > MOST_KEYS:
                self._seen.popitem(last=False)
        return 0.0

    def take_back(self, key: str) -> None:
        """The last event was none."""
        with self._lock:
            if events := self._recent(key):
                events.pop()

    def _recent(self, key: str) -> deque[float]:
        events = self._seen.get(key) or deque()
        while events and events[0] <= self._clock() - self._limit.seconds:
            events.popleft()
        return events


class Throttle:
    """Slows down who guesses passwords or asks without end.

    Failures count by address and by name, so that neither one machine nor many can go on guessing.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._addresses = Counter(FAILURES_OF_ADDRESS, clock)
        self._names = Counter(FAILURES_OF_NAME, clock)
        self._requests = Counter(REQUESTS, clock)

    def request(self, peer: str) -> None:
        """Counts a request.

        Raises:
            Refused: there were too many.
        """
        _refuse(self._requests.add(peer), "too many requests")

    def try_login(self, peer: str, name: str) -> None:
        """Counts a try to log in as a failure, until `logged_in` takes it back: tries at the same time count too.

        Raises:
            Refused: there were too many that failed.
        """
        _refuse(self._addresses.add(peer) or self._names.add(name[:64]), "too many failed logins")

    def logged_in(self, peer: str, name: str) -> None:
        """It was the right password."""
        self._addresses.take_back(peer)
        self._names.take_back(name[:64])


def _refuse(wait: float, what: str) -> None:
    if wait > 0:
        seconds = max(1, round(wait))
        raise Refused(429, f"{what}; try again in {seconds} s", (("Retry-After", str(seconds)),))


def body(request: Request) -> bytes:
    """What was sent, however it was sent.

    Raises:
        Refused: it is too large, or shorter than it says.
    """
    said = request.environ.get("CONTENT_LENGTH") or ""
    stream = request.environ["wsgi.input"]
    if said:
        if not (said.isascii() and said.isdigit()):
            raise Refused(400, "Content-Length is no number")
        if int(said) > LARGEST_BODY:
            raise Refused(413, f"the request has {said} bytes; accepted: up to {LARGEST_BODY}")
        content: bytes = stream.read(int(said))
        if len(content) < int(said):
            raise Refused(400, "the request is shorter than it says")
        return content
    if not request.environ.get("wsgi.input_terminated"):
        return b""  # nothing says where it ends
    content = stream.read(LARGEST_BODY + 1)
    if len(content) > LARGEST_BODY:
        raise Refused(413, f"the request has more than {LARGEST_BODY} bytes")
    return content

"""What a worker counts of itself, and how it feels: for whoever monitors it. Knows neither HTTP nor the database."""

import threading
import time
from collections import Counter
from collections.abc import Callable

from hpo.trial import Cause, Result

LOOP_SECONDS = 10.0  # without a turn of the supervisor's loop after which it has stopped
RENEW_SECONDS = 5.0  # at least, and two renewals otherwise, after which a lease is renewed too late


class Vitals:
    """Of one worker. Thread-safe.

    Args:
        renew: seconds between two renewals of its leases.
        clock: monotonic seconds; tests pass one of their own.
    """

    def __init__(self, renew: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._lock = threading.Lock()
        self._clock = clock
        self._late = max(2 * renew, RENEW_SECONDS)
        self._turned = self._asked = self._renewed = clock()
        self.ended: Counter[Cause] = Counter()
        self.values: list[float] = []
        """The worst and the best value of the trials that completed here; empty before one did."""
        self.epochs = self.retries = 0
        self.training = self.overhead = self.outage = 0.0

    def turned(self) -> None:
        """The supervisor's loop made a turn."""
        self._turned = self._clock()

    def asks(self) -> None:
        """All leases are about to be renewed: an answer is no younger than its question."""
        self._asked = self._clock()

    def renewed(self) -> None:
        """They were, by the question that was asked last, and what was lost is known to everybody here."""
        self._renewed = self._asked

    def epoch(self) -> None:
        """A trial finished an epoch."""
        with self._lock:
            self.epochs += 1

    def finished(self, result: Result) -> None:
        """A trial's end was recorded."""
        fit, total = result.seconds.get("fit", 0.0), result.seconds.get("total", 0.0)
        with self._lock:
            self.ended[result.cause] += 1
            self.training += fit
            self.overhead += max(0.0, total - fit)
            if result.value is not None and result.cause is Cause.COMPLETED:
                both = [*self.values, result.value]
                self.values = [min(both), max(both)]

    def waited(self, seconds: float) -> None:
        """A call was tried again after so long, because the database could not be used."""
        with self._lock:
            self.retries += 1
            self.outage += seconds

    @property
    def renewed_ago(self) -> float:
        """Seconds since all leases were renewed."""
        return self._clock() - self._renewed

    def complaint(self) -> str:
        """What is wrong; empty if nothing is."""
        turned, renewed = self._clock() - self._turned, self.renewed_ago
        if turned > LOOP_SECONDS:
            return f"the supervisor's loop has stood still for {turned:.0f} s"
        if renewed > self._late:
            return f"leases could not be renewed for {renewed:.0f} s: the database is away, or slow"
        return ""

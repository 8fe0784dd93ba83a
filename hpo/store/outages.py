"""What a worker remembers of outages: while one lasts nobody can renew a lease, and leases of the living run out."""

import math
import time
from collections.abc import Callable

# Of a lease: what a lease outlasts, with the time since its last renewal and the pause until the next try.
SHORT = 1 / 3


class Outages:
    """Of one worker. It takes over no lease that ran out until all others had one lease's time to renew theirs.

    Args:
        lease: seconds of a lease.
        met: the database was away when the worker came, nobody knows for how long.
        clock: monotonic seconds.
    """

    def __init__(self, lease: float, *, met: bool, clock: Callable[[], float] = time.monotonic) -> None:
        self._lease = lease
        self._met = met
        self._clock = clock
        self._answered = -math.inf
        self._until = -math.inf

    def met(self) -> None:
        """A call found no database."""
        self._met = True

    def answered(self) -> None:
        """The database answered."""
        now = self._clock()
        if self._met and now - self._answered > SHORT * self._lease:
            self._until = now + self._lease
        self._met, self._answered = False, now

    def up_for(self, seconds: float) -> None:
        """The server was started so long ago: an outage ended then, which a worker that came later did not meet."""
        self._until = max(self._until, self._clock() + self._lease - seconds)

    @property
    def lately(self) -> bool:
        """Whether an outage has ended less than a lease ago, so that a lease that ran out says nothing."""
        return self._clock() < self._until

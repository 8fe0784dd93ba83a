"""A value that is read anew for as long as somebody asks for it, so that who asks need not wait for the reading."""

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Fresh(Generic[T]):
    """What `read` says, at most about `every` seconds ago.

    Whoever asks first waits for it, and gets what it raises. From then on a thread reads it again, until nobody has
    asked for `idle` seconds or a reading has failed: whoever asks then is the first again.

    Args:
        read: may raise anything.
        every: seconds between two readings.
        idle: seconds.
        clock: monotonic seconds.
        wait: waits for so many seconds, or until its owner has gone, and says whether that was so.
    """

    def __init__(
        self,
        read: Callable[[], T],
        *,
        every: float,
        idle: float,
        clock: Callable[[], float] = time.monotonic,
        wait: Callable[[float], bool] | None = None,
    ) -> None:
        self._read = read
        self._every = every
        self._idle = idle
        self._clock = clock
        self._gone = threading.Event()
        self._wait = wait or self._gone.wait
        self._lock = threading.Lock()
        self._held: tuple[T, ...] = ()  # one value, or none
        self._asked = clock()

    def get(self) -> T:
        """The value. Several who are first at once each read it: one that is slow holds up nobody else."""
        self._asked = self._clock()
        held = self._held
        if held:
            return held[0]
        value = self._read()
        with self._lock:
            first, self._held = not self._held, (value,)
        if first:
            threading.Thread(target=self._keep, name="fresh", daemon=True).start()
        return value

    def close(self) -> None:
        """Reads no more."""
        self._gone.set()

    def _keep(self) -> None:
        while not self._wait(self._every) and self._clock() - self._asked < self._idle:
            try:
                self._held = (self._read(),)
            except Exception:  # noqa: BLE001 - the next one who asks reads it, and gets to know
                break
        with self._lock:
            self._held = ()

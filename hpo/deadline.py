"""Calls that must not hold up whoever makes them."""

import threading
import time
from collections.abc import Callable

LOOK_SECONDS = 0.2


def within(seconds: float, call: Callable[[], None], name: str, leave: Callable[[], bool] = lambda: False) -> None:
    """Calls in a thread of its own, and waits so long; the thread goes on, and ends with the process.

    Args:
        seconds: to wait.
        call: what may hang. What it raises is raised here.
        name: of the thread.
        leave: asked while waiting: whether not to wait any longer.

    Raises:
        TimeoutError: it took longer.
    """
    raised: list[Exception] = []

    def called() -> None:
        try:
            call()
        except Exception as found:  # noqa: BLE001 - raised again below, by the thread that wants to know
            raised.append(found)

    thread = threading.Thread(target=called, name=name, daemon=True)
    thread.start()
    until = time.monotonic() + seconds
    while thread.is_alive() and (left := until - time.monotonic()) > 0 and not leave():
        thread.join(min(left, LOOK_SECONDS))
    if thread.is_alive():
        raise TimeoutError
    if raised:
        raise raised[0]

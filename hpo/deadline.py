"""Calls that must not hold up whoever makes them."""

import threading
from collections.abc import Callable


def within(seconds: float, call: Callable[[], None], error: type[Exception], name: str) -> None:
    """Calls in a thread of its own, and waits so long; the thread goes on, and ends with the process.

    Args:
        seconds: to wait.
        call: what may hang.
        error: what it may raise, which is raised here.
        name: of the thread.

    Raises:
        TimeoutError: it took longer.
    """
    raised: list[Exception] = []

    def called() -> None:
        try:
            call()
        except error as found:
            raised.append(found)

    thread = threading.Thread(target=called, name=name, daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        raise TimeoutError
    if raised:
        raise raised[0]

"""Having something else hear signals for a while."""

import contextlib
import signal
from collections.abc import Callable, Iterator, Sequence

TOLD = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)  # by which people and schedulers end a program


@contextlib.contextmanager
def heard_by(handler: Callable[[int, object], None], signals: Sequence[signal.Signals] = TOLD) -> Iterator[None]:
    """Has `handler` hear them until the end of the block, in the main thread.

    Those that are ignored stay so: nohup means it.
    """
    heard = [number for number in signals if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, handler) for number in heard}
    try:
        yield
    finally:
        for number, former in before.items():
            signal.signal(number, former)

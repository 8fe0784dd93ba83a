"""A process whose clock is wrong."""

import datetime
import time


def shift(seconds: float) -> None:
    """Has this process believe that it is so much later. To be called before anything else is imported."""
    right = time.time

    class Wrong(datetime.datetime):
        @classmethod
        def now(cls, tz: datetime.tzinfo | None = None) -> "Wrong":
            return cls.fromtimestamp(time.time(), tz)

    time.time = lambda: right() + seconds
    time.time_ns = lambda: int(time.time() * 1e9)
    datetime.datetime = Wrong  # type: ignore[misc]  # the module's own name for it is what others import

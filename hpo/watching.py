"""Watching a study: beside its workers in a thread, or alone until it has ended."""

import contextlib
import threading
import time
from collections.abc import Iterator

import click
from rich.console import Console

from hpo.errors import HpoError
from hpo.looking import Eyes
from hpo.notify import Herald, asked
from hpo.settings import Times
from hpo.store import Status, Store
from hpo.views import JsonLines, View, view

POLL_SECONDS = 1.0
DRAW_SECONDS = 0.5  # between two pictures: ages grow, and a terminal may have another size


def follow(store: Store, name: str, console: Console, *, interval: float, as_json: bool) -> Status:
    """Shows a study until it has ended or failed. Returns how it stands then.

    Args:
        store: the database.
        name: of the study.
        console: where to, unless `as_json`.
        interval: seconds between two looks.
        as_json: print lines of JSON to stdout.

    Raises:
        HpoError: there is no such study, or none any more.
        KeyboardInterrupt: somebody had seen enough; the terminal is in order.
    """
    eyes = Eyes(store, name, evaluation=as_json)
    with JsonLines(click.echo) if as_json else view(console, alone=True) as shown:
        look = eyes.last
        shown.show(look)
        while look.status.state not in ("ended", "failed"):
            _wait(interval, threading.Event(), shown)
            look = eyes.look()
            shown.show(look)
    return look.status


@contextlib.contextmanager
def telling(store: Store, name: str) -> Iterator[None]:
    """While somebody watches, people elsewhere are told what a worker that died did not tell them.

    Only by who may write to the database; nobody else hears of it.

    Args:
        store: the database; it is opened once more.
        name: of the study.
    """
    with contextlib.ExitStack() as stack:
        herald = None
        with contextlib.suppress(HpoError):
            if asked(store.study(name).definition.notify):
                beside = stack.enter_context(Store(store.url))
                herald = Herald(beside, name, Times(), quiet=True)
                herald.start()
        ended = False
        try:
            yield
            ended = True
        finally:
            if herald is not None:
                herald.stop()
                if ended:
                    with contextlib.suppress(KeyboardInterrupt):  # the end was seen; another one tells it
                        herald.close()


def _wait(seconds: float, leave: threading.Event, shown: View) -> None:
    """Waits so long, or until told to leave; the view draws meanwhile."""
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0 and not leave.wait(min(left, DRAW_SECONDS)):
        shown.tick()


class Watch:
    """A context in which a thread shows how a study goes on.

    Args:
        store: the database; the thread has it for itself.
        name: of the study.
        console: where to.
    """

    def __init__(self, store: Store, name: str, console: Console) -> None:
        self._eyes = Eyes(store, name)
        self._console = console
        self._leave = threading.Event()
        self._thread = threading.Thread(target=self._run, name="live", daemon=True)

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Says what ended at the last moment."""
        self._leave.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            with view(self._console, alone=False) as shown:
                shown.show(self._eyes.last)
                leaving = False
                while not leaving:
                    _wait(POLL_SECONDS, self._leave, shown)
                    leaving = self._leave.is_set()  # asked before the look, which sees all that ended until then
                    shown.show(self._eyes.look())
        except HpoError as error:
            self._console.print(f"progress cannot be shown: {error}", soft_wrap=True)

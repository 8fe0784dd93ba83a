"""A thread that notices what there is to say of a study, and says it; what it cannot say now, somebody says later.

Nothing waits for it but the last step of a worker whose study has ended, and that not for long.
"""

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path

from hpo import settings
from hpo.deadline import within
from hpo.errors import HpoError
from hpo.notify.events import event
from hpo.notify.ways import Undelivered, Way, wanted, ways
from hpo.settings import Times
from hpo.store import OUTAGE, Store, StudyRecord
from hpo.store.outbox import Letter, Outbox
from hpo.study_notify import Notify

log = logging.getLogger(__name__)

FIRST_PAUSE, LONGEST_PAUSE = 5.0, 3600.0  # seconds between two tries of one letter: twice as long each time
LAST_SECONDS = 30.0  # that a worker which has nothing else to do waits for its last words to arrive


class Herald:
    """Watches one study on behalf of people elsewhere.

    Args:
        store: the database, one that may be written.
        name: of the study.
        times: see `Times`.
        quiet: nobody reads a log here, or somebody else has one.
    """

    def __init__(self, store: Store, name: str, times: Times, *, quiet: bool = False) -> None:
        self._store = store
        self._name = name
        self._times = times
        self._quiet = quiet
        self._said: set[str] = set()
        self._known: tuple[object, dict[str, Way]] | None = None
        self._leave = threading.Event()
        self._thread = threading.Thread(target=self._run, name="herald", daemon=True)

    def start(self) -> None:
        """Begins to watch."""
        self._thread.start()

    def close(self, leave: Callable[[], bool] = lambda: False, *, last: bool = True) -> None:
        """Says what there is to say at the end, for half a minute at most; what did not arrive is somebody else's.

        Args:
            leave: whether somebody has no more time.
            last: nothing else is left to do; else nothing is said any more.
        """
        self._leave.set()
        until = time.monotonic() + LAST_SECONDS
        while last and time.monotonic() < until and not leave():
            try:
                if not self._round(last=True):
                    return
            except OUTAGE:
                pass
            except HpoError as error:
                self._warn(str(error))
                return
            time.sleep(min(0.5, self._times.notice))

    def _run(self) -> None:
        while not self._leave.wait(self._times.notice):
            try:
                self._round(last=False)
            except OUTAGE:
                continue
            except HpoError as error:
                if not isinstance(error.__cause__, OUTAGE):
                    self._warn(str(error))
                    return

    def _round(self, *, last: bool) -> bool:
        """Notes what is new, and delivers what is due. Returns whether letters are left, here or with somebody else.

        Raises:
            HpoError: nothing can be said from here, or not now.
        """
        record = self._store.study(self._name)
        notify = wanted(record.definition.notify, settings.notify_environment())
        found = self._ways(notify, Path(record.data.base or ""))
        if not found:
            return False
        record = record.model_copy(update={"definition": record.definition.model_copy(update={"notify": notify})})
        outbox = Outbox(self._store, record)
        self._note(record, outbox, found, last=last)
        while (letter := outbox.take(found, 2 * self._times.deliver)) is not None:
            self._deliver(outbox, letter, found[letter.channel])
        return last and outbox.waiting(found)

    def _ways(self, notify: Notify, base: Path) -> dict[str, Way]:
        """The ways that can be gone; secrets are read again when one did not lead anywhere."""
        if self._known is not None and self._known[0] == (notify, base):
            return self._known[1]
        found, problems = ways(notify, base)
        for problem in problems:
            self._warn(problem)
        self._known = None if problems else ((notify, base), found)
        return found

    def _note(self, record: StudyRecord, outbox: Outbox, found: dict[str, Way], *, last: bool) -> None:
        notify, pulse = record.definition.notify, outbox.pulse()
        if not last and pulse.silent < notify.stuck_minutes * 60:
            return  # it moves, and how it ends is seen by who leaves last
        status, _ = self._store.look(self._name)
        happened = event(record, status, pulse)
        if happened is not None and happened.kind in notify.on:
            outbox.put(happened.id, found.keys() - outbox.known(happened.id), happened.notice)

    def _deliver(self, outbox: Outbox, letter: Letter, way: Way) -> None:
        try:
            _within(self._times.deliver, lambda: way.deliver(letter.event, letter.notice, self._times.deliver / 2))
        except Undelivered as error:
            self._known = None
            pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** (letter.tries - 1))
            outbox.failed(letter, str(error), pause)
            self._warn(f"{letter.notice['kind']} study could not be told of: {error}; trying again in {pause:.0f} s")
        else:
            outbox.delivered(letter)

    def _warn(self, text: str) -> None:
        if text not in self._said and not self._quiet:
            log.warning("%s", text)
        self._said.add(text)


def _within(seconds: float, call: Callable[[], None]) -> None:
    """Calls, and waits so long: a server that sends a byte now and then must hold up nobody.

    Raises:
        Undelivered: it took longer, or what the call raised.
    """
    try:
        within(seconds, call, Undelivered, "delivery")
    except TimeoutError as error:
        raise Undelivered(f"no answer within {seconds:g} s") from error

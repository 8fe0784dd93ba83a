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
from hpo.store import OUTAGE, Store, StudyRecord, is_outage
from hpo.store.outbox import Letter, Outbox
from hpo.study_notify import Notify

log = logging.getLogger(__name__)

FIRST_PAUSE, LONGEST_PAUSE = 5.0, 3600.0  # seconds between two tries of one letter: twice as long each time
LAST_SECONDS = 30.0  # that a worker which has nothing else to do waits for its last words to arrive
HURRIED_SECONDS = 5.0  # the same of one that was told to leave
PATIENCE = 2.0  # seconds after which a person is told what is waited for


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

    def stop(self) -> None:
        """Says nothing any more."""
        self._leave.set()

    def close(self, leave: Callable[[], bool] = lambda: False, *, hurried: bool = False) -> None:
        """Says what there is to say at the end. It is noted in any case; what did not arrive is somebody else's.

        Args:
            leave: asked again and again: whether somebody has no more time.
            hurried: waits for 5 seconds at most, not for 30.
        """
        self.stop()
        began = time.monotonic()
        until = began + (HURRIED_SECONDS if hurried else LAST_SECONDS)
        said = False

        def over() -> bool:
            nonlocal said
            if not said and time.monotonic() - began > PATIENCE:
                said = True
                log.info("telling who wanted to be told; for %.0f s at most", until - began)
            return leave() or time.monotonic() >= until

        while True:
            try:
                if not self._round(last=True, over=over):
                    return
            except OUTAGE:
                pass
            except HpoError as error:
                self._warn(str(error))
                return
            if over():
                return
            time.sleep(min(0.5, self._times.notice))

    def _run(self) -> None:
        while not self._leave.wait(self._times.notice):
            try:
                self._round(last=False)
            except OUTAGE:
                continue
            except HpoError as error:
                if not is_outage(error):
                    self._warn(str(error))
                    return

    def _round(self, *, last: bool, over: Callable[[], bool] = lambda: False) -> bool:
        """Notes what is new, and delivers what is due. Returns whether letters are left, here or with somebody else.

        Args:
            last: how it ends counts as well.
            over: whether to deliver nothing any more, not even what is on its way.

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
        while not over() and (letter := outbox.take(found, 2 * self._times.deliver)) is not None:
            self._deliver(outbox, letter, found[letter.channel], over)
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

    def _deliver(self, outbox: Outbox, letter: Letter, way: Way, over: Callable[[], bool]) -> None:
        seconds = self._times.deliver
        try:
            _within(seconds, lambda: way.deliver(letter.event, letter.notice, seconds / 2), over)
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


def _within(seconds: float, call: Callable[[], None], leave: Callable[[], bool] = lambda: False) -> None:
    """Calls, and waits so long: a server that sends a byte now and then must hold up nobody.

    Raises:
        Undelivered: it took longer, or the call raised anything.
    """
    try:
        within(seconds, call, "delivery", leave)
    except TimeoutError as error:
        raise Undelivered(f"no answer within {seconds:g} s" if not leave() else "there was no time to wait") from error
    except Undelivered:
        raise
    except Exception as error:  # whatever a library has against this letter: it has not arrived
        raise Undelivered(f"it could not be sent: {type(error).__name__}") from error

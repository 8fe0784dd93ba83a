"""One slot: claims a trial, has it trained in a process of its own, attends to that process, records how it ended.

Runs in a thread of the supervisor. What the supervisor wants of all its slots stands in `Wishes`.
"""

import logging
import signal
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hpo.carrier import Carrier
from hpo.cgroup import OomKills
from hpo.child import Child, ChildStartError, ChildStuckError, Closed, ForkServer
from hpo.errors import HpoError, StorageError
from hpo.gpus import roomier
from hpo.settings import Times
from hpo.spool import LOG
from hpo.store import Claim, Claims, Idle, Over
from hpo.trial import Cause, Epoch, Interruption, Result, Started, TrialSpec

log = logging.getLogger(__name__)

PAUSE = 5.0  # seconds between two looks at a child that say that this process itself stood still
START_TRIES = 3  # to get a process for a trial, before the worker gives up
END_SECONDS = 5.0  # that a child has to end after its result


@dataclass
class Wishes:
    """What a supervisor wants of its slots.

    Attributes:
        drain: claim no more. abort: give back what runs. Both are set once and never cleared.
        interruption: who had it leave, for trials that it gives back.
        over: why there is nothing left to claim, once a slot was told so.
        error: the first thing that went wrong in a slot and ends the worker.
        failed_starts: children in a row that never came to work.
    """

    drain: threading.Event = field(default_factory=threading.Event)
    abort: threading.Event = field(default_factory=threading.Event)
    interruption: Interruption | None = None
    over: Over | None = None
    error: HpoError | None = None
    failed_starts: int = 0

    def fail(self, error: HpoError) -> None:
        """Ends the worker for this reason, unless there is one already."""
        self.error = self.error or error
        self.drain.set()
        self.abort.set()


@dataclass
class Running:
    """A claim whose child a slot attends to. Times are the monotonic clock's.

    Attributes:
        device: value of CUDA_VISIBLE_DEVICES for the child, or None.
        oom_kills: so many there were before the child started.
        budget_ended: the renewal of its own lease was answered so. No clock of this process says it: the books do not
            count outages, stops and gaps without a lease.
        lost: the trial is another worker's, and was not over here.
        unleased: it was not leased to this worker at the last renewal: it is over here, or another worker's.
    """

    claim: Claim
    began: float
    heard: float
    device: str | None = None
    oom_kills: int = 0
    started: bool = False
    lost: bool = False
    unleased: bool = False
    budget_ended: bool = False
    told: Cause | None = None
    told_at: float = 0.0
    result: Result | None = None


class Slot:
    """Trains one trial at a time.

    Args:
        claims: of the worker.
        server: starts children.
        specify: makes the spec of a claimed trial that writes into a folder.
        carrier: sees to the trials' files.
        times: see `Times`.
        wishes, kills: shared with the supervisor and the other slots.
        device: value of CUDA_VISIBLE_DEVICES for its trials; None leaves it as it is.
        devices: those of all slots of the worker.
    """

    def __init__(
        self,
        claims: Claims,
        server: ForkServer,
        specify: Callable[[Claim, Path], TrialSpec],
        carrier: Carrier,
        times: Times,
        wishes: Wishes,
        kills: OomKills,
        device: str | None = None,
        devices: Sequence[str | None] = (),
    ) -> None:
        self._claims = claims
        self._server = server
        self._specify = specify
        self._carrier = carrier
        self._times = times
        self._wishes = wishes
        self._kills = kills
        self._device = device
        self._devices = devices
        self.running: Running | None = None
        """What it attends to now: the supervisor renews its lease, and says here what it was answered."""

    def run(self) -> None:
        """Claims and trains until there is nothing left to claim, or the worker drains."""
        try:
            while not self._wishes.drain.is_set():
                claim = self._claims.claim()
                if isinstance(claim, Over):
                    self._wishes.over = claim
                    return
                if isinstance(claim, Idle):
                    self._wishes.drain.wait(self._times.idle)
                    continue
                self._train(claim)
        except HpoError as error:
            self._wishes.fail(error)
        except Exception as error:
            log.exception("the supervisor has a bug")
            self._wishes.fail(HpoError(f"the supervisor has a bug: {error!r}"))

    def _train(self, claim: Claim) -> None:
        try:
            tried = self._try(claim, self._device)
            if tried is not None and (roomy := self._second_chance(tried[0])) is not None:
                tried = self._try(claim, roomy)
            if tried is not None:
                self._end(*tried)
                self._refuse_stuck(*tried)
        finally:
            self.running = None

    def _try(self, claim: Claim, device: str | None) -> tuple[Running, Child] | None:
        """Trains a claimed trial on `device`. None when there was no process, and the trial was given back."""
        now = time.monotonic()
        running = self.running = Running(claim, began=now, heard=now, device=device, oom_kills=self._kills.so_far())
        child = self._start(running)
        if child is None:
            return None
        running.began = running.heard = time.monotonic()  # the server's own start is not the trial's time
        self._attend(running, child)
        self._server.end(child)  # it may have sent its result and not end
        return running, child

    def _refuse_stuck(self, running: Running, child: Child) -> None:
        """Gives up where a child is still there: whatever the next one wants, this one has it."""
        if child.wait(0):
            return
        child.hang_up()
        if not self._wishes.abort.is_set():
            raise ChildStuckError(
                f"process {child.pid} of trial {running.claim.number} was killed and does not end: it waits for a "
                "driver or a file system of this machine; the worker leaves, and gives back what runs"
            )

    def _second_chance(self, running: Running) -> str | None:
        """A GPU to try the trial on once more: it ran out of memory while other processes held some of its own GPU's.

        Which GPU a trial got is no property of its parameters, and nothing that the sampler should learn.
        """
        if running.result is None or running.result.cause is not Cause.OUT_OF_MEMORY or not running.device:
            return None
        if running.unleased:  # nobody has recorded its end here, so it is another worker's
            return None
        roomy = roomier(running.device, self._devices)
        if roomy is not None:
            number = running.claim.number
            log.warning(
                "trial %d: no memory left on %s, which is shared; once more on %s", number, running.device, roomy
            )
        return roomy

    def _start(self, running: Running) -> Child | None:
        """A process for the trial; None when there was none this time, and the trial was given back."""
        claim = running.claim
        try:
            folder = self._carrier.begin(claim, self._wishes.abort.is_set)
            spec = self._specify(claim, folder).model_copy(update={"device": running.device, "resumable": True})
            return self._server.start(spec, folder / LOG, self._wishes.abort.is_set)
        except ChildStartError as error:
            self._give_up_start(claim, error)
            return None
        except OSError as error:
            self._give_back(claim, lost=False)
            raise StorageError(
                f"cannot write {error.filename or 'the cache'}: {error.strerror}; free space, or name another folder "
                "with --cache"
            ) from error

    def _give_up_start(self, claim: Claim, error: ChildStartError) -> None:
        """Gives a trial back whose process never came to work: the machine's fault, not the trial's."""
        self._give_back(claim, lost=False)
        if self._wishes.abort.is_set():
            return
        self._wishes.failed_starts += 1
        if self._wishes.failed_starts >= START_TRIES:
            raise error
        log.warning("%s; trying again", error)

    def _attend(self, running: Running, child: Child) -> None:
        """Passes the child's reports on and stops it when there is a reason to, until it closes its line."""
        looked = time.monotonic()
        while True:
            try:
                message = child.receive(timeout=0.2)
            except Closed:
                return
            if message is not None:
                self._take(running, child, message)
                running.heard = time.monotonic()
            now = time.monotonic()
            if (gap := now - looked) > PAUSE:
                # This process stood still (it was stopped, or the database was away): that was not the child's time.
                running.began += gap
                running.told_at += gap
                running.heard = now
            looked = now
            if running.result is not None:
                child.wait(END_SECONDS)
                return
            if self._hopeless(running):
                child.kill()
                return
            if running.told is None and (cause := self._reason_to_stop(running)) is not None:
                self._tell(running, child, cause)

    def _take(self, running: Running, child: Child, message: Epoch | Started | Result) -> None:
        """One message of the child's."""
        match message:
            case Started():
                running.started = True
                self._wishes.failed_starts = 0
            case Result():
                running.result = message
            case Epoch() if running.told is None and not running.lost:
                if message.checkpoint is not None:
                    self._carrier.changed()
                if self._claims.report(running.claim, message):
                    self._tell(running, child, Cause.PRUNED)

    def _tell(self, running: Running, child: Child, cause: Cause) -> None:
        running.told, running.told_at = cause, time.monotonic()
        child.stop(cause)

    def _reason_to_stop(self, running: Running) -> Cause | None:
        minutes = self._claims.record.definition.budget.trial_minutes
        if running.budget_ended:
            return Cause.BUDGET
        if minutes is not None and time.monotonic() - running.began >= minutes * 60:
            return Cause.TIMED_OUT
        return None

    def _hopeless(self, running: Running) -> bool:
        """Whether the child is to be killed: its trial is no longer ours, or it does not obey, or says nothing."""
        now = time.monotonic()
        stall = self._claims.record.definition.train.stall_minutes * 60
        if running.lost or self._wishes.abort.is_set():
            return True
        if running.told is not None and now - running.told_at > self._times.obey:
            running.result = Result(cause=running.told, detail="it did not end when told to, and was killed")
            return True
        if not running.started:
            return now - running.began > self._times.start
        if now - running.heard > stall:
            running.result = Result(cause=Cause.STALLED, detail=f"nothing was heard of it for {stall:.0f} s")
            return True
        return False

    def _end(self, running: Running, child: Child) -> None:
        claim = running.claim
        if running.result is not None:
            if not self._finish(claim, running.result):
                log.warning("trial %d was taken over by another worker; its result here is dropped", claim.number)
        elif running.lost:
            self._claims.forget(claim)
            self._carrier.drop(claim)
            log.warning("trial %d was taken over by another worker", claim.number)
        elif self._wishes.abort.is_set():
            self._carrier.settle()
            self._give_back(claim, lost=False, why=self._wishes.interruption)
        elif child.status == -signal.SIGKILL and self._kills.explain(running.oom_kills):
            self._finish(claim, Result(cause=Cause.OUT_OF_MEMORY, detail="the kernel killed it for its memory"))
        elif not running.started:
            where = self._carrier.begin(claim, self._wishes.abort.is_set) / LOG
            self._give_up_start(
                claim,
                ChildStartError(
                    f"the process of trial {claim.number} {_how(child)} before it came to work; see {where}"
                ),
            )
        else:
            log.warning("the process of trial %d %s; it will be taken up again", claim.number, _how(child))
            self._give_back(claim, lost=True)

    def _finish(self, claim: Claim, result: Result) -> bool:
        """Records a trial's end. False where it was another worker's by then."""
        recorded = self._claims.finish(claim, result)
        if recorded:
            self._carrier.end(claim)
        else:
            self._carrier.drop(claim)
        return recorded

    def _give_back(self, claim: Claim, *, lost: bool, why: Interruption | None = None) -> None:
        self._claims.release(claim, lost=lost, why=why)
        self._carrier.leave(claim)


def _how(child: Child) -> str:
    """How a process ended, as far as anybody knows."""
    if child.status is None:
        return "died with its fork server" if child.wait(0) else "does not end"
    return f"was killed by signal {-child.status}" if child.status < 0 else f"ended with status {child.status}"

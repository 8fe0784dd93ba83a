"""Who owns which trial: claim, renew, report, finish, release. The heart of what the project promises.

A trial runs at least once and is recorded at most once. Under the study's lock a worker counts the budget, takes over
a lost trial or asks for a new one, and writes the lease; with the same lock it finishes, fenced by the attempt. A
lost trial keeps its number and stays RUNNING: there is no FAIL, no copy and nothing to reconcile.
"""

import logging
import math
import threading
import time
from collections.abc import Callable, Iterable
from typing import TypeVar

import optuna

from hpo import errors, search
from hpo.resolve import split_params
from hpo.settings import Times
from hpo.store import glance
from hpo.store.books import Books, Row
from hpo.store.catalogue import Store
from hpo.store.connect import OUTAGE, held, retried
from hpo.store.database import deleted
from hpo.store.duplicates import Duplicates, waits
from hpo.store.endings import Endings, artifacts_of
from hpo.store.leases import Key, Leases
from hpo.store.limits import BUDGETS, no_more, over, seconds_left
from hpo.store.lock import LockLostError
from hpo.store.outages import Outages
from hpo.store.overview import PROGRESS, given
from hpo.store.proposals import Proposals, derive_seed
from hpo.store.records import Claim, Idle, Orders, Over, StudyRecord, TrialRecord
from hpo.store.roster import Roster
from hpo.store.rows import Rows
from hpo.store.seen import Seen
from hpo.trial import Cause, Epoch, Interruption, Result
from hpo.vitals import Vitals

log = logging.getLogger(__name__)

T = TypeVar("T")
State = optuna.trial.TrialState
NO_STEP = -1
MOST_KNOWN = 20  # proposals of one claim that need no training, or locks that it loses
MOST_WAITING = 10  # trials that are held back; with more of them no new one is proposed


class Claims:
    """The claims of one worker on one study. Thread-safe: a slot's thread each, and one that renews.

    Args:
        store: the database.
        name: of the study.
        worker: id of this worker, unlike all others'.
        times: lease length.
        give_up: once set, an unusable database is waited for only briefly; None waits as long as always.
        vitals: where the worker counts.
        clock: monotonic seconds; tests pass one of their own.
    """

    def __init__(
        self,
        store: Store,
        name: str,
        worker: str,
        times: Times,
        *,
        give_up: threading.Event | None = None,
        vitals: Vitals | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._outages = Outages(times.lease, met=store.was_away, clock=clock)
        self._vitals = vitals or Vitals(times.renew)
        self._store = store
        self._worker = worker
        self._give_up = give_up
        self._lock = store.lock(name)
        self._record = self._retried(lambda: store.study(name))
        self._outages.up_for(self._retried(store.up_for))
        self._study = self._retried(lambda: store.optuna_study(self._record))
        self._books = Books(store, self._record)
        self._rows = Rows(store, self._record.study_id, self._books)
        self._leases = Leases(
            store, self._record, worker, times.lease, books=self._books, rows=self._rows, outages=self._outages
        )
        self._proposals = Proposals(store, self._record, self._study)
        self._endings = Endings(store, self._record, self._study, self._books, self._rows, self._proposals)
        self._duplicates = Duplicates(store, self._record, self._books, self._rows, self._endings)
        self.roster = Roster(store, self._record, self._books, worker, self._retried)
        self._live: dict[Key, optuna.trial.Trial] = {}
        self._reported: dict[Key, int] = {}
        self._heard = False  # of a trial, since the last renewal

    def _retried(self, call: Callable[[], T]) -> T:
        answer = retried(call, give_up=self._give_up, waited=self._waited)
        self._outages.answered()
        return answer

    def _waited(self, seconds: float) -> None:
        self._vitals.waited(seconds)
        self._outages.met()

    @property
    def record(self) -> StudyRecord:
        """The study as it was at the last claim: its budget may have changed since."""
        return self._record

    def look(self, number: int) -> TrialRecord:
        """A trial as the database has it now. Asks once.

        Raises:
            KeyError: there is no such trial. StorageError: the database cannot be used at this moment.
        """
        try:
            return glance.trial(self._store, self._record, number)
        except OUTAGE as error:
            raise errors.StorageError(f"the database cannot be used: {errors.reason(error)}") from error

    # --- claim -------------------------------------------------------------------------------------------------

    def claim(self) -> Claim | Idle | Over:
        """A trial to train: a lost one first, else a new one; or that there is none now, or none any more.

        Raises:
            UsageError: the study was deleted; so do the calls below.
        """
        for _ in range(MOST_KNOWN):
            # Reading all that is new takes long on a large study: not under the lock.
            self._retried(self._see)
            try:
                found = self._retried(self._claim)
            except LockLostError as error:
                log.warning("%s; claiming again", error)
                continue
            if found is not None:
                return found
        return Idle()  # so that the worker looks whether it shall leave

    def _claim(self) -> Claim | Idle | Over | None:
        """As `claim`; None for a proposal that needs no training."""
        with held(self._lock, self._give_up) as still_held:
            self._record = self._proposals.record = self._store.again(self._record)
            budget = self._record.definition.budget
            now, account, rows = self._rows.open()
            self._outages.answered()
            self._endings.complete(self._rows.unclosed())
            seen = self._see()
            trials, running = seen.trials, seen.of(State.RUNNING)
            silent = [number for number in running if not self._leases.owned(number, rows.get(number), now, self._live)]
            nobodys = [number for number in silent if not self._leases.may_come_back(rows.get(number))]
            waiting = [number for number in nobodys if waits(rows.get(number), trials)]
            lost = [number for number in nobodys if number not in waiting]
            ended = len(seen.finished) - seen.failed
            end = over(self._record, ended, account, self._rows)
            if end is not None:
                if end.reason in BUDGETS:
                    if nobodys != running:
                        return Idle()  # who leaves now would leave the others to nobody, should their workers be dead
                    for number in nobodys:
                        row = rows.get(number)
                        self._endings.end_lost(number, row, Cause.BUDGET, 0 if row is None else row["losses"])
                return end
            open_trials = len(running) - len(lost)
            for number in lost:
                # A lock that was lost may have left more open trials than the budget holds: they wait for its end.
                if budget.trials is not None and ended + open_trials >= budget.trials:
                    return no_more(budget.trials, ended)
                before = rows.get(number)
                # a lease that ran out is a loss; one that was given back is not
                losses = 0 if before is None else before["losses"] + (before["worker"] is not None)
                if losses > budget.retries:
                    self._endings.end_lost(number, before, Cause.POISON, losses)
                    ended += 1
                    continue
                trial = self._proposals.reattach(number)
                suggestion = search.suggest(trial, self._record.spaces)
                return self._give_out(trial, suggestion, rows, seen, losses, still_held)
            if budget.trials is not None and ended + open_trials >= budget.trials:
                return no_more(budget.trials, ended)
            if self._record.definition.sibling and not seen.of(State.WAITING):
                return Idle() if open_trials else Over(reason="trials")  # its trials are given, never asked for
            if self._proposals.exhausted(seen):
                return Idle() if open_trials else Over(reason="space")
            if len(waiting) >= MOST_WAITING:
                return Idle()
            still_held()
            with self._store.storage.asking(still_held):
                trial = self._proposals.ask(seen, rows)
                suggestion = search.suggest(trial, self._record.spaces)
            return self._give_out(trial, suggestion, rows, seen, 0, still_held)

    def _see(self) -> Seen:
        try:
            return self._store.storage.see(self._record.study_id)
        except KeyError as error:
            raise deleted(self._record) from error

    def _give_out(
        self,
        trial: optuna.trial.Trial,
        suggestion: search.Suggestion,
        rows: dict[int, Row],
        seen: Seen,
        losses: int,
        still_held: Callable[[], None],
    ) -> Claim | None:
        """Leases a trial to this worker, unless it repeats another one: then that one answers, and there is None."""
        row = rows.get(trial.number)
        fresh = row is None or row["same_as"] is not None
        if fresh and self._record.definition.search.duplicates == "skip":
            other = self._duplicates.twin(trial, seen, rows)
            if other is not None:
                still_held()
                self._duplicates.settle(trial, other, rows)
                return None
        # One that nobody had before has no epochs yet. Read first: nothing may fail between the lease and its noting.
        reported = (
            {} if row is None else self._store.storage.one(self._record.study_id, trial.number).intermediate_values
        )
        claim = self._lease_out(trial, suggestion, row, losses, still_held)
        self._live[claim.key] = trial
        self._reported[claim.key] = max(reported, default=NO_STEP)
        return claim

    def _lease_out(
        self,
        trial: optuna.trial.Trial,
        suggestion: search.Suggestion,
        row: Row | None,
        losses: int,
        still_held: Callable[[], None],
    ) -> Claim:
        decided = given(trial.user_attrs)
        seed = decided.seed if decided else derive_seed(self._record.definition.split.seed, trial.number)
        artifacts = artifacts_of(self._record, trial.number)
        still_held()  # the row below is what makes the trial ours
        attempt = self._leases.take(trial.number, row, losses=losses, seed=seed, artifacts=artifacts)
        model, training = split_params(suggestion.params)
        return Claim(
            number=trial.number,
            attempt=attempt,
            seed=seed,
            family=suggestion.family,
            model=model,
            training=training,
            artifacts=artifacts,
            taken_over=attempt > 1,
            given=decided,
        )

    # --- while it runs -----------------------------------------------------------------------------------------

    def renew(self, claims: Iterable[Claim]) -> Orders:
        """Renews the leases of `claims`, and says what a worker must know: what is lost, whether to stop."""
        wanted = list(claims)
        return self._retried(lambda: self._renew(wanted))

    def _renew(self, claims: list[Claim]) -> Orders:
        self._vitals.asks()
        with self._store.rdb.engine.begin() as connection:
            now = self._books.tick(connection)
            lost = self._leases.renew(connection, claims, now)
            self.roster.seen(connection, now)
            if self._heard:
                self._books.progress(connection, now)
                self._heard = False
            books = self._books.read(connection)
            slots = self._leases.alive(connection, now)
        budget = self._store.again(self._record).definition.budget
        left = seconds_left(budget, books, slots)
        return Orders(lost=lost, stop=bool(books["stop_requested"]), seconds_left=left)

    def report(self, claim: Claim, epoch: Epoch) -> bool:
        """Records one epoch; returns whether the pruner would end the trial."""
        trial = self._live[claim.key]
        self._heard = True
        self._vitals.epoch()
        definition = self._record.definition
        pruner, several = definition.search.pruner, len(definition.train.metrics) > 1
        # Optuna takes no reports where there are several metrics; what an earlier attempt reported is left out
        heard = [] if several else pruner.reports(epoch)
        new = [r for r in heard if r[0] > self._reported[claim.key] and math.isfinite(r[1])]

        def report() -> bool:
            if (several or not pruner.by_epoch) and math.isfinite(epoch.value):
                trial.set_user_attr(PROGRESS, [epoch.step, epoch.value])
            for step, value in new:
                trial.report(value, step)
            return bool(new) and trial.should_prune()

        try:
            prune = self._retried(report)
        except KeyError as error:
            raise deleted(self._record) from error
        except optuna.exceptions.UpdateFinishedTrialError:
            return False  # somebody else finished it: the next renewal says so
        if new:
            self._reported[claim.key] = max(step for step, _ in new)
        return prune

    # --- end ---------------------------------------------------------------------------------------------------

    def finish(self, claim: Claim, result: Result) -> bool:
        """Records how a trial ended, once. Returns False when the trial is no longer this worker's.

        Calling it again with the same claim is harmless: the first result stays.
        """
        while True:
            try:
                recorded = self._retried(lambda: self._finish(claim, result))
                break
            except LockLostError as error:
                log.warning("%s; recording trial %d again", error, claim.number)
        if recorded:
            self._vitals.finished(result)
        return recorded

    def _finish(self, claim: Claim, result: Result) -> bool:
        with held(self._lock, self._give_up):
            with self._store.rdb.engine.begin() as connection:
                now = self._books.tick(connection)
                row = connection.execute(self._rows.select(claim.number)).mappings().one()
                if row["worker"] != self._worker or row["attempt"] != claim.attempt:
                    self.forget(claim)
                    return False
                if row["outcome"] is None:
                    # From here on the result is safe: whoever claims next tells Optuna if we no longer can.
                    self._rows.record(connection, claim.number, result, now)
                    self._books.progress(connection, now)
                else:
                    result = Result.model_validate(row["outcome"])
            self._endings.close(claim.number, result, self._live.get(claim.key))
        self.forget(claim)
        return True

    def release(self, claim: Claim, *, lost: bool, why: Interruption | None = None) -> bool:
        """Gives a trial back: it stays RUNNING, and the next claim takes it over at once.

        Args:
            lost: its process died, which counts towards `budget.retries`; False for a worker that leaves in order.
            why: it leaves, for the record; None if the trial never came to be trained.
        """
        self.forget(claim)
        return self._retried(lambda: self._leases.release(claim, lost=lost, why=why))

    def forget(self, claim: Claim) -> None:
        """Told by a worker that no longer trains a trial."""
        self._live.pop(claim.key, None)
        self._reported.pop(claim.key, None)

"""What `hpo evaluate` keeps: its plans and findings, the trials that it gives out, and who opened which test part."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Select, func, insert, select, update

from hpo.errors import UsageError
from hpo.space import Params, Space
from hpo.store import tables
from hpo.store.catalogue import Store
from hpo.store.connect import quiet_optuna, retried
from hpo.store.overview import GIVEN
from hpo.store.records import DataRecord, Evaluation, Given, Opening, Plan, StudyRecord
from hpo.study import StudyDef

OPENINGS = "TEST-PARTS"  # a lock that is no study's: their names have no capitals


def give(
    store: Store,
    definition: StudyDef,
    trials: Iterable[tuple[Given, Params]],
    *,
    spaces: Mapping[str, Space],
    data: DataRecord,
    versions: Mapping[str, str],
) -> StudyRecord:
    """Creates a sibling or goes on with it, and enqueues the trials that it does not have yet.

    A trial that failed because of a bug is given again. The budget is the number of all others, and at no moment less:
    a worker that waits for the lock, or comes after a kill, shall not find that all is done.

    Args:
        store: the database.
        definition: of the sibling.
        trials: with the parameters as Optuna knows them.
        spaces, data, versions: as `Store.create` takes them.
    """
    wanted, name = list(trials), definition.name
    with store.lock(name).hold():
        before = store.trials(name) if name in store.names() else []
        there = {trial.given.key for trial in before if trial.given and trial.state != "fail"}
        new = {given.key: (given, params) for given, params in wanted if given.key not in there}
        budget = definition.budget.model_copy(update={"trials": max(1, len(there) + len(new))})
        record, _ = store.create_locked(
            definition.model_copy(update={"budget": budget}), spaces=spaces, data=data, versions=versions, extend=True
        )
        study = store.optuna_study(record)
        with quiet_optuna():
            for given, params in new.values():
                study.enqueue_trial(params, user_attrs={GIVEN: given.model_dump(mode="json")})
    return record


class Evaluations:
    """The evaluations of one study.

    Args:
        store: the database.
        record: of the study.
    """

    def __init__(self, store: Store, record: StudyRecord) -> None:
        self._store = store
        self._record = record

    def all(self) -> list[Evaluation]:
        """All of them, the one that began last first."""
        columns = tables.evaluations.c
        query = select(tables.evaluations).where(columns.study_id == self._record.study_id)
        rows = retried(lambda: _rows(self._store, query.order_by(columns.number.desc())))
        return [Evaluation.model_validate({k: v for k, v in row.items() if k != "study_id"}) for row in rows]

    def latest(self) -> Evaluation | None:
        """The one that counts: the last that was tested, else the last that has a report; None where none has.

        A ranking that was made later takes nothing from a test score: it is spent, and the only honest one.
        """
        ended = [evaluation for evaluation in self.all() if evaluation.report is not None]
        return max(ended, key=lambda found: (found.tested, found.finished_at or 0.0, found.number), default=None)

    def begin(self, plan: Plan) -> Evaluation:
        """A new one; or one that somebody else has just begun with the same plan, and not ended."""
        with self._store.lock(self._record.name).hold():
            before = self.all()
            for evaluation in before:
                if evaluation.report is None and evaluation.plan == plan:
                    return evaluation
            with self._store.rdb.engine.begin() as connection:
                begun = Evaluation(number=len(before), plan=plan, created_at=self._store.now(connection))
                row = begun.model_dump(mode="json", exclude={"winner", "report", "finished_at"})
                connection.execute(insert(tables.evaluations).values(study_id=self._record.study_id, **row))
        return begun

    def purpose(self, evaluation: Evaluation) -> str:
        """Names what a test part is opened for: one evaluation has one winner, and its refits."""
        named = [self._record.name, evaluation.number, evaluation.created_at]
        return hashlib.sha256(json.dumps(named).encode()).hexdigest()

    def opened(self, evaluation: Evaluation) -> bool:
        """Whether the test part was opened for this one."""
        query = select(tables.openings).where(tables.openings.c.purpose == self.purpose(evaluation))
        return bool(retried(lambda: _rows(self._store, query)))

    def choose(self, number: int, winner: str) -> None:
        """Records the configuration that won on validation."""
        self._change(number, winner=winner)

    def finish(self, number: int, report: Mapping[str, Any]) -> None:
        """Records what was found out."""
        self._change(number, ended=True, report=dict(report))

    def _change(self, number: int, *, ended: bool = False, **values: Any) -> None:
        columns = tables.evaluations.c
        row = update(tables.evaluations).where(columns.study_id == self._record.study_id, columns.number == number)

        def change() -> None:
            with self._store.rdb.engine.begin() as connection:
                when = {"finished_at": self._store.now(connection)} if ended else {}
                connection.execute(row.values(**values, **when))

        retried(change)


def openings(store: Store, *names: str) -> list[Opening]:
    """Everybody who ever opened this test part, first to last; also under a name that shares an opening with these.

    Args:
        store: the database.
        names: SHA-256 of the test part, as it is called now, or was by an older hpo (`unite`).
    """
    this, linked, found = tables.openings.alias(), tables.openings.alias(), tables.openings
    purposes = select(this.c.purpose).where(this.c.test_sha256.in_(names))
    all_names = select(linked.c.test_sha256).where(linked.c.purpose.in_(purposes))
    query = select(found).where(found.c.test_sha256.in_(all_names)).order_by(found.c.opened_at, found.c.number)
    rows = retried(lambda: _rows(store, query))
    return list({row["purpose"]: _opening(row) for row in rows}.values())


def unite(store: Store, *names: str) -> None:
    """Makes known under each of a test part's names who opened it under another: an older hpo named it otherwise.

    No row is changed: reports of that time have the old name.
    """

    def missing() -> list[tuple[str, Opening]]:
        opened = {name: {opening.purpose: opening for opening in openings(store, name)} for name in names}
        everybody = {purpose: opening for each in opened.values() for purpose, opening in each.items()}
        return [(name, o) for name, known in opened.items() for p, o in everybody.items() if p not in known]

    def share() -> None:
        with store.lock(OPENINGS).hold():
            for name, opening in missing():
                with store.rdb.engine.begin() as connection:
                    _record(connection, name, opening)

    if missing():
        retried(share)


def refuse_second(before: Sequence[Opening], purpose: str) -> None:
    """Refuses a second look at a test part.

    Args:
        before: who opened it.
        purpose: what for; the same purpose may finish what it began.

    Raises:
        UsageError: somebody opened it for another purpose.
    """
    if before and all(opening.purpose != purpose for opening in before):
        last = before[-1]
        when = datetime.fromtimestamp(last.opened_at, UTC).strftime("%Y-%m-%d %H:%M UTC")
        raise UsageError(
            f"this test part was opened before, by study {last.study!r} ({last.who}, {when}): a second look at the "
            "same test part, even under another name, is no longer an honest figure. --no-test ranks on validation "
            "alone; --again opens it once more, and every report will say so"
        )


def open_once(store: Store, test_sha256: str, *, study: str, purpose: str, who: str, again: bool) -> list[Opening]:
    """Records that the test part is being opened, before anybody reads it. Returns all openings, this one included.

    The same purpose is recorded once: a look that was killed may be finished.

    Args:
        store: the database.
        test_sha256: of the test part.
        study: on whose behalf. purpose: hash of what is to be scored. who: user and host.
        again: although it was opened before.

    Raises:
        UsageError: it was opened before, for another purpose.
    """

    def record() -> list[Opening]:
        with store.lock(OPENINGS).hold():
            before = openings(store, test_sha256)
            if any(opening.purpose == purpose for opening in before):
                return before
            if not again:
                refuse_second(before, purpose)
            with store.rdb.engine.begin() as connection:
                now = store.now(connection)
                opening = Opening(number=len(before), study=study, purpose=purpose, who=who, opened_at=now)
                _record(connection, test_sha256, opening)
            return [*before, opening]

    return retried(record)


def _record(connection: Connection, test_sha256: str, opening: Opening) -> None:
    """Adds a row, behind all others of this name."""
    columns = tables.openings.c
    last = connection.execute(select(func.max(columns.number)).where(columns.test_sha256 == test_sha256)).scalar()
    row = opening.model_dump() | {"number": 0 if last is None else last + 1}
    connection.execute(insert(tables.openings).values(test_sha256=test_sha256, **row))


def _opening(row: Mapping[str, Any]) -> Opening:
    return Opening.model_validate({name: value for name, value in row.items() if name != "test_sha256"})


def _rows(store: Store, query: Select[Any]) -> Sequence[Mapping[str, Any]]:
    with store.rdb.engine.begin() as connection:
        return [dict(row) for row in connection.execute(query).mappings()]

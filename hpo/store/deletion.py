"""Deleting a study with its siblings, in an order that a kill at any point leaves something to go on from.

First our rows go, and a note takes their place, in one transaction. Then Optuna's study goes, which keeps its id from
being given to another study until nothing of ours speaks of it. The files are the caller's. The note goes last: as long
as it is there, nobody can create a study of that name.
"""

import contextlib

import optuna
from sqlalchemy import ColumnElement, Table, delete, func, insert, or_, select

from hpo.errors import UsageError, nearest
from hpo.store import tables
from hpo.store.connect import quiet_optuna, retried
from hpo.store.database import Database
from hpo.store.overview import workers
from hpo.store.records import Doomed


def look(store: Database, name: str) -> Doomed:
    """What deleting a study removes from the database.

    Args:
        store: the database.
        name: of the study; or of one of its siblings, which then goes alone.

    Raises:
        UsageError: there is no such study, and none is half deleted; or it is a sibling that a report speaks of.
    """
    with store.rdb.engine.begin() as connection:
        ids = select(tables.studies.c.study_id).where(_of(tables.studies, name))
        studies = connection.execute(select(tables.studies.c.name).where(_of(tables.studies, name))).scalars().all()
        noted = connection.execute(select(tables.deletions.c.name).where(_of(tables.deletions, name))).scalars().all()
        rows = {
            table.name.removeprefix("hpo_"): connection.execute(
                select(func.count()).select_from(table).where(table.c.study_id.in_(ids))
            ).scalar_one()
            for table in _ours()
        }
    if name not in (*studies, *noted):
        known = store.names()
        raise UsageError(
            f"no study {name!r} in {store.place}; {nearest(name, known) if known else 'there are no studies'}"
        )
    if name not in noted:
        _refuse_reported(store, name)
    return Doomed(names=tuple(sorted({*studies, *noted})), begun=tuple(sorted(noted)), rows=rows)


def begin(store: Database, doomed: Doomed) -> None:
    """Removes everything but the files and the notes. Can be repeated after a crash.

    Raises:
        UsageError: a worker is at work on one of the studies; nothing was removed.
    """
    with contextlib.ExitStack() as held:
        for name in doomed.names:  # sorted, so that two deletions do not wait for each other
            held.enter_context(store.lock(name).hold())
        for name in doomed.names:
            if name in store.names():
                _refuse_workers(store, name)
        retried(lambda: _note(store, doomed))
        for name in doomed.names:
            with quiet_optuna(), contextlib.suppress(KeyError):  # gone already
                optuna.delete_study(study_name=name, storage=store.storage)


def end(store: Database, doomed: Doomed) -> None:
    """Removes the notes, and what is left of the locks: a study of that name may be created again."""

    def forget() -> None:
        with store.rdb.engine.begin() as connection:
            connection.execute(delete(tables.deletions).where(tables.deletions.c.name.in_(doomed.names)))

    with contextlib.ExitStack() as held:
        for name in doomed.names:
            held.enter_context(store.lock(name).hold())
        retried(forget)
        for name in doomed.names:
            store.lock(name).remove()


def half_deleted(store: Database) -> list[str]:
    """Names of the studies whose deletion has begun and not ended."""
    with store.rdb.engine.begin() as connection:
        return list(connection.execute(select(tables.deletions.c.name).order_by(tables.deletions.c.name)).scalars())


def refuse_half_deleted(store: Database, name: str) -> None:
    """Raises UsageError if a study of this name, or one that it stands beside, is being deleted."""
    with store.rdb.engine.begin() as connection:
        names = (name, name.partition("/")[0])
        found = connection.execute(select(tables.deletions.c.name).where(tables.deletions.c.name.in_(names))).scalar()
    if found is not None:
        raise UsageError(f"study {found!r} is half deleted; `hpo delete {found}` finishes that")


def _ours() -> list[Table]:
    """All tables that speak of a study by its id."""
    return [table for table in tables.metadata.sorted_tables if "study_id" in table.c]


def _of(table: Table, name: str) -> ColumnElement[bool]:
    return or_(table.c.name == name, table.c.name.startswith(f"{name}/", autoescape=True))


def _refuse_workers(store: Database, name: str) -> None:
    alive = [worker for worker in workers(store, store.study(name)) if worker.alive]
    if alive:
        who = ", ".join(f"{worker.worker} ({worker.slots} slots)" for worker in alive)
        raise UsageError(
            f"study {name!r} is being worked on by {who}. `hpo stop {name}` asks them to leave; one that was "
            f"killed counts as gone after its lease, {max(worker.lease for worker in alive):.0f} s"
        )


def _refuse_reported(store: Database, name: str) -> None:
    """A sibling holds the trainings of its study's evaluation: without them the winner's bundle could not be made."""
    study = name.partition("/")[0]
    reports = (
        select(tables.evaluations.c.number)
        .join(tables.studies, tables.studies.c.study_id == tables.evaluations.c.study_id)
        .where(tables.studies.c.name == study, tables.evaluations.c.finished_at.is_not(None))
    )
    with store.rdb.engine.begin() as connection:
        reported = name != study and connection.execute(reports).first() is not None
    if reported:
        raise UsageError(
            f"study {name!r} belongs to the evaluation of study {study!r}, whose report stands on its trainings and "
            f"could not be made again without a second look at the test part. `hpo delete {study}` removes all of it"
        )


def _note(store: Database, doomed: Doomed) -> None:
    """Our rows go, and the notes come, at once."""
    with store.rdb.engine.begin() as connection:
        now = store.now(connection)
        # A worker that enters itself at this moment is waited for; one that comes later finds no study.
        wanted = select(tables.studies.c.study_id).where(tables.studies.c.name.in_(doomed.names)).with_for_update()
        ids = list(connection.execute(wanted).scalars())
        live = connection.execute(
            select(tables.trials.c.worker).where(tables.trials.c.study_id.in_(ids), tables.trials.c.expires_at > now)
        ).scalar()
        if live is not None:
            raise UsageError(f"worker {live} holds a trial of {doomed.names[0]!r}; wait until its lease has run out")
        there = set(connection.execute(select(tables.deletions.c.name)).scalars())
        for name in doomed.names:
            if name not in there:
                connection.execute(insert(tables.deletions).values(name=name, began_at=now))
        for table in _ours():
            connection.execute(delete(table).where(table.c.study_id.in_(ids)))

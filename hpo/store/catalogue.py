"""The studies of one database: create, find, list, describe, stop."""

from collections.abc import Iterable, Mapping, Sequence

import optuna
from sqlalchemy import insert, update

from hpo import samplers, search, study
from hpo.errors import DataError, StudyFileError, UsageError
from hpo.extension import extension
from hpo.space import Space, to_json
from hpo.store import deletion, glance, overview, priors, roles, tables
from hpo.store.connect import SCHEMA_LOCK, quiet_optuna, retried
from hpo.store.database import Database
from hpo.store.records import DataRecord, Prior, Start, Status, StudyRecord, TrialRecord, WorkerRecord
from hpo.study import StudyDef

ORIGIN = "origin"  # the user attribute of a trial that says where its setting comes from


class Store(Database):
    """One database and its studies.

    See `Database` for the arguments.
    """

    def create(
        self,
        definition: StudyDef,
        *,
        spaces: Mapping[str, Space],
        data: DataRecord,
        versions: Mapping[str, str],
        starts: Sequence[Start] = (),
        extend: bool = False,
    ) -> tuple[StudyRecord, bool]:
        """Creates a study, or finds the one of that name again; returns it and whether it is new.

        An existing one takes over the free keys of the definition (budget, ...), forgets a request to stop, and
        starts counting consecutive failures anew. Each family's published default is the first of its trials; a
        sibling has none until somebody enqueues them. Settings that somebody wants to be tried (`starts`) come before
        them, or, in a study that exists, before all that is still to be proposed; each is tried once, however often
        it is wanted.

        Args:
            definition: of the study.
            spaces: family -> resolved space.
            data, versions: what it is created with.
            starts: settings that somebody wants to be tried.
            extend: let wider ranges take the place of those of an existing study.

        Raises:
            StudyFileError: the name belongs to a study with another definition; the message shows the differences.
            DataError: the data or the split are not those that the study was created with.
        """
        with self.lock(definition.name).hold():
            return self.create_locked(
                definition, spaces=spaces, data=data, versions=versions, starts=starts, extend=extend
            )

    def create_locked(
        self,
        definition: StudyDef,
        *,
        spaces: Mapping[str, Space],
        data: DataRecord,
        versions: Mapping[str, str],
        starts: Sequence[Start] = (),
        extend: bool = False,
    ) -> tuple[StudyRecord, bool]:
        """As `create`, for who holds the study's lock."""
        found = self.compare(definition, spaces=spaces, data=data, extend=extend)
        if found is not None:
            existing, spaces = found
            self.resume(existing, definition, data, spaces)
            _enqueue(self.optuna_study(existing), starts)
            return self.study(definition.name), False
        with quiet_optuna():
            directions = search.directions(definition.train.metrics)
            made = optuna.create_study(
                study_name=definition.name,
                storage=self.storage,
                directions=directions,
                load_if_exists=True,  # a launch that died before it wrote our row
            )
            trials = made.get_trials(deepcopy=False)
            if any(t.state is not optuna.trial.TrialState.WAITING for t in trials) or (
                [direction.name.lower() for direction in made.directions] != directions
            ):
                raise UsageError(
                    f"{self.place} has a study {definition.name!r} that hpo did not make; choose another name"
                )
            _enqueue(made, starts)
            for family in () if definition.sibling else spaces:
                params = search.default_params(spaces, family)
                if params:
                    made.enqueue_trial(params, skip_if_exists=True)
        study_id = self.rdb.get_study_id_from_name(definition.name)
        with self.rdb.engine.begin() as connection:
            now = self.now(connection)
            connection.execute(
                insert(tables.studies).values(
                    study_id=study_id,
                    name=definition.name,
                    definition=study.to_json(definition),
                    digest=study.digest(definition),
                    spaces={family: to_json(space) for family, space in spaces.items()},
                    data=data.model_dump(mode="json"),
                    versions=dict(versions),
                    created_at=now,
                    stop_requested=False,
                    failures_since=now,
                    clock_at=now,
                    worked_seconds=0.0,
                    slot_seconds=0.0,
                )
            )
        return self.study(definition.name), True

    def compare(
        self, definition: StudyDef, *, spaces: Mapping[str, Space], data: DataRecord, extend: bool = False
    ) -> tuple[StudyRecord, dict[str, Space]] | None:
        """What `create` would go on with, with the spaces that it would have then; None where it is new.

        Changes nothing, and raises what `create` would raise.
        """
        existing = self._find(definition.name)
        if existing is None:
            deletion.refuse_half_deleted(self, definition.name)
            return None
        # first: another seed of the split is a key of the file that changed, not the data
        extended = _extended(existing, definition, spaces, extend)
        self._agree(existing, definition, data)
        return existing, extended

    def _agree(self, existing: StudyRecord, definition: StudyDef, data: DataRecord) -> None:
        for what, old, new in (
            ("data", existing.data.sha256, data.sha256),
            ("split", existing.data.split_sha256, data.split_sha256),
        ):
            if old != new:
                raise DataError(
                    f"study {definition.name!r}: the {what} changed since it was created (SHA-256 {old[:12]} then, "
                    f"{new[:12]} now): its scores would not compare. Put the files back, or choose another name"
                )

    def resume(
        self, existing: StudyRecord, definition: StudyDef, data: DataRecord, spaces: Mapping[str, Space]
    ) -> None:
        """Takes over what may change of a study's definition, and lets its workers go on. Under the study's lock."""
        with self.rdb.engine.begin() as connection:
            connection.execute(
                update(tables.studies)
                .where(tables.studies.c.study_id == existing.study_id)
                .values(
                    definition=study.to_json(definition),
                    digest=study.digest(definition),
                    spaces={family: to_json(space) for family, space in spaces.items()},
                    data=data.model_dump(mode="json"),  # the same by content; its files may have moved
                    stop_requested=False,
                    failures_since=self.now(connection),
                )
            )

    def grant(self, wanted: roles.Roles) -> None:
        """Makes the roles of a database on a server, and gives each its rights; does nothing for a file.

        Raises:
            StorageError: the user may not do so.
        """
        if self.server:
            with self._database.lock(SCHEMA_LOCK).hold():
                roles.grant(self.rdb.engine, wanted)

    def request_stop(self, name: str) -> None:
        """Asks all workers of a study, wherever they are, to drain."""
        record = self.study(name)
        with self.rdb.engine.begin() as connection:
            connection.execute(
                update(tables.studies).where(tables.studies.c.study_id == record.study_id).values(stop_requested=True)
            )

    def learn(self, name: str, known: Iterable[Prior]) -> int:
        """Gives a study knowledge of other studies' trials, of each once. Returns how many were new to it."""
        wanted = list(known)
        return priors.take(self, self.study(name), wanted) if wanted else 0

    def trials(self, name: str) -> list[TrialRecord]:
        """All trials of a study by number."""
        return retried(lambda: overview.trials(self, self.study(name)))

    def trial(self, name: str, number: int) -> TrialRecord:
        """One trial.

        Raises:
            UsageError: the study has no such trial.
        """

        def trial() -> TrialRecord:
            record = self.study(name)
            try:
                return glance.trial(self, record, number)
            except KeyError as error:
                last = len(glance.trials(self, record)) - 1
                there = f"it has 0 to {last}" if last >= 0 else "it has none yet"
                raise UsageError(f"study {name!r} has no trial {number}; {there}") from error

        return retried(trial)

    def workers(self, name: str) -> list[WorkerRecord]:
        """All workers that ever joined a study; one not heard of for one of its leases is not alive."""
        return overview.workers(self, self.study(name))

    def status(self, name: str) -> Status:
        """The study at this moment."""
        return retried(lambda: self._look(name)[0])

    def look(self, name: str) -> tuple[Status, list[TrialRecord]]:
        """The study at this moment, and its trials by number; of those that ended, the parameters may be missing.

        For who looks again and again: a database that is away is not waited for.

        Raises:
            StorageError: it is away; the cause is one of `OUTAGE`.
        """
        return retried(lambda: self._look(name), for_seconds=0.0)

    def _look(self, name: str) -> tuple[Status, list[TrialRecord]]:
        record = self.study(name)
        if samplers.size(record.definition, record.spaces) is not None:  # then their parameters count
            trials = overview.trials(self, record)
            return overview.status(self, record, trials), trials
        trials = glance.trials(self, record)
        return overview.status(self, record, trials, lambda number: glance.whole(self, record, number)), trials

    def ended_trial(self, name: str, number: int) -> TrialRecord:
        """One trial that has ended; from memory for who asks again, and not waited for either: see `look`."""
        return retried(lambda: glance.whole(self, self.study(name), number), for_seconds=0.0)


def _enqueue(study: optuna.Study, starts: Iterable[Start]) -> None:
    with quiet_optuna():
        for start in starts:
            if start.params:  # else nothing is searched, and every trial has this setting
                study.enqueue_trial(start.params, user_attrs={ORIGIN: start.origin}, skip_if_exists=True)


def _extended(
    existing: StudyRecord, definition: StudyDef, spaces: Mapping[str, Space], extend: bool
) -> dict[str, Space]:
    """The spaces with which an existing study goes on.

    Raises:
        StudyFileError: the definition differs in more than may change.
    """
    found = extension(existing.definition, existing.spaces, definition, spaces)
    name = f"study {definition.name!r}"
    if found.wider and not found.refused and not extend:
        advice = "--extend widens these under the old name; else choose another name, or put them back"
        raise StudyFileError(f"{name} exists with narrower ranges; {advice}", found.wider)
    if found.refused:
        advice = "choose another name, or put these keys back (budget keys may change"
        advice += ", and with --extend ranges of numbers may get wider)"
        raise StudyFileError(f"{name} exists with another definition; {advice}", found.refused)
    return found.spaces

"""One study as the front-end asks for it: what Optuna Dashboard says, with what our records know besides.

Optuna Dashboard serialises all trials for each page that is opened. Trials that have ended stay as they are, so here
each is made once, and what is asked of Optuna Dashboard are those behind them.

An open page asks for a trial until it has ended, and never again. Our records are read at other moments than Optuna's,
and a trial's files come after its end: until both are there, a trial that has just ended counts as running.
"""

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlencode

from hpo.artifacts.copies import Copies
from hpo.curves import CURVES, REPORT
from hpo.dashboard import figures, files, notes
from hpo.dashboard.wire import App, Refused, Request, call, whole
from hpo.errors import StorageError
from hpo.evaluated import evaluated
from hpo.spool import LOG
from hpo.store import Evaluations, Store, StudyRecord, TrialRecord
from hpo.trial import Cause

FRESH_SECONDS = 2.0  # for which our records are not read again
SHARE = 10.0  # or for so many times as long as that took: looking takes a small part of one core
SOON_SECONDS = 60.0  # after the end of a trial within which its files nearly always come, if it left any
FILES_SECONDS = 3600.0  # within which they are looked for: their store may be away
_NOTE_VERSION = ":note_ver"  # how Optuna Dashboard's attributes end that count the changes of a note
COLUMNS = ("epochs", "memory MiB")  # what our records add to the attributes of a trial

Json = dict[str, Any]


class View:
    """One study.

    Args:
        store: the database; only read.
        record: of the study.
        copies: of the trials' files.
        app: Optuna Dashboard.
        clock: monotonic seconds.
    """

    def __init__(
        self, store: Store, record: StudyRecord, copies: Copies, app: App, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.created_at = record.created_at
        self.seen = record.refits
        self._store = store
        self._record = record
        self._copies = copies
        self._stored: dict[str, list[str]] = {}  # of a store that is no folder: folder -> names of its files
        self._app = app
        self._clock = clock
        self._lock = threading.Lock()
        self._read_again = clock()
        self._trials: list[TrialRecord] = []
        self._at = 0.0  # when they were read, by the database's clock
        self._unexplained: set[int] = set()  # trials that have ended for Optuna, without a cause in our records
        self._causeless: set[int] = set()  # those that had none either when our records were read after that
        self._note = ""
        self._plots: list[Json] = []
        self._attributes: Json = {}
        self._said: tuple[Json, bytes] | None = None  # with these attributes, once all trials had ended
        self._ended: list[bytes] = []  # by number, from 0 without a gap
        self._late: list[int] = []  # those of them whose files have not come yet, by number

    def json(self, request: Request, after: int) -> bytes:
        """The study with its trials from number `after` on, in Optuna Dashboard's words."""
        with self._lock:
            if self._clock() >= self._read_again:
                self._read()
            found = self._ask(request)
            open_ = [self._trial(trial) for trial in found.pop("trials")]
            while open_ and self._is_final(open_[0]):
                self._keep(open_.pop(0))
            self._unexplained = {trial["number"] for trial in open_ if _over(trial) and not self._has_cause(trial)}
            trials = [
                *self._ended[after:],
                *(json.dumps(self._told(trial)).encode() for trial in open_ if trial["number"] >= after),
            ]
            found["best_trials"] = [self._trial(trial) for trial in found["best_trials"]]
            found["union_user_attrs"] += [{"key": name, "sortable": True} for name in COLUMNS]
            found.setdefault("objective_names", list(self._record.definition.train.metrics))
            found["plotly_graph_objects"] += self._plots
            found["note"]["body"] = notes.composed(self._note, found["note"]["body"])
        return b'{"trials":[' + b",".join(trials) + b"]," + json.dumps(found).encode()[1:]

    def _read(self) -> None:
        """What our records say now."""
        began = self._clock()
        store, name = self._store, self._record.name
        record = self._record = store.study(name)
        status, _ = store.look(name)  # at once says so if the database is away
        self._trials, self._at = store.trials(name), status.at
        # Our record has the cause before Optuna hears of an end: these were ended by somebody else.
        self._causeless = {n for n in self._unexplained if n < len(self._trials) and self._trials[n].cause is None}
        self._note = notes.of_study(status, record, evaluated(store, record))
        self._plots = figures.of_study(record, self._trials, Evaluations(store, record).latest())
        if self._copies.artifacts.root is None:
            with contextlib.suppress(StorageError):  # it is away: what it held before is shown
                self._stored = files.stored(self._copies.artifacts.entries(name))
        attributes = store.rdb.get_study_system_attrs(record.study_id)
        if _note_versions(attributes) != _note_versions(self._attributes):  # somebody wrote a note
            self._keep_only(0)
        self._look_for_files()
        self._attributes = attributes | store.rdb.get_study_user_attrs(record.study_id)
        now = self._clock()
        self._read_again = now + max(FRESH_SECONDS, SHARE * (now - began))

    def _ask(self, request: Request) -> Json:
        """What Optuna Dashboard says of the study and of the trials that were not made yet.

        Where there are none, it looks through all trials all the same, each time; then what it said stays true as long
        as the study's attributes do.
        """
        whole_study = len(self._ended) == len(self._trials)
        if whole_study and self._said is not None and self._said[0] == self._attributes:
            settled: Json = json.loads(self._said[1])
            return settled
        environ = request.holding(b"").environ | {"QUERY_STRING": urlencode({"after": len(self._ended)})}
        answer = call(self._app, environ | {"REQUEST_METHOD": "GET"})
        said = whole(answer)
        content: Json = json.loads(said)
        if answer.status != 200:
            raise Refused(answer.status, str(content.get("reason", "the study cannot be read")))
        self._said = (self._attributes, said) if whole_study and not content["trials"] else None
        return content

    def _is_final(self, trial: Json) -> bool:
        """Whether a trial stays as it is, for Optuna and in our records, as far as one can know."""
        return trial["number"] == len(self._ended) and _over(trial) and self._is_whole(trial)

    def _told(self, trial: Json) -> Json:
        """A trial as pages are told of it: running until everything is there that they would not ask for again."""
        if not _over(trial) or self._is_whole(trial) or trial["number"] in self._causeless:
            return trial
        return trial | {"state": "Running"}

    def _is_whole(self, trial: Json) -> bool:
        """Whether our record knows a trial's end, and its files are there or had their time to come."""
        ours = self._ours(trial)
        if ours is None or ours.cause is None:
            return False
        names = [artifact["filename"] for artifact in trial["artifacts"]]
        return _last_file(ours) in names or self._since(ours) > SOON_SECONDS

    def _since(self, ours: TrialRecord) -> float:
        """Seconds from a trial's end to the moment at which our records were read."""
        return float("inf") if ours.finished_at is None else self._at - ours.finished_at

    def _keep(self, trial: Json) -> None:
        ours = self._ours(trial)
        if ours is not None and _last_file(ours) not in (artifact["filename"] for artifact in trial["artifacts"]):
            self._late.append(trial["number"])
        self._ended.append(json.dumps(trial).encode())

    def _keep_only(self, count: int) -> None:
        """The first so many of the trials that have ended; the others are made anew."""
        del self._ended[count:]
        self._late = [number for number in self._late if number < count]

    def _look_for_files(self) -> None:
        """Has trials made anew whose files have come after all."""
        self._late = [n for n in self._late if self._since(self._trials[n]) <= FILES_SECONDS]
        come = (n for n in self._late if _last_file(self._trials[n]) in self._names(self._trials[n]))
        if (first := next(come, None)) is not None:
            self._keep_only(first)

    def _has_cause(self, trial: Json) -> bool:
        ours = self._ours(trial)
        return ours is not None and ours.cause is not None

    def _names(self, trial: TrialRecord) -> list[str]:
        """Of the files of a trial that may be looked at."""
        if self._copies.artifacts.root is None:
            return self._stored.get(trial.artifacts or "", [])
        place = files.folder(self._copies.root, self._copies.folder(trial.artifacts))
        return [] if place is None else files.listed(place)

    def _ours(self, trial: Json) -> TrialRecord | None:
        number = trial["number"]
        return self._trials[number] if number < len(self._trials) else None

    def _trial(self, trial: Json) -> Json:
        """Optuna Dashboard's words for a trial and ours."""
        ours = self._ours(trial)
        if ours is None:
            return trial
        names = self._names(ours)
        pictures = files.pictures(names, grouped=self._record.definition.split.by != "stratified")
        addresses = [(title, f"/hpo/{self._record.study_id}/{ours.number}/{name}") for title, name in pictures]
        note = trial["note"] | {
            "body": notes.composed(notes.of_trial(ours, addresses, seen=self.seen), trial["note"]["body"])
        }
        artifacts = [
            {"artifact_id": files.key(name), "filename": name, "mimetype": files.kind(name), "encoding": None}
            for name in names
        ]
        added = [{"key": key, "value": value} for key, value in _columns(ours)]
        return trial | {"note": note, "artifacts": artifacts, "user_attrs": [*trial["user_attrs"], *added]}


def _note_versions(attributes: Json) -> Json:
    return {key: value for key, value in attributes.items() if key.endswith(_NOTE_VERSION)}


def _last_file(ours: TrialRecord) -> str:
    """The last file that can be expected of a trial; a repeated one has those of the other."""
    if ours.cause is Cause.COMPLETED:
        return REPORT
    spoke = ours.outcome is not None and bool(ours.outcome.seconds)  # it was not killed, and did not fail
    return CURVES if spoke else LOG


def _over(trial: Json) -> bool:
    return trial["state"] in ("Complete", "Pruned", "Fail")


def _columns(trial: TrialRecord) -> Iterator[tuple[str, str]]:
    """What the table of trials can be sorted by, beside the attributes that Optuna knows."""
    if trial.outcome is not None and trial.outcome.epochs:
        yield COLUMNS[0], str(trial.outcome.epochs)
    if trial.outcome is not None and trial.outcome.peak_memory:
        yield COLUMNS[1], f"{trial.outcome.peak_memory / 2**20:.0f}"

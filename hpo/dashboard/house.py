"""What there is to see: Optuna Dashboard on a database that refuses changes, and hpo's own records beside it."""

import json
import threading
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any
from wsgiref.util import setup_testing_defaults

import optuna_dashboard

from hpo.artifacts.copies import Copies
from hpo.curves import CURVES, REPORT
from hpo.dashboard import files, headers, notes
from hpo.dashboard.fresh import Fresh
from hpo.dashboard.study import FRESH_SECONDS, View
from hpo.dashboard.wire import JSON, Answer, App, Environ, Refused, Request, as_json, call, raw, whole
from hpo.errors import UsageError
from hpo.store import Store

IDLE_SECONDS = 60.0  # after which the list of studies is not read any more; an open page asks every ten
LONGEST_NOTE = 50_000  # characters
LONGEST_ATTRIBUTE = 2_000
# Attributes of trials that hpo writes, and its workers read.
RESERVED = frozenset(
    {"cause", "epochs", "generation", "given", "memory MiB", "origin", "parameters", "progress", "seconds"}
)


class House:
    """The studies of one database.

    Args:
        reader: opens the database so that it refuses every change.
        writer: opens it for an editor's change; called once, at the first one.
        copies: of the trials' files.
        wait: how the list of studies waits until it is read again (see `Fresh`).
    """

    def __init__(
        self,
        reader: Callable[[], Store],
        writer: Callable[[], Store],
        copies: Copies,
        wait: Callable[[float], bool] | None = None,
    ) -> None:
        self._open_reader = reader
        self._open_writer = writer
        self._copies = copies
        self._list = Fresh(self._listed, every=FRESH_SECONDS, idle=IDLE_SECONDS, wait=wait)
        self._writing: App | None = None
        self._writer: Store | None = None
        self._lock = threading.Lock()
        self._open()

    def _open(self) -> None:
        self._store = self._open_reader()
        self._reading: App = optuna_dashboard.wsgi(self._store.storage)
        self._views: dict[int, View] = {}

    def close(self) -> None:
        """Gives the connections back."""
        self._list.close()
        self._store.close()
        if self._writer is not None:
            self._writer.close()

    def look(self, request: Request) -> Answer:
        """What Optuna Dashboard shows."""
        answer = self._asked(request.holding(b"").environ)
        if request.path.startswith("/static/"):
            # the same for everybody, and asked for again after a change alone
            return Answer(answer.status, answer.body, (*answer.headers, ("Cache-Control", "private, no-cache")))
        return answer

    def meta(self, request: Request) -> Answer:
        """What the front-end offers: the files of trials are shown, though not by Optuna Dashboard."""
        answer = self.look(request)
        return as_json(answer.status, json.loads(whole(answer)) | {"artifact_is_available": True})

    def studies(self) -> Answer:
        """The list of studies, the same for everybody; every open page asks for it again and again."""
        return raw(200, self._list.get(), JSON)

    def _listed(self) -> bytes:
        """The list as Optuna Dashboard says it, whoever asks for it."""
        environ: Environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/api/studies", "QUERY_STRING": ""}
        setup_testing_defaults(environ)
        return whole(self._asked(environ))

    def _asked(self, environ: Environ) -> Answer:
        """What Optuna Dashboard answers who looks; its own words for a failure help nobody."""
        answer = call(self._reading, environ)
        if answer.status >= 500:
            whole(answer)
            raise Refused(503, "the database is away, or cannot be read by the address that this dashboard has")
        return answer

    def study(self, request: Request) -> Answer:
        """A study with its trials, in Optuna Dashboard's words and ours."""
        study_id = _number(request.path, 3)
        after = request.query.get("after", "0")
        if not (after.isascii() and after.isdigit()):
            raise Refused(400, f"after={after[:20]!r} is no number of a trial")
        view = self._view(study_id)
        if view is None:  # not made by hpo
            return self.look(request)
        return raw(200, view.json(request, int(after)), JSON)

    def _view(self, study_id: int) -> View | None:
        try:
            record = self._store.study(self._store.rdb.get_study_name_from_id(study_id))
        except (KeyError, UsageError):
            return None
        with self._lock:
            view = self._views.get(study_id)
            if view is not None and view.created_at != record.created_at:
                # SQLite gave a deleted study's number to this one, and Optuna keeps trials in memory by that number
                self._store.close()
                self._open()
                view = None
            if view is None:
                view = self._views[study_id] = View(self._store, record, self._copies, self._reading)
            return view

    def picture(self, request: Request) -> Answer:
        """A picture of a trial."""
        _, _, study_id, number, name = request.path.split("/")
        folder = self._folder(int(study_id), int(number), {CURVES, REPORT})
        view = self._view(int(study_id))
        drawn = files.picture(folder, name, f"trial {number}", seen=view is not None and view.seen)
        if drawn is None:
            raise Refused(404, "this trial has no such picture")
        return raw(200, drawn.encode(), "image/svg+xml", (("Content-Security-Policy", headers.FILE),))

    def file(self, request: Request) -> Answer:
        """A file of a trial, as something to keep and nothing to run."""
        _, _, study_id, trial_id, key = request.path.split("/")
        storage = self._store.rdb
        try:
            number = storage.get_trial_number_from_id(int(trial_id))
            same = storage.get_trial_id_from_study_id_trial_number(int(study_id), number) == int(trial_id)
        except KeyError as error:
            raise Refused(404, "there is no such trial") from error
        if not same:
            raise Refused(404, "the study has no such trial")
        found = files.find(self._folder(int(study_id), number), key)
        if found is None:
            raise Refused(404, "this trial has no such file")
        return files.sent(found)

    def _folder(self, study_id: int, number: int, only: Collection[str] = ()) -> Path:
        """Where a trial's files are on this machine, or these of them."""
        try:
            trial = self._store.trial(self._store.rdb.get_study_name_from_id(study_id), number)
        except (KeyError, UsageError) as error:
            raise Refused(404, "there is no such trial") from error
        folder = files.folder(self._copies.root, self._copies.folder(trial.artifacts, only))
        if folder is None:
            raise Refused(404, "the files of this trial are not on this machine")
        return folder

    def note(self, request: Request, body: bytes) -> Answer:
        """Saves an editor's note, without the part that is kept current."""
        note = _object(body)
        content = note.get("body")
        if not isinstance(content, str) or type(note.get("version")) is not int:
            raise Refused(400, "a note is a text and the number of its version")
        content = notes.own(content)
        if len(content) > LONGEST_NOTE:
            raise Refused(413, f"the note has {len(content):,} characters; accepted: up to {LONGEST_NOTE:,}")
        return self._write(request, {"body": content, "version": note["version"]})

    def attributes(self, request: Request, body: bytes) -> Answer:
        """Sets user attributes of a trial that has not ended."""
        given = _object(body).get("user_attrs")
        if not isinstance(given, dict) or not given:
            raise Refused(400, "user attributes are names with values")
        for name, value in given.items():
            if name in RESERVED or ":" in name:
                raise Refused(403, f"the attribute {name[:64]!r} is hpo's or Optuna's own")
            if (
                len(name) > 100
                or not isinstance(value, str | int | float | bool)
                or len(str(value)) > LONGEST_ATTRIBUTE
            ):
                raise Refused(400, f"the attribute {name[:64]!r} is no short text and no number")
        trial_id = _number(request.path, 3)
        try:
            ended = self._store.rdb.get_trial(trial_id).state.is_finished()
        except KeyError as error:
            raise Refused(404, "there is no such trial") from error
        if ended:
            raise Refused(
                409, "Optuna keeps the attributes of a trial that has ended as they are; write a note instead"
            )
        return self._write(request, {"user_attrs": given})

    def _write(self, request: Request, value: dict[str, Any]) -> Answer:
        """Passes a change on, as JSON that was read and written anew."""
        with self._lock:
            if self._writing is None:
                self._writer = self._open_writer()
                self._writing = optuna_dashboard.wsgi(self._writer.storage)
        passed = request.holding(json.dumps(value).encode())
        answer = call(self._writing, passed.environ | {"CONTENT_TYPE": JSON})
        if answer.status >= 500:
            whole(answer)
            raise Refused(503, "the database is away, or lets nobody change it by the address that this dashboard has")
        # The front-end reads JSON out of every answer: of an empty one it says nothing, as if nothing had been saved.
        return as_json(200, {}) if answer.status == 204 else answer


def _number(path: str, part: int) -> int:
    return int(path.split("/")[part])


def _object(body: bytes) -> dict[str, Any]:
    """The JSON object that was sent."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Refused(400, "this is no JSON") from error
    if not isinstance(value, dict):
        raise Refused(400, "this is no JSON object")
    return value

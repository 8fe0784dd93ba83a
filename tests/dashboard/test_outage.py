"""What people get while the database is away, or when we have made a mistake: our words, our headers, an audit line."""

import json
import logging
import sqlite3
from typing import Any

import pytest
from sqlalchemy import event

from hpo.dashboard import files
from hpo.dashboard.gate import AWAY, BROKEN
from tests.dashboard.client import Reply
from tests.dashboard.place import ENDED, STUDY, Place

LOG = f"/artifacts/{STUDY}/{ENDED + 1}/{files.key('log.txt')}"
CURVES = f"/hpo/{STUDY}/{ENDED}/curves.svg"
ATTRIBUTES = "/api/trials/3/user-attrs"


def ours(reply: Reply) -> bool:
    """Whether an answer has our headers."""
    return "frame-ancestors" in reply.header("Content-Security-Policy") and reply.header("Cache-Control") == "no-store"


def audit(place: Place) -> list[tuple[str, str, int]]:
    """Who did what with which result, since the login."""
    lines = [json.loads(line) for line in (place.folder / "audit").read_text().splitlines()]
    return [(line["user"], line["what"], line["status"]) for line in lines][1:]


def test_a_database_that_is_away(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    """Every request is answered 503 with a reason that the front-end can show and no detail; then all is as before."""
    client = place.client("anna")
    before = client.get(f"/api/studies/{STUDY}").json

    def lost(*_: Any) -> None:
        raise sqlite3.OperationalError("server closed the connection unexpectedly")

    engine = place.house._store.rdb.engine
    event.listen(engine, "before_cursor_execute", lost)
    for again in (False, True):  # also where records are read anew
        if again:
            place.house._views[STUDY]._read_again = 0.0
        for method, path, body in (
            ("GET", f"/api/studies/{STUDY}", {}),
            ("GET", CURVES, {}),
            ("GET", LOG, {}),
            ("POST", ATTRIBUTES, {"user_attrs": {"x": "1"}}),
        ):
            reply = client.ask(method, path, body)
            assert (reply.status, ours(reply)) == (503, True), (method, path, reply.text)
            assert AWAY in reply.text
            assert "closed the connection" not in reply.text
            if path != CURVES:
                assert reply.json == {"reason": AWAY}
    for path in ("/csv/1", "/api/studies"):  # Optuna Dashboard's own
        reply = client.get(path)
        assert (reply.status, ours(reply)) == (503, True)
        assert reply.json["reason"].startswith("the database is away")
    assert audit(place) == [("anna", "attributes", 503)] * 2
    assert "the database is away: server closed the connection unexpectedly" in caplog.text
    event.remove(engine, "before_cursor_execute", lost)
    assert client.get(f"/api/studies/{STUDY}").json["trials"] == before["trials"]
    assert client.get(CURVES).status == client.get(LOG).status == 200


def test_a_mistake_of_ours(place: Place, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """It is in the log with its traceback and nowhere else: scripts get JSON, people a page, with our headers."""
    client = place.client("anna")

    def wrong(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError("a secret")

    monkeypatch.setattr(files, "picture", wrong)
    monkeypatch.setattr(place.house, "_write", wrong)
    page, script = client.get(CURVES), client.ask("POST", ATTRIBUTES, {"user_attrs": {"x": "1"}})
    for reply in (page, script):
        assert (reply.status, ours(reply)) == (500, True)
        assert BROKEN in reply.text
        assert "secret" not in reply.text
    assert page.header("Content-Type").startswith("text/html")
    assert script.json == {"reason": BROKEN}
    assert audit(place) == [("anna", "attributes", 500)]
    shown = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert [record.exc_info is not None for record in shown] == [True, True]


def test_an_audit_file_that_cannot_be_written(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    """A full or lost disk costs nobody the answer: the line is in the log, and so is what is wrong."""
    client = place.client("anna")
    (place.folder / "audit").unlink()
    (place.folder / "audit").mkdir()
    caplog.set_level(logging.INFO)
    assert client.ask("POST", ATTRIBUTES, {"user_attrs": {"x": "1"}}).status < 300
    assert "cannot write the audit file" in caplog.text
    assert '"what": "attributes"' in caplog.text

"""What is said of a study, when, and by whom: at least once, and each thing under one id, whoever dies."""

import logging
import signal
import sqlite3
import time
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from hpo import redact
from hpo.notify import Herald
from hpo.settings import Times
from hpo.store import Claims, Store
from hpo.store.outbox import Outbox
from hpo.trial import Cause, Epoch, Result
from tests.cli.run import call
from tests.notify.receivers import Hook, webhook
from tests.postgres import Server
from tests.support import FAST, claimed, completed, create, definition, kill, open_store, work_off
from tests.worker.bench import Bench

PATIENT = replace(FAST, deliver=20.0)  # an answer that is late would be a second try, and heard twice


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hook]:
    """A receiver, and the variable that names it to every process of the test."""
    monkeypatch.setattr(redact, "_secrets", set())
    with webhook() as opened:
        monkeypatch.setenv("HPO_NOTIFY_WEBHOOK", opened.url)
        yield opened


def heard(hook: Hook) -> list[tuple[str, str]]:
    """Kind and id of everything that was heard, in order."""
    for event, notice in hook.heard:
        assert notice["event"] == event
        assert notice["study"] == "s"
    return [(notice["kind"], event) for event, notice in hook.heard]


def test_one_id_for_each_event_across_a_kill(bench: Bench, hook: Hook) -> None:
    """The worker is killed after the end of its study, while it tells of it: the next one tells it under the same id.

    A third one says nothing more. The study's next end, by a larger budget, is another event. No secret is kept.
    """
    bench.create(budget={"trials": 2})
    bench.plan(epochs=1)
    hook.statuses = ["hang"]
    process = bench.process()
    hook.wait(1)
    assert bench.status().state == "ended"
    kill(process.pid)
    process.wait()
    for _ in range(2):
        assert bench.supervisor(times=PATIENT).run() == 0
    ((first, one), (second, same)) = heard(hook)
    assert (first, second) == ("finished", "finished")
    assert one == same
    bench.create(budget={"trials": 3})
    assert bench.supervisor(times=PATIENT).run() == 0
    (*_, (third, other)) = heard(hook)
    assert (len(hook.heard), third) == (3, "finished")
    assert other != one
    assert hook.heard[-1][1]["counts"]["complete"] == 3
    assert hook.heard[-1][1]["text"].startswith("Study s has finished: ended (trials used up). Best: accuracy 0.9")
    with sqlite3.connect(bench.folder / "hpo.db") as database:
        assert "very-secret-token" not in "".join(database.iterdump())
    database.close()


def test_who_was_told_to_leave_tells_the_end(bench: Bench, hook: Hook) -> None:
    """The last trials of a study end while its worker drains: it exits with 0, so nobody else comes and tells."""
    bench.create(budget={"trials": 1})
    bench.plan(epochs=10, pause=0.5)
    process = bench.process()
    bench.wait_for_start(0)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) == 0
    assert bench.status().counts["complete"] == 1
    assert [kind for kind, _ in heard(hook)] == ["finished"]


def test_last_words_end_when_there_is_no_more_time(tmp_path: Path, hook: Hook) -> None:
    """Of a receiver that hangs too: what is to be told stands in the database, and is due soon."""
    store = open_store(tmp_path)
    create(store, definition(budget={"trials": 1}))
    work_off(Claims(store, "s", "w", Times()))
    hook.statuses = ["hang"] * 9
    asked: list[float] = []

    def leave() -> bool:
        asked.append(time.monotonic())
        return bool(hook.heard)

    Herald(store, "s", Times()).close(leave)  # whose tries last 20 s
    assert time.monotonic() - asked[0] < 18
    assert len(asked) > 2, "whoever waits does something else meanwhile"
    outbox = Outbox(store, store.study("s"))
    assert (outbox.waiting(["webhook"]), len(hook.heard)) == (True, 1)


def test_a_letter_that_cannot_be_made_has_not_arrived(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a library raises: it is kept, tried again, and ends no thread."""

    class Broken:
        name = "email"

        def deliver(self, event: str, notice: object, seconds: float) -> None:
            raise AttributeError(event)

    store = open_store(tmp_path)
    create(store, definition(budget={"trials": 1}))
    work_off(Claims(store, "s", "w", Times()))
    monkeypatch.setattr("hpo.notify.herald.ways", lambda *_: ({"email": Broken()}, []))
    monkeypatch.setattr("hpo.notify.herald.LAST_SECONDS", 0.1)
    Herald(store, "s", PATIENT).close()
    assert Outbox(store, store.study("s")).waiting(["email"])


def test_who_watches_tells_what_nobody_told(tmp_path: Path, hook: Hook) -> None:
    """A worker that died before it noticed the end told nobody: `hpo status --watch` does, once."""
    store = open_store(tmp_path)
    create(store, definition(budget={"trials": 1}))
    work_off(Claims(store, "s", "w", Times()))
    for _ in range(2):
        run = call("status", "s", "--watch", HPO_STORAGE=store.url)
        assert (run.code, run.err) == (0, "")
    assert [kind for kind, _ in heard(hook)] == ["finished"]


def test_who_may_only_read_tells_nobody(postgres: Server, hook: Hook) -> None:
    """A viewer's `hpo status --watch` shows the end as ever, says nothing of what it may not do, and leaves it."""
    address = postgres.database(f"t{uuid.uuid4().hex}")
    assert call("migrate", "--storage", address).code == 0
    with Store(address) as store:
        create(store, definition(budget={"trials": 1}))
        work_off(Claims(store, "s", "w", Times()))
    viewer = postgres.login(address, "viewers-password", "hpo_viewer")
    run = call("status", "s", "--watch", HPO_STORAGE=viewer, PGPASSWORD="viewers-password")
    assert (run.code, run.err, hook.heard) == (0, "", [])
    assert "study s: ended" in run.out
    assert call("status", "s", "--watch", HPO_STORAGE=address).code == 0
    assert [kind for kind, _ in heard(hook)] == ["finished"]


def test_a_failed_study(tmp_path: Path, hook: Hook) -> None:
    """It is told with the last words of the last trial, once for each launch."""
    store = open_store(tmp_path)
    study = definition(budget={"trials": 9, "max_consecutive_failures": 1})
    for _ in range(2):
        create(store, study)
        claims = Claims(store, "s", "w", Times())
        claims.finish(claimed(claims), Result(cause=Cause.BUG, detail="Traceback ...\nValueError: planted"))
        for _ in range(2):
            Herald(store, "s", PATIENT).close()
    ((one, first), (two, second)) = heard(hook)
    assert (one, two) == ("failed", "failed")
    assert first != second
    assert "the last one said: ValueError: planted" in hook.heard[0][1]["text"]


def test_a_stuck_study(tmp_path: Path, hook: Hook) -> None:
    """No trial moved for so many minutes while there is work: told once, and again after it moved and got stuck again.

    A study that somebody stopped is not stuck.
    """
    now = 1000.0
    store = open_store(tmp_path, clock=lambda: now)
    create(store, definition(notify={"stuck_minutes": 2.0}))
    claims = Claims(store, "s", "w", Times())
    claims.roster.join(host="h", pid=1, slots=1, lease=60.0)
    running = claimed(claims)

    def looked() -> int:
        Herald(store, "s", PATIENT).close()
        return len(hook.heard)

    now += 119
    claims.renew([running])
    assert looked() == 0
    now += 2
    claims.renew([running])
    assert (looked(), looked()) == (1, 1)
    assert "no trial has moved for 2 min 01 s, and 1 worker(s) alive, 1 trial(s) running" in hook.heard[0][1]["text"]
    claims.report(running, Epoch(fold=0, epoch=0, step=0, value=0.5, seconds=1.0, logs={}))
    claims.renew([running])
    now += 119
    assert looked() == 1
    now += 100
    assert looked() == 2
    assert "and no worker is alive" in hook.heard[1][1]["text"]
    assert len({event for _, event in heard(hook)}) == 2
    claims.finish(claimed(claims), completed())
    store.request_stop("s")
    now += 1000
    assert looked() == 2


def test_only_what_somebody_wants_to_hear(tmp_path: Path, hook: Hook) -> None:
    """`on` chooses."""
    store = open_store(tmp_path)
    create(store, definition(budget={"trials": 1}, notify={"on": ["failed"]}))
    work_off(Claims(store, "s", "w", Times()))
    Herald(store, "s", PATIENT).close()
    assert hook.heard == []


def test_it_is_tried_again(tmp_path: Path, hook: Hook, caplog: pytest.LogCaptureFixture) -> None:
    """After an error with back-off, by whoever looks then; the log names no secret, and the row says why."""
    now = 1000.0
    store = open_store(tmp_path, clock=lambda: now)
    create(store, definition(budget={"trials": 1}))
    work_off(Claims(store, "s", "w", Times()))
    hook.statuses = [503, 503]

    def looked() -> None:
        refused = len(caplog.records)
        with caplog.at_level(logging.WARNING, "hpo"):
            Herald(store, "s", PATIENT).close(leave=lambda: len(caplog.records) > refused)

    looked()
    outbox = Outbox(store, store.study("s"))
    assert outbox.take(["webhook"], 1.0) is None  # not due yet
    now += 6
    looked()
    now += 6  # the second pause is twice as long
    assert outbox.take(["webhook"], 1.0) is None
    now += 6
    looked()
    assert (len(hook.heard), outbox.waiting(["webhook"])) == (3, False)
    assert "finished study could not be told of: 127.0.0.1 answered 503; trying again in 5 s" in caplog.text
    assert "very-secret" not in caplog.text


def test_a_file_is_complained_of_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A secret that others can read is used, with a word on it; a worker that looks every half minute says it once."""
    monkeypatch.setattr(redact, "_secrets", set())
    monkeypatch.setattr("hpo.notify.herald.LAST_SECONDS", 0.5)
    file = tmp_path / "hook"
    file.write_text("http://127.0.0.1:9/very-secret-token")
    file.chmod(0o644)
    store = open_store(tmp_path)
    create(store, definition(budget={"trials": 1}, notify={"webhook_file": str(file)}))
    herald = Herald(store, "s", PATIENT)
    with caplog.at_level(logging.WARNING, "hpo"):
        for _ in range(3):
            herald.close()
    assert caplog.text.count("can be read by others") == 1


def test_one_letter_has_one_bearer(tmp_path: Path) -> None:
    """Who takes it has it for a while; then it is anybody's, until somebody says that it arrived."""
    now = 1000.0
    store = open_store(tmp_path, clock=lambda: now)
    create(store, definition())
    outbox = Outbox(store, store.study("s"))
    for _ in range(2):
        outbox.put("e1", ["webhook", "email"], {"text": "x"})
    letter = outbox.take(["webhook"], 30.0)
    assert letter is not None
    assert (letter.event, letter.channel, letter.tries) == ("e1", "webhook", 1)
    assert outbox.take(["webhook"], 30.0) is None
    now += 31
    again = outbox.take(["webhook"], 30.0)
    assert again is not None
    assert again.tries == 2
    outbox.delivered(again)
    now += 100
    assert outbox.take(["webhook"], 30.0) is None
    assert outbox.waiting(["email"])


def test_nobody_waits_for_it(bench: Bench, hook: Hook, monkeypatch: pytest.MonkeyPatch) -> None:
    """While a receiver hangs, trials run as ever; a worker whose study has ended waits for it, and not for long."""
    monkeypatch.setattr("hpo.notify.herald.LAST_SECONDS", 1.0)
    bench.create(budget={"trials": 3})
    Outbox(bench.store, bench.store.study("s")).put("e0", ["webhook"], {"kind": "stuck", "event": "e0", "study": "s"})
    hook.statuses = ["hang"] * 9
    bench.plan(epochs=1)
    began = time.monotonic()
    assert bench.supervisor().run() == 0
    assert bench.status().counts["complete"] == 3
    assert time.monotonic() - began < 60
    assert hook.heard
    left = Store(bench.store.url)
    assert Outbox(left, left.study("s")).waiting(["webhook"])
    left.close()

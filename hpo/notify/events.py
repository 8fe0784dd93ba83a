"""What there is to say of a study, and how it is told from everything else that is ever said. Pure."""

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from hpo.render import best_words, duration, state, summary_line
from hpo.store import Status, StudyRecord
from hpo.store.outbox import Pulse
from hpo.study_notify import Kind

_MOVING = ("running", "stopping", "interrupted", "waiting")


@dataclass(frozen=True)
class Event:
    """Something that happened to a study.

    Attributes:
        id: the same for everybody who notices it, however late; another one when it happens again.
        notice: what is said, JSON-ready: `text` for people (chats show it), the rest for programs.
    """

    id: str
    kind: Kind
    notice: dict[str, Any]


def event(record: StudyRecord, status: Status, pulse: Pulse) -> Event | None:
    """What there is to say now; None if nothing.

    A study has finished once for each budget that it was given, failed once for each launch, and is stuck once for each
    last sign of progress.
    """
    definition = record.definition
    if status.state == "ended":
        limits = {name: use.limit for name, use in status.budget.items()}
        return _made(record, status, "finished", [record.digest, limits])
    if status.state == "failed":
        return _made(record, status, "failed", pulse.since)
    stuck = pulse.silent >= definition.notify.stuck_minutes * 60
    if stuck and status.state in _MOVING and not record.stop_requested:
        return _made(record, status, "stuck", [pulse.since, pulse.progress], pulse.silent)
    return None


def _made(record: StudyRecord, status: Status, kind: Kind, occurrence: Any, silent: float = 0.0) -> Event:
    name = json.dumps([record.name, record.created_at, kind, occurrence], sort_keys=True)
    found = hashlib.sha256(name.encode()).hexdigest()[:32]
    notice = {
        "text": _text(status, kind, silent),
        "event": found,
        "kind": kind,
        "study": record.name,
        "state": status.state,
        "ending": status.ending,
        "at": status.at,
        "counts": status.counts,
        "budget": {key: use.model_dump() for key, use in status.budget.items()},
        "best": None if status.best is None else status.best.model_dump(mode="json"),
        "workers": sum(worker.alive for worker in status.workers),
    }
    return Event(found, kind, notice)


def _text(status: Status, kind: Kind, silent: float) -> str:
    match kind:
        case "finished":
            head = f"Study {status.study} has finished: {state(status)}"
        case "failed":
            last = status.last_failure.strip().splitlines()[-1:] or ["nothing"]
            head = f"Study {status.study} has failed: too many trials in a row; the last one said: {last[0][:200]}"
        case "stuck":
            team = sum(worker.alive for worker in status.workers)
            who = f"{team} worker(s) alive, {len(status.running)} trial(s) running" if team else "no worker is alive"
            head = f"Study {status.study} is stuck: no trial has moved for {duration(silent)}, and {who}"
    best = f". Best: {best_words(status.best)}" if status.best else ""
    return f"{head}{best}. {summary_line(status)}"

"""Notes that keep themselves current, in Markdown: what a study does, how a trial ended. Pure: values in, text out.

They are made when somebody looks, and stored nowhere. An editor's own note stands below; saving it leaves ours out.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from hpo.dashboard.wire import Refused
from hpo.render import best_words, duration, evaluation_words, score, settings, state
from hpo.store import Status, StudyRecord, TrialRecord

# Comments that Markdown does not show. The first one holds a hash of what stands between them.
_BEGIN = "[//]: # (hpo keeps this part current: write below it; "
_END = "[//]: # (write below)"
_OURS = re.compile(rf"{re.escape(_BEGIN)}([0-9a-f]{{16}})\)(.*?){re.escape(_END)}", re.DOTALL)
_CHANGED = (
    "nothing was saved, so that none of your words is lost: the part that hpo keeps current was changed, or one of its "
    "two lines that begin with [//]: # is gone. Copy what you wrote, load the page again and put it below that part"
)
_MARKUP = re.compile(r"([\\`*_{}\[\]()#+!|<>~-])")


def composed(ours: str, own: str) -> str:
    """Our part and, below it, what somebody wrote."""
    return f"{_BEGIN}{_hash(ours)})\n\n{ours}\n\n{_END}\n\n{own}"


def own(body: str) -> str:
    """What somebody wrote, above and below our part.

    Raises:
        Refused: our part is not as we made it, so that words of somebody's may stand in it.
    """
    rest = _OURS.sub(lambda found: "" if found[1] == _hash(found[2]) else found[0], body).strip()
    if _BEGIN in rest or _END in rest:
        raise Refused(400, _CHANGED)
    return rest


def _hash(ours: str) -> str:
    """Of its words: browsers have their own way with the ends of lines."""
    return hashlib.sha256(" ".join(ours.split()).encode()).hexdigest()[:16]


def of_study(status: Status, record: StudyRecord, evaluation: Mapping[str, Any] | None) -> str:
    """What a study is about and where it stands.

    Args:
        status: at this moment.
        record: as it was created.
        evaluation: see `hpo.evaluated`; None where there is none.
    """
    data = record.data
    steps, channels = data.shape
    rows = [
        ("state", f"**{_plain(state(status))}**"),
        (
            "data",
            f"{_plain(data.name)}: {data.n_train:,} windows of {steps} steps x {channels} channels, "
            f"{len(data.classes)} classes `{data.sha256[:12]}`",
        ),
        ("split", f"{_plain(record.split)} `{data.split_sha256[:12]}`"),
        ("budget", ", ".join(_budget(status))),
        ("best", _best(status)),
        ("ended", _ended(status)),
        ("workers", _workers(status)),
        ("time", f"training {duration(status.seconds['training'])}, overhead {duration(status.seconds['overhead'])}"),
    ]
    if record.definition.sibling:
        rows.append(("part of", f"the evaluation of `{record.definition.parent}`"))
    else:
        rows.append(("evaluated", _evaluated(evaluation)))
        rows.append(("take it", f"`hpo export {record.name} -o best.json`"))
    if evaluation is None and not record.definition.sibling:
        rows.append(("next", f"`hpo evaluate {record.name}` - fresh seeds, then one look at the test part"))
    if status.state == "failed":
        rows.append(("failed with", _plain(status.last_failure[-500:])))
    return _table(rows)


def _budget(status: Status) -> Iterable[str]:
    for name, use in status.budget.items():
        if use.limit is not None or name == "trials":
            limit = "no limit" if use.limit is None else f"{use.limit:g}"
            yield f"{use.used:.3g} of {limit} {name.replace('_', ' ')}"


def _best(status: Status) -> str:
    if status.best is None:
        return "no trial completed yet"
    front = f" - the first of {len(status.front)} that no other beats" if status.front else ""
    return f"**{_plain(best_words(status.best))}**{front}: {_plain(settings(status.best.params))}"


def _ended(status: Status) -> str:
    counts = status.counts
    causes = ", ".join(f"{n} {_plain(cause)}" for cause, n in status.failures.items())
    parts = [f"{counts['complete']} complete, {counts['pruned']} pruned, {counts['fail']} failed"]
    if causes:
        parts[0] += f" (of these {causes})"
    if counts["running"]:
        parts.append(f"{counts['running']} running")
    return "; ".join(parts)


def _workers(status: Status) -> str:
    alive = [worker for worker in status.workers if worker.alive]
    if not alive:
        return "none alive"
    return f"{len(alive)} alive: " + ", ".join(f"{_plain(w.host)} ({w.slots} slots)" for w in alive[:8])


def _evaluated(evaluation: Mapping[str, Any] | None) -> str:
    if evaluation is None:
        return "not yet"
    verdict = f"; winner against runner-up: {_plain(evaluation['verdict'])}" if evaluation["verdict"] else ""
    return f"**{_plain(evaluation_words(evaluation))}**{verdict}"


def of_trial(trial: TrialRecord, pictures: Sequence[tuple[str, str]], *, seen: bool) -> str:
    """How a trial went.

    Args:
        trial: which.
        pictures: titles and addresses.
        seen: its scores come from data that it was trained on, and not from validation.
    """
    outcome = trial.outcome
    rows = [("ended", f"**{_plain(trial.cause.value)}**" if trial.cause else f"not yet: {trial.state}")]
    if trial.same_as is not None:
        rows.append(("same as", f"trial {trial.same_as}, whose record answered: not trained again"))
    if outcome is not None:
        if outcome.metrics:
            on = "seen data" if seen else "validation"
            rows.append((on, ", ".join(f"{_plain(n)} {score(v)}" for n, v in outcome.metrics.items())))
        if outcome.epochs:
            kept = f", kept: {', '.join(map(str, outcome.best_epochs))}" if outcome.best_epochs else ""
            rows.append(("epochs", f"{outcome.epochs}{kept}"))
        if outcome.seconds:
            rows.append(("time", ", ".join(f"{_plain(n)} {duration(s)}" for n, s in outcome.seconds.items())))
        if outcome.peak_memory:
            rows.append(("memory", f"{outcome.peak_memory / 2**20:,.0f} MiB at most"))
        if outcome.parameters is not None:
            rows.append(("parameters", f"{outcome.parameters:,}"))
    if trial.worker:
        rows.append(("worker", f"{_plain(trial.worker)}, attempt {trial.attempt}"))
    parts = [_table(rows)]
    if outcome is not None and outcome.detail:
        fence = "`" * (3 + max((len(run) for run in re.findall("`+", outcome.detail)), default=0))
        parts.append(f"{fence}\n{outcome.detail[-2000:]}\n{fence}")
    parts += [f"![{title}]({address})" for title, address in pictures]
    return "\n\n".join(parts)


def _table(rows: Sequence[tuple[str, str]]) -> str:
    return "\n".join(["| | |", "| :-- | :-- |", *(f"| {name} | {value} |" for name, value in rows)])


def _plain(text: str) -> str:
    """A text as it is, on one line: names from data and messages are no markup."""
    return _MARKUP.sub(r"\\\1", " ".join(text.split()))

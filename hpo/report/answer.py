"""The first screen of a report: what came out, in one number, a few cards and the sentences behind them."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from hpo.evaluation.compare import BETTER, WORSE
from hpo.evaluation.words import between, off, plus_minus, sentences, trial_name
from hpo.render import duration, score, settings, signed, state, values
from hpo.report.gather import Found

TONES = {BETTER: "good", WORSE: "bad"}


@dataclass(frozen=True)
class Card:
    """A fact: what it is, how it stands, and a word on it. `tone` is "good", "bad" or empty."""

    label: str
    text: str
    note: str = ""
    tone: str = ""


@dataclass(frozen=True)
class Answer:
    """What came out.

    Attributes:
        number: the score that counts; empty before there is one.
        what: which score that is. how: how sure it is, or how little it says.
        tone: "good" for a test score that beats the best baseline, "bad" for one that is beaten by it, "plain" where
            there is none, "weak" for all that is not sure: a score that chose itself, too.
        settings: what was searched of the winner.
        sentences: everything that a reader must not miss.
    """

    number: str
    what: str
    how: str
    tone: str
    settings: str
    cards: tuple[Card, ...]
    sentences: tuple[str, ...]


def answer(found: Found) -> Answer:
    """What a study has to say for itself by now."""
    if found.evaluation is not None:
        return _evaluated(found, found.evaluation)
    return _searched(found)


def _evaluated(found: Found, report: dict[str, Any]) -> Answer:
    winner, test = report["configurations"][0], report["test"]
    validation = winner["validation"]
    cards = [
        Card(
            "winner",
            f"{trial_name(winner)}, {winner['model']}",
            f"validation {plus_minus(validation['mean'], validation['sd'])} over {validation['n']} fresh seeds",
        ),
        *_runner_up(report),
        *_baseline(report),
        *_optimism(report),
        *_looks(report),
        _spent(found),
    ]
    if test is None:
        number, what = (
            score(validation["mean"]),
            f"{report['metric']} on validation, mean over {validation['n']} fresh seeds",
        )
        how, tone = f"Nothing here was scored on the test part: {report['why_no_test']}.", "weak"
    elif test["mean"] is None:
        number, what, tone = "", "", "weak"
        how = f"The test part has no {report['metric']}, so there is no score that counts."
    else:
        interval = test["interval"]
        number, what = score(test["mean"]), f"{report['metric']} on the test part"
        drawn = f"{interval['units']} {interval['over']} and {interval['seeds']} seeds"
        how = f"{between(interval['low'], interval['high'])}, over {drawn}"
        rivals = report.get("against") or []
        tone = TONES.get(rivals[0]["verdict"], "weak") if rivals else "plain"
    return Answer(number, what, how, tone, settings(winner["searched"]), tuple(cards), tuple(sentences(report)))


def _runner_up(report: dict[str, Any]) -> Iterator[Card]:
    compared = report["comparison"]
    if compared is None or compared["low"] is None:
        return
    note = f"by {compared['mean']:.4f}, {between(compared['low'], compared['high'])}, {compared['n']} common seeds"
    name = trial_name(report["configurations"][1])
    yield Card(f"against the runner-up, {name}", compared["verdict"], note, TONES.get(compared["verdict"], ""))


def _baseline(report: dict[str, Any]) -> Iterator[Card]:
    for best in (report.get("against") or [])[:1]:
        lead = [] if best["difference"] is None else [f"by {signed(best['difference'])}"]
        note = ", ".join([*lead, between(best["low"], best["high"])])
        metric = "" if best["metric"] == report["metric"] else f"{best['metric']} "
        label = f"against the best baseline, {best['name']}: {metric}{score(best['score'])}"
        yield Card(label, best["verdict"], note, TONES.get(best["verdict"], ""))


def _optimism(report: dict[str, Any]) -> Iterator[Card]:
    found = report.get("optimism")
    if not found or found["validation"] is None:
        return
    chance = found.get("chance")  # older reports have none
    if chance is None:
        note = "whether chance explains it cannot be said"
    else:
        # of a gap below the test score older reports have the chance above it, which says nothing of the gap
        explained = "chance explains it" if abs(found["validation"]) <= chance else ""
        note = "more than chance explains" if found["beyond"] else explained
    yield Card("validation was", off(found["validation"]), note, "bad" if found["beyond"] else "")


def _looks(report: dict[str, Any]) -> Iterator[Card]:
    times = len((report["test"] or report).get("openings", ()))
    if times:
        once = times == 1
        note = "" if once else "later looks are less honest"
        yield Card("the test part was opened", "once" if once else f"{times} times", note, "" if once else "bad")


def _spent(found: Found) -> Card:
    used = found.status.budget
    ended = f"{used['trials'].used:.0f} trials"
    return Card("the search took", ended, f"{duration(used['hours'].used * 3600)}; {state(found.status)}")


def _searched(found: Found) -> Answer:
    status, best = found.status, found.status.best
    cards = [_spent(found)]
    if best is None:
        said = "No trial has completed yet, so there is nothing to choose."
        if found.ends:
            ended = ", ".join(f"{len(trials)} {word}" for word, trials in found.ends.items())
            said = f"No trial completed ({ended}), so there is nothing to choose."
        return Answer("", "", said, "weak", "", tuple(cards), ())
    winner = found.trials[best.trial]
    cards.insert(
        0,
        Card("best trial", f"trial {best.trial}, {winner.family}", f"of {status.counts['complete']} completed trials"),
    )
    words: tuple[str, ...] = ()
    if len(status.metrics) > 1:
        cards.insert(1, Card("on the front", f"{len(status.front)} trials", "that no other beats in all metrics"))
        of_all = f"{values(best.values.values())} ({', '.join(status.metrics)})"
        words = (f"The best trial by {found.metric} has {of_all}.",)
    what, how = _worth(found)
    return Answer(score(best.value), what, how, "weak", settings(winner.record.params), tuple(cards), words)


def _worth(found: Found) -> tuple[str, str]:
    """What the best value of a search is, and how little it says."""
    parent = found.record.definition.parent
    if found.record.definition.sibling:
        said = f"An evaluation gave these trials out; `hpo report {parent}` says what came of them."
        if found.record.refits:
            return f"{found.metric} on data that the model has seen", f"No part was held out to score a refit. {said}"
        return f"{found.metric}, the best of its trainings", said
    said = "The validation part chose this trial among all, so the score is too good. "
    said += f"`hpo evaluate {parent}` says what it is worth."
    return f"{found.metric} on validation, the best of the search", said + (" It is under way." if found.going else "")

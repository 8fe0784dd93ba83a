"""What an evaluation found out, in plain sentences. Pure: a report in, sentences out."""

from collections.abc import Iterator, Sequence
from typing import Any

from hpo.evaluation.baselines import MAJORITY
from hpo.evaluation.compare import BETTER, EVEN, UNKNOWN, WORSE
from hpo.render import score, signed

Report = dict[str, Any]
# Words for what separates two scores; never a verdict without them.
INTERVAL = "95 % interval"
FEW = 20  # windows of a class, of which intervals of an AUROC held the truth in 93 % of simulated evaluations


def sentences(report: Report) -> list[str]:
    """Everything that a reader must not miss, in the order in which it was found out."""
    said = [*_winner(report), *_comparison(report)]
    if report["test"] is None:
        return [*said, *_untested(report)]
    return [*said, *_test(report), *_openings(report), *_optimism(report), *_baselines(report)]


def trial_name(configuration: dict[str, Any]) -> str:
    """How people call a configuration: by the trial of the search that had it."""
    trial = configuration["trial"]
    return "the fixed setting" if trial is None else f"trial {trial}"


def plus_minus(mean: float | None, sd: float | None) -> str:
    """A mean with its standard deviation."""
    return score(mean) if sd is None else f"{score(mean)} +- {score(sd)}"


def between(low: float | None, high: float | None) -> str:
    """An interval."""
    return "no interval" if low is None or high is None else f"{INTERVAL} {low:.4f} to {high:.4f}"


def off(optimism: float | None) -> str:
    """By how much a score was better than the test's; None where the test has none."""
    if optimism is None:
        return "nobody can say how far off"
    if round(abs(optimism), 4) == 0:
        return "neither too good nor too modest"
    return f"{abs(optimism):.4f} {'too good' if optimism > 0 else 'too modest'}"


def _winner(report: Report) -> Iterator[str]:
    winner = report["configurations"][0]
    validation = winner["validation"]
    yield (
        f"The winner is {trial_name(winner)} ({winner['model']}): validation {report['metric']} "
        f"{plus_minus(validation['mean'], validation['sd'])} over {_count(validation['n'], 'seed')}."
    )
    if winner["lacking"]:
        yield f"{len(winner['lacking'])} of its trainings have no score: {', '.join(sorted(set(winner['lacking'])))}."
    asked, there = report["asked"]["top"], len(report["configurations"])
    if 1 < there < asked:
        yield f"The search completed only {there} different configurations; {asked} were asked for."


def _comparison(report: Report) -> Iterator[str]:
    found = report["comparison"]
    if found is None:
        yield "There is one configuration only, so nothing to compare it with."
        return
    runner_up = trial_name(report["configurations"][1])
    if found["low"] is None:
        yield f"Whether it is better than {runner_up} cannot be said from {_count(found['n'], 'seed')}."
        return
    how = f"{between(found['low'], found['high'])}, {_count(found['n'], 'common seed')}"
    if found["verdict"] == BETTER:
        yield f"On validation it is better than the runner-up, {runner_up}: by {found['mean']:.4f}, {how}."
    elif found["verdict"] == WORSE:
        yield (
            f"On the seeds that both completed it is worse than the runner-up, {runner_up}: "
            f"difference {signed(found['mean'])}, {how}."
        )
        yield from _first_though_worse(report)
    else:
        yield f"On validation it is not distinguishable from the runner-up, {runner_up}: by {found['mean']:.4f}, {how}."


def _first_though_worse(report: Report) -> Iterator[str]:
    ours, theirs = (len(configuration["lacking"]) for configuration in report["configurations"][:2])
    if theirs > ours:
        yield (
            f"It won because the other one lost {_count(theirs - ours, 'more seed')}, and what loses seeds cannot be "
            "relied upon. Whoever finds out why it lost them may have the better one."
        )


def _untested(report: Report) -> Iterator[str]:
    opened = report.get("openings")
    what = "Nothing here was scored on the test part" if opened else "The test part was not opened"
    yield (
        f"{what}: {report['why_no_test']}. So there is no honest figure here: "
        "the validation part chose the winner, and is too kind to it."
    )
    if opened:
        yield f"The test part was opened {_times(len(opened))}: {_looks(opened)}."


def _test(report: Report) -> Iterator[str]:
    test, refit = report["test"], report["refit"]
    interval = test["interval"]
    how = (
        f"for {_count(refit['epochs'], 'epoch')}, with the learning rates of the median run "
        f"(trial {refit['as_trial']} of {report['study']}/evaluate)"
        if refit["epochs"]
        else "with the stopping part kept apart to end the epochs"
    )
    yield f"It was trained again on everything outside of the test part, {_count(refit['n'], 'time')}, {how}."
    if (lost := report["asked"]["seeds"] - refit["n"]) > 0:
        yield f"{_count(lost, 'more refit')} did not come to an end, and is missing from the scores below."
    drawn = f"{_count(interval['units'], interval['over'].removesuffix('s'))} and {_count(interval['seeds'], 'seed')}"
    yield (
        f"On the test part ({_count(test['windows'], 'window')}) its {report['metric']} is "
        f"{plus_minus(test['mean'], test['sd'])} over {_count(test['n'], 'seed')}; "
        f"{between(interval['low'], interval['high'])}, by drawing {drawn} anew."
    )
    rarest = min((row["windows"] for row in test["per_class"].values() if row["windows"]), default=0)
    if report["metric"] == "auroc" and interval["over"] == "windows" and interval["low"] is not None and rarest < FEW:
        yield (
            f"The rarest class has {_count(round(rarest), 'window')}. Of so few the interval of an AUROC is too "
            "narrow: take it for less than 95 %."
        )


def _openings(report: Report) -> Iterator[str]:
    opened = report["test"]["openings"]
    if len(opened) == 1:
        yield "The test part was opened once, for this."
        return
    yield (
        f"The test part was opened {_times(len(opened))}: {_looks(opened)}. Whoever has seen its scores before may "
        "have chosen by them, so these figures are less honest than those of a first look."
    )


def _optimism(report: Report) -> Iterator[str]:
    found, test = report["optimism"], report["test"]
    if test["mean"] is None:
        yield f"The test part has no {report['metric']}, so nobody can say whether validation was too kind."
        return
    validation = report["configurations"][0]["validation"]["mean"]
    promised = ""
    if found["search"] is not None:
        best = found.get("promised", report["configurations"][0]["search_value"])  # older reports have the winner's
        promised = f"the search had promised {score(best)}, {off(found['search'])}; "
    yield (
        f"Optimism: {promised}over fresh seeds validation says {score(validation)}, {off(found['validation'])}; "
        f"the test says {score(test['mean'])}."
    )
    if found["beyond"]:
        yield (
            f"Validation promises more than chance explains: so few as were drawn make {found['chance']:.4f} at most. "
            "The validation part is not like the test part. Look for other people or conditions in the test part, for "
            "windows of one recording in several parts (split.by), and for a leak: a channel that knows the label."
        )


def _baselines(report: Report) -> Iterator[str]:
    if not report["against"]:
        return
    best = report["against"][0]
    words = {
        BETTER: "The winner beats the best baseline, {}.",
        WORSE: "The winner does not beat the best baseline, {}: the baseline is better.",
        EVEN: "The winner does not beat the best baseline, {}: they are not distinguishable.",
        UNKNOWN: "Whether the winner beats the best baseline, {}, cannot be said from this test part.",
    }
    yield words[best["verdict"]].format(f"{best['name']} ({_difference(best)})")
    yield from _majority(report)


def _majority(report: Report) -> Iterator[str]:
    found = next((row for row in report["against"] if row["name"] == MAJORITY), None)
    if found is None:
        return
    verdicts = {row["name"]: row["over_majority"]["verdict"] for row in report["baselines"] if "over_majority" in row}
    others = [name for name, verdict in verdicts.items() if verdict == BETTER]
    if found["verdict"] == BETTER:
        yield f"It has learnt something: it beats always saying the most frequent class ({_difference(found)})."
    elif found["verdict"] == UNKNOWN:
        yield (
            f"Whether it beats always saying the most frequent class ({_difference(found)}) cannot be said from this "
            "test part."
        )
    elif others:
        yield (
            f"It does not beat always saying the most frequent class ({_difference(found)}); "
            f"{' and '.join(others)} did."
        )
    elif UNKNOWN in verdicts.values():
        yield (
            f"It does not beat always saying the most frequent class ({_difference(found)}); whether a baseline does "
            "cannot be said from this test part."
        )
    else:
        yield (
            "Nothing here beats always saying the most frequent class, neither the winner "
            f"({_difference(found)}) nor a baseline."
        )


def _difference(row: Report) -> str:
    apart = f"difference {signed(row['difference'])}, {between(row['low'], row['high'])}"
    return f"{row['metric']} {score(row['score'])}, {apart}"


def _looks(opened: Sequence[Report]) -> str:
    return "; ".join(f"{look['study']}, {look['who']}, {look['at'][:16].replace('T', ' ')} UTC" for look in opened)


def _times(n: int) -> str:
    return "once" if n == 1 else f"{n} times"


def _count(n: int, what: str) -> str:
    return f"1 {what}" if n == 1 else f"{n} {what}s"

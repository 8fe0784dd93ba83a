"""Figures of what a search tried: its history, its families, its learning curves, its cost, its front."""

import math
import statistics
from collections.abc import Iterable, Sequence

from hpo.plots import COLORS, Axis, Figure, Points, focus
from hpo.render import score, values
from hpo.report.gather import Found, Tried

MOST_POINTS = 2000  # that a figure shows; of a longer study the best trials, and of the others every so many
MOST_LINES = 150  # learning curves
HIGHLIGHTED = 5

KINDS = (("completed", "blue", "circle"), ("pruned", "grey", "square"), ("no score", "red", "cross"))


def thinned(found: Found, trials: Sequence[Tried], most: int | None = None) -> tuple[list[Tried], str]:
    """At most so many trials, by number, the best among them, and a sentence on what was left out, if anything.

    Args:
        found: says which are better.
        trials: all of them.
        most: how many are shown; None means `MOST_POINTS`.
    """
    most = MOST_POINTS if most is None else most
    if len(trials) <= most:
        return list(trials), ""
    completed = sorted((one for one in trials if one.completed), key=lambda one: -found.sign * one.value)
    kept = {one.number for one in (*completed[: most // 4], *completed[-most // 20 :])}
    rest = [one for one in trials if one.number not in kept]
    kept |= {one.number for one in rest[:: math.ceil(len(rest) / (most - len(kept)))]}
    shown = [one for one in trials if one.number in kept]
    return shown, f"Shown are {len(shown):,} of {len(trials):,} trials."


def kind(one: Tried) -> str:
    """Which of `KINDS` a trial is."""
    if one.completed:
        return "completed"
    return "pruned" if one.cause in ("pruned", "budget", "repeated") and not math.isnan(one.value) else "no score"


def below(outside: int) -> str:
    """A sentence on trials that lie beyond the end of an axis."""
    if not outside:
        return ""
    lie = "1 trial lies" if outside == 1 else f"{outside:,} trials lie"
    return f"{lie} beyond the edge of the picture."


def said(*sentences: str) -> str:
    """Those that are not empty."""
    return " ".join(filter(None, sentences))


def history(found: Found) -> Figure:
    """Every trial's score by its number, and the best so far."""
    sign = found.sign
    ended = [one for one in found.trials if one.record.cause is not None]
    shown, left_out = thinned(found, ended)
    low, high, outside = focus([one.value for one in ended], found.direction)
    best, line = math.nan, []
    for one in ended:
        if one.completed and not sign * one.value <= sign * best:  # the first one is no less than NaN
            best = one.value
            line.append((float(one.number), best))
    if line:
        line.append((float(found.trials[-1].number), best))
    bottom = [one for one in shown if kind(one) == "no score"]
    edge = low if sign > 0 else high
    worst = sign * min((sign * one.value for one in ended if not math.isnan(one.value)), default=0.0)
    floor = worst if edge is None else edge
    layers = [
        *(_of(shown, name, color, mark) for name, color, mark in KINDS[:2]),
        Points(
            x=tuple(float(one.number) for one in bottom), y=(floor,) * len(bottom), name="no score", color="red",
            mark="cross", trials=tuple(one.number for one in bottom),
        ),
        Points(
            x=tuple(x for x, _ in line), y=tuple(y for _, y in line), name="best so far", color="orange", mark=None,
            line="step",
        ),
    ]  # fmt: skip
    completed = [one for one in ended if one.completed]
    first = next((one.number for one in ended if one.completed and one.value == best), None)
    alt = f"{len(ended):,} trials ended, {len(completed):,} of them completed."
    if first is not None:
        alt += f" The best {found.metric} is {score(best)}, reached by trial {first}."
    return Figure(
        key="history",
        title="History",
        alt=alt,
        note=said(
            f"Each trial's score on {found.record.scored_on}; of a pruned one the last that it reported.",
            below(outside),
            left_out,
        ),
        x=Axis("trial"),
        y=Axis(found.metric, low=low, high=high),
        layers=tuple(layer for layer in layers if layer.x),
    )


def _of(trials: Iterable[Tried], name: str, color: str, mark: str) -> Points:
    these = [one for one in trials if kind(one) == name]
    return Points(
        x=tuple(float(one.number) for one in these),
        y=tuple(one.value for one in these),
        name=name,
        color=color,
        mark="circle" if mark == "circle" else "square",
        faint=name == "pruned",
        trials=tuple(one.number for one in these),
    )


def family_colors(found: Found) -> dict[str, str]:
    """A color for each family, the same in all figures; from the tenth on they come again."""
    return {family: COLORS[i % len(COLORS)] for i, family in enumerate(found.families)}


def by_family(found: Found) -> Figure:
    """The scores of each family, the best family first."""
    sign = found.sign
    scored = [one for trials in found.families.values() for one in trials if kind(one) != "no score"]
    shown, left_out = thinned(found, scored)
    done = {family: [one.value for one in trials if one.completed] for family, trials in found.families.items()}
    order = sorted(done, key=lambda family: -max((sign * v for v in done[family]), default=-math.inf))
    low, high, outside = focus([one.value for one in scored], found.direction)
    layers = []
    for name, color, mark in KINDS[:2]:
        those = [
            (one, place)
            for place, family in enumerate(order)
            for one in shown
            if one.family == family and kind(one) == name
        ]
        layers.append(
            Points(
                x=tuple(one.value for one, _ in those),
                # one above the other where they would hide each other
                y=tuple(place + ((one.number * 7) % 11 - 5) / 25 for one, place in those),
                name=name,
                color=color,
                mark="circle" if mark == "circle" else "square",
                faint=name == "pruned",
                trials=tuple(one.number for one, _ in those),
            )
        )
    medians = [(statistics.median(done[family]), float(place)) for place, family in enumerate(order) if done[family]]
    layers.append(
        Points(
            x=tuple(x for x, _ in medians), y=tuple(y for _, y in medians), name="median of the completed",
            color="orange", mark="bar", size=18, hover=tuple(f"median {score(x)}" for x, _ in medians),
        )
    )  # fmt: skip
    leader = order[0] if order and done[order[0]] else ""
    told = f" {leader} has the best trial, {score(sign * max(sign * v for v in done[leader]))}." if leader else ""
    return Figure(
        key="families",
        title="Families",
        alt=f"{found.metric} of the trials of {len(order)} families.{told}",
        note=said("Each point is a trial.", below(outside), left_out),
        x=Axis(found.metric, low=low, high=high),
        y=Axis(categories=tuple(order), downwards=True),
        layers=tuple(layer for layer in layers if layer.x),
        height=110 + 34 * len(order),
    )


def learning(found: Found) -> Figure | None:
    """The reported score of every trial, report by report, the best ones in front; None where nothing was reported.

    Steps have gaps where a fold stopped early: what was trained is the number of reports.
    """
    reported = [one for one in found.trials if len(one.reports) > 1]
    if not reported:
        return None
    shown, left_out = thinned(found, reported, MOST_LINES)
    leaders = [one for one in found.best[:HIGHLIGHTED] if len(one.reports) > 1]
    low, high, _ = focus([v for one in shown for v in one.reports.values()], found.direction)
    x: list[float] = []
    y: list[float] = []
    for one in shown:
        if one not in leaders:
            done, scores = _in_order(one)
            x += [*done, math.nan]
            y += [*scores, math.nan]
    layers = (
        [Points(tuple(x), tuple(y), "all others", "grey", mark=None, line="straight", width=1, faint=True)] if x else []
    )
    for color, one in zip(COLORS, leaders, strict=False):
        done, scores = _in_order(one)
        layers.append(
            Points(
                x=done, y=scores, name=f"trial {one.number}", color=color, mark="circle", size=4, line="straight",
                trials=(one.number,) * len(done),
            )
        )  # fmt: skip
    unit = "epoch" if found.record.definition.search.pruner.by_epoch else "fold"
    of = "with several folds their mean" if unit == "epoch" else "each fold's own score"
    return Figure(
        key="learning",
        title="Learning curves",
        alt=f"{found.metric} of {len(shown)} trials on {found.record.scored_on} by {unit}; "
        f"{len(leaders)} of the best stand out.",
        note=said(f"As reported to the pruner; {of}.", left_out),
        x=Axis(f"{unit}s trained"),
        y=Axis(found.metric, low=low, high=high),
        layers=tuple(layers),
    )


def _in_order(one: Tried) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """How many reports there were with each, and its score."""
    return tuple(float(i + 1) for i in range(len(one.reports))), tuple(
        one.reports[step] for step in sorted(one.reports)
    )


def cost(found: Found) -> Figure | None:
    """What each trial took against what it reached; None where no trial was timed."""
    timed = [one for one in found.trials if one.seconds > 0 and not math.isnan(one.value)]
    if not timed:
        return None
    shown, left_out = thinned(found, timed)
    low, high, outside = focus([one.value for one in timed], found.direction)
    colors = family_colors(found)
    layers = []
    for family, color in colors.items():
        for completed in (False, True):
            those = [one for one in shown if one.family == family and one.completed is completed]
            name = family if completed or not any(one.completed for one in shown if one.family == family) else ""
            layers.append(
                Points(
                    x=tuple(one.seconds for one in those), y=tuple(one.value for one in those), name=name, color=color,
                    mark="circle" if completed else "cross", faint=not completed, size=7 if completed else 6,
                    trials=tuple(one.number for one in those),
                )
            )  # fmt: skip
    total = sum(one.seconds for one in timed)
    return Figure(
        key="cost",
        title="Cost against score",
        alt=f"Seconds and {found.metric} of {len(timed):,} trials, which took {total / 3600:.2f} hours together.",
        note=said("Circles completed, crosses were ended before.", below(outside), left_out),
        x=Axis("seconds of one slot", log=True),
        y=Axis(found.metric, low=low, high=high),
        layers=tuple(layer for layer in layers if layer.x),
    )


def front(found: Found) -> Figure | None:
    """With several metrics: all completed trials by the first two, those that no other beats joined by a line."""
    metrics = found.record.definition.train.metrics
    trials = [one for one in found.trials if one.completed and one.record.values]
    if len(metrics) < 2 or not trials:
        return None
    shown, left_out = thinned(found, trials)
    on_it = {best.trial for best in found.status.front}
    winners = sorted((one for one in trials if one.number in on_it), key=lambda one: one.record.values or ())
    others = [one for one in shown if one.number not in on_it]
    count = metrics[1] == "parameters"

    def points(those: Sequence[Tried], name: str, color: str) -> Points:
        pairs = [(one.record.values or (math.nan, math.nan))[:2] for one in those]
        return Points(
            x=tuple(pair[1] for pair in pairs), y=tuple(pair[0] for pair in pairs), name=name, color=color,
            mark="circle" if color == "orange" else "square", size=9 if color == "orange" else 6,
            line="straight" if color == "orange" and len(metrics) == 2 else None,
            faint=color != "orange", trials=tuple(one.number for one in those),
        )  # fmt: skip

    return Figure(
        key="front",
        title="Pareto front",
        alt=f"{len(winners)} of {len(trials)} completed trials are beaten by no other in all of {', '.join(metrics)}. "
        f"The best by {metrics[0]}: {values(found.status.front[0].values.values())}.",
        note=said(
            "The metrics beyond the first two stand in the table." if len(metrics) > 2 else "",
            "On the front are the trials that no other one beats in all metrics.", left_out,
        ),
        x=Axis(metrics[1], log=count),
        y=Axis(metrics[0]),
        layers=tuple(
            layer for layer in (points(others, "beaten", "grey"), points(winners, "on the front", "orange")) if layer.x
        ),
    )  # fmt: skip

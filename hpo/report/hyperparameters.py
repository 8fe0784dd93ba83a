"""Figures of what the hyperparameters did: their importance, all of them at once, and one by one."""

import math
from collections.abc import Sequence

from hpo.plots import SHADES, Axis, Figure, Points, Words, focus
from hpo.plots.figure import Bars
from hpo.plots.scale import number
from hpo.render import score
from hpo.report.gather import Found, Tried
from hpo.report.search import family_colors, kind, said, thinned
from hpo.space import Choice, Domain, Fixed, Float, Int, Scalar

MOST_BARS = 15
MOST_AXES = 7  # hyperparameters beside each other
MOST_SLICES = 12
MOST_LINES = 400
FIFTHS = ("the worst fifth", "", "the middle fifth", "", "the best fifth")


def importance(found: Found) -> Figure | None:
    """Shares of the most important hyperparameters; None where too few trials completed."""
    if not found.importances:
        return None
    top = list(found.importances.items())[:MOST_BARS]
    completed = sum(one.completed for one in found.trials)
    rest = len(found.importances) - len(top)
    few = completed < 50
    return Figure(
        key="importance",
        title="Importance of hyperparameters",
        alt=f"By PED-ANOVA over {completed:,} completed trials: "
        + ", ".join(f"{name} {share:.0%}" for name, share in top[:3])
        + ".",
        note=said(
            f"PED-ANOVA over {completed:,} completed trials: what decides whether a trial is among the best tenth of "
            "them, as shares of 1. Pruned trials do not count.",
            "So few trials give a hint, not a ranking." if few else "",
            f"{rest} less important ones are in the table." if rest else "",
        ),
        x=Axis("share of the importance", low=0.0),
        y=Axis(categories=tuple(name for name, _ in top), downwards=True),
        layers=(
            Bars(
                at=tuple(float(i) for i in range(len(top))),
                start=(0.0,) * len(top),
                end=tuple(share for _, share in top),
                texts=tuple(f"{share:.1%}" for _, share in top),
                hover=tuple(f"{name}\n{share:.1%}" for name, share in top),
            ),
        ),
        height=70 + 26 * len(top),
    )


def ordered(found: Found) -> list[str]:
    """The searched hyperparameters without their families, the most important first, then those of most trials."""
    weight: dict[str, float] = {}
    for name, share in found.importances.items():
        bare = _bare(found, name)
        weight[bare] = weight.get(bare, 0.0) + share
    many: dict[str, int] = {}
    for one in found.trials:
        for name in one.searched:
            many[name] = many.get(name, 0) + 1
    return sorted(many, key=lambda name: (-weight.get(name, 0.0), -many[name], name))


def _bare(found: Found, name: str) -> str:
    family, _, rest = name.partition(".")
    return rest if rest and family in found.record.spaces else name


def _domains(found: Found, name: str) -> list[Domain]:
    return [
        space[name] for space in found.record.spaces.values() if name in space and not isinstance(space[name], Fixed)
    ]


class _Scale:
    """Where values of a hyperparameter lie on its axis, over all families that have it."""

    def __init__(self, found: Found, name: str) -> None:
        domains = _domains(found, name)
        there = {one.searched[name] for one in found.trials if name in one.searched}
        self.log = any(isinstance(domain, Float | Int) and domain.log for domain in domains)
        self.choices: tuple[Scalar, ...] = ()
        if any(isinstance(d, Choice) for d in domains) or any(isinstance(v, str | bool) for v in there):
            listed = [v for d in domains if isinstance(d, Choice) for v in d.values]
            self.choices = tuple(sorted({*listed, *there}, key=_sortable))

    def place(self, value: Scalar) -> float:
        """Its position on an axis of its own."""
        return float(self.choices.index(value)) if self.choices else float(value)

    def share(self, value: Scalar, low: float, high: float) -> float:
        """Its position between 0 and 1."""
        at = self.place(value)
        if self.log and not self.choices and low > 0:
            at, low, high = math.log(at), math.log(low), math.log(high)
        return 0.5 if high <= low else (at - low) / (high - low)


def _sortable(value: Scalar) -> tuple[bool, float, str]:
    word = isinstance(value, str | bool)
    return word, 0.0 if isinstance(value, str) else float(value), str(value)


def _word(value: Scalar) -> str:
    return number(value) if isinstance(value, int | float) and not isinstance(value, bool) else str(value)


def parallel(found: Found) -> Figure | None:
    """Each completed trial as a line over the most important hyperparameters; None below three trials or two axes."""
    trials = [one for one in found.trials if one.completed]
    names = [name for name in ordered(found) if any(name in one.searched for one in trials)][:MOST_AXES]
    if len(trials) < 3 or not names:
        return None
    rank = sorted(trials, key=lambda one: found.sign * one.value)
    fifth_of = {one.number: (5 * place - 1) // len(rank) for place, one in enumerate(rank, 1)}
    trials, left_out = thinned(found, trials, MOST_LINES)
    several = len(found.record.spaces) > 1
    axes = [*(["family"] if several else []), *names, found.metric]
    marks = Words((), (), ())
    places = {one.number: [math.nan] * len(axes) for one in trials}
    if several:
        families = sorted({one.family or "" for one in trials})
        share = {family: 0.5 if len(families) < 2 else i / (len(families) - 1) for i, family in enumerate(families)}
        marks = _marked(marks, 0, share)
        for one in trials:
            places[one.number][0] = share[one.family or ""]
    for position, name in enumerate(names, int(several)):
        scale = _Scale(found, name)
        those = [one for one in trials if name in one.searched]
        ends = sorted(scale.place(one.searched[name]) for one in those)
        for one in those:
            places[one.number][position] = scale.share(one.searched[name], ends[0], ends[-1])
        told = {
            _word(v): scale.share(v, ends[0], ends[-1]) for v in _told(scale, [one.searched[name] for one in those])
        }
        marks = _marked(marks, position, told)
    worth = sorted(one.value for one in trials)
    for one in trials:
        places[one.number][-1] = 0.5 if worth[0] == worth[-1] else (one.value - worth[0]) / (worth[-1] - worth[0])
    marks = _marked(marks, len(axes) - 1, {score(worth[0]): 0.0, score(worth[-1]): 1.0})
    layers = []
    for fifth, shade in enumerate(SHADES):
        these = [one for one in trials if fifth_of[one.number] == fifth]
        x: list[float] = []
        y: list[float] = []
        numbers: list[int] = []
        for one in these:
            x += [*map(float, range(len(axes))), math.nan]
            y += [*places[one.number], math.nan]
            numbers += [one.number] * (len(axes) + 1)
        layers.append(
            Points(
                tuple(x), tuple(y), FIFTHS[fifth], shade, mark="circle", size=3, line="straight",
                width=1 + fifth * 0.3, trials=tuple(numbers),
            )
        )  # fmt: skip
    best = rank[-1]
    return Figure(
        key="parallel",
        title="All at once",
        alt=f"Parallel coordinates of {len(trials)} completed trials over {', '.join(axes)}. "
        f"The best line, trial {best.number}, ends at {score(best.value)}.",
        note=said(
            "A line is a completed trial, the deeper its colour the better. It breaks where a family lacks the "
            "hyperparameter.", left_out,
        ),
        x=Axis(categories=tuple(axes)),
        y=Axis(low=-0.06, high=1.08, hidden=True),
        layers=(*(layer for layer in layers if layer.x), marks),
        height=420,
    )  # fmt: skip


def _told(scale: _Scale, there: Sequence[Scalar]) -> list[Scalar]:
    """The values of an axis that are written beside it."""
    if scale.choices:
        return [value for value in scale.choices if value in there]
    found = sorted(there, key=float)
    return list(dict.fromkeys([found[0], found[-1]]))


def _marked(marks: Words, position: int, places: dict[str, float]) -> Words:
    n = len(places)
    return Words(
        x=(*marks.x, *([float(position)] * n)),
        y=(*marks.y, *places.values()),
        texts=(*marks.texts, *places),
    )


def slices(found: Found) -> list[Figure]:
    """A figure for each of the most important hyperparameters: its values against the score."""
    low, high, _ = focus([one.value for one in found.trials if kind(one) != "no score"], found.direction)
    made = []
    for name in ordered(found)[:MOST_SLICES]:
        trials = [one for one in found.trials if name in one.searched and kind(one) != "no score"]
        if len({one.searched[name] for one in trials}) > 1:
            made.append(_slice(found, name, trials, (low, high)))
    return made


def _slice(found: Found, name: str, trials: list[Tried], ends: tuple[float | None, float | None]) -> Figure:
    shown, left_out = thinned(found, trials, 600)
    scale, colors = _Scale(found, name), family_colors(found)
    layers = []
    for completed in (False, True):
        for family, color in colors.items():
            those = [one for one in shown if one.family == family and one.completed is completed]
            layers.append(
                Points(
                    x=tuple(scale.place(one.searched[name]) + _apart(one, scale) for one in those),
                    y=tuple(one.value for one in those),
                    color=color,
                    mark="circle" if completed else "cross",
                    faint=not completed,
                    size=6 if completed else 5,
                    trials=tuple(one.number for one in those),
                )
            )
    completed_trials = [one for one in trials if one.completed]
    best = max(completed_trials, key=lambda one: found.sign * one.value, default=None)
    at = "" if best is None else f" The best of them, trial {best.number}, has {name} {_word(best.searched[name])}."
    return Figure(
        key=f"slice-{''.join(c if c.isalnum() else '-' for c in name)}",
        title=name,
        alt=f"{found.metric} of {len(trials):,} trials against {name}.{at}",
        note=left_out,
        x=Axis(name, log=scale.log and not scale.choices, categories=tuple(map(_word, scale.choices))),
        y=Axis(found.metric, low=ends[0], high=ends[1]),
        layers=tuple(layer for layer in layers if layer.x),
        height=280,
        narrow=True,
    )


def _apart(one: Tried, scale: _Scale) -> float:
    """Trials with the same choice stand a little beside each other."""
    return ((one.number * 7) % 11 - 5) / 30 if scale.choices else 0.0

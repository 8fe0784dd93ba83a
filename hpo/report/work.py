"""Figures of who did the work and how it ended: the timeline of the workers, ends by cause, seconds by family."""

import math
from collections.abc import Sequence

from hpo.plots import Axis, Bars, Figure
from hpo.render import duration
from hpo.report.gather import REPEATED, Found, Tried
from hpo.report.search import family_colors, said
from hpo.trial import INFEASIBLE, Cause

MOST_TRIALS = 1500  # of a timeline, the last ones
COLORS = {
    "completed": "blue",
    "pruned": "grey",
    "budget": "grey",
    REPEATED: "teal",
    Cause.BUG.value: "red",
    **{cause.value: "orange" for cause in INFEASIBLE},
}
LEGEND = (
    ("completed", "blue", False),
    ("pruned, or ended by the budget", "grey", False),
    ("infeasible", "orange", True),
    ("bug", "red", True),
    ("running", "green", True),
    ("left, to be taken up again", "brown", True),
    ("earlier attempts of a trial that was taken over", "purple", True),
)


def timeline(found: Found) -> Figure | None:
    """Which worker trained which trial from when to when, a row for each slot; None before any trial began."""
    begun = [one for one in found.trials if one.record.leased_at is not None and one.record.same_as is None]
    if not begun:
        return None
    shown = begun[-MOST_TRIALS:]
    start = min(one.began or math.inf for one in shown)
    rows = _rows(shown, found.now)
    last = max(_end(one, found.now) for one in shown)
    unit, word = (3600.0, "hours") if last - start > 7200 else (60.0, "minutes")
    names = list(dict.fromkeys(row for row, _ in rows.values()))
    order = [(name, slot) for name in names for slot in range(1 + max(s for row, s in rows.values() if row == name))]
    place = {row: float(i) for i, row in enumerate(order)}
    groups: dict[str, list[tuple[Tried, float, float]]] = {name: [] for name, _, _ in LEGEND}
    for one in shown:
        first, leased = one.began or 0.0, one.record.leased_at or 0.0
        groups[_group(one)].append((one, leased, _end(one, found.now)))
        if one.record.attempt > 1 and leased - first > 1:
            groups[LEGEND[-1][0]].append((one, first, leased))
    layers = tuple(
        Bars(
            at=tuple(place[rows[one.number]] for one, _, _ in those),
            start=tuple((begin - start) / unit for _, begin, _ in those),
            end=tuple((end - start) / unit for _, _, end in those),
            name=name,
            color=color,
            striped=striped,
            trials=tuple(one.number for one, _, _ in those),
        )
        for name, color, striped in LEGEND
        if (those := groups[name])
    )
    again = [one for one in shown if one.record.attempt > 1]
    takeovers = (
        f"Taken over or begun again: {len(again)} of the trials. What lies before the last attempt is striped, and may "
        "have been on another worker; only its beginning is known."
        if again
        else "No trial was taken over."
    )
    return Figure(
        key="timeline",
        title="Who trained what, and when",
        alt=f"Timeline of {len(shown):,} trials on {len(names)} workers with {len(order)} slots. {takeovers}",
        note=said(
            takeovers, f"Shown are the last {len(shown):,} trials." if len(shown) < len(begun) else "",
        ),
        x=Axis(f"{word} since the first trial began", low=0.0),
        y=Axis(
            categories=tuple(f"{name}, slot {slot + 1}" if len(order) > len(names) else name for name, slot in order),
            downwards=True,
        ),
        layers=layers,
        height=110 + 26 * len(order),
    )  # fmt: skip


def _rows(trials: Sequence[Tried], now: float) -> dict[int, tuple[str, int]]:
    """Number -> its worker, and the first of its rows that was free: workers do not say which slot it was."""
    free: dict[str, list[float]] = {}
    rows = {}
    for one in sorted(trials, key=lambda one: one.record.leased_at or 0.0):
        worker = one.worker or "nobody"
        ends, begin = free.setdefault(worker, []), one.record.leased_at or 0.0
        slot = next((i for i, end in enumerate(ends) if end <= begin + 0.5), len(ends))
        ends[slot:slot] = [] if slot < len(ends) else [0.0]
        ends[slot] = _end(one, now)
        rows[one.number] = (worker, slot)
    return rows


def _end(one: Tried, now: float) -> float:
    """When it ended; where nobody is known to train it any more, when its worker was last heard of."""
    return one.record.finished_at or (now if one.record.live else min(now, one.heard or now))


def _group(one: Tried) -> str:
    if one.record.cause is None:
        return "running" if one.record.live else "left, to be taken up again"
    if one.record.cause in INFEASIBLE:
        return "infeasible"
    return {"completed": "completed", "bug": "bug"}.get(one.cause, LEGEND[1][0])


def ends(found: Found) -> Figure | None:
    """How many trials ended in which way; None before one ended."""
    counts = {word: len(trials) for word, trials in found.ends.items()}
    if not counts:
        return None
    total = sum(counts.values())
    words = ", ".join(f"{n} {word}" for word, n in counts.items())
    layers = tuple(
        Bars(
            (float(i),),
            (0.0,),
            (float(n),),
            color=COLORS[word],
            texts=(f"{n:,} ({n / total:.0%})",),
            hover=(f"{word}: {n:,}",),
        )
        for i, (word, n) in enumerate(counts.items())
    )
    return Figure(
        key="ends",
        title="How trials ended",
        alt=f"Of {total:,} trials that ended: {words}.",
        x=Axis("trials", low=0.0),
        y=Axis(categories=tuple(counts), downwards=True),
        layers=layers,
        height=80 + 30 * len(counts),
        narrow=True,
    )


def seconds(found: Found) -> Figure | None:
    """How long the trials of each family trained; None where nothing was timed, or there is one family."""
    spent = {
        family: sum(one.seconds for one in trials if not math.isnan(one.seconds))
        for family, trials in found.families.items()
    }
    if len(spent) < 2 or not any(spent.values()):
        return None
    order = sorted(spent, key=lambda family: -spent[family])
    colors, unit = family_colors(found), 60.0
    return Figure(
        key="seconds",
        title="Time by family",
        alt="Time of one slot: " + ", ".join(f"{family} {duration(spent[family])}" for family in order) + ".",
        x=Axis("minutes of one slot", low=0.0),
        y=Axis(categories=tuple(order), downwards=True),
        layers=tuple(
            Bars(
                (float(i),), (0.0,), (spent[family] / unit,), color=colors[family], texts=(duration(spent[family]),),
                hover=(f"{family}\n{duration(spent[family])} in {len(found.families[family])} trials",),
            )
            for i, family in enumerate(order)
        ),
        height=80 + 26 * len(order),
        narrow=True,
    )  # fmt: skip

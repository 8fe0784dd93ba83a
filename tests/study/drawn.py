"""Study files drawn by hypothesis: valid ones with every key that there is, and the same with one thing changed."""

import copy
import datetime
from collections.abc import Iterator, Mapping
from typing import Any

from hypothesis import strategies as st

from hpo import models, samplers
from hpo.scores import METRICS, OBJECTIVES

Raw = dict[str, Any]
Place = tuple[str | int, ...]
Keys = dict[str, st.SearchStrategy[Any]]

FAMILIES = models.family_names()
_finite = st.floats(-1e9, 1e9)
scalars = st.one_of(st.booleans(), st.integers(-(2**53), 2**53), _finite, st.text("abc", max_size=3))
_choices = st.lists(scalars, min_size=1, max_size=4, unique_by=lambda v: (isinstance(v, bool), isinstance(v, str), v))
_when: st.SearchStrategy[Raw] = st.one_of(
    st.just({}),
    st.dictionaries(
        st.sampled_from(["a", "b"]), st.one_of(scalars, st.lists(scalars, min_size=1, max_size=3)), min_size=1
    ).map(lambda when: {"when": when}),
)
_scales: list[Raw] = [{}, {"log": True}, {"step": 2}]
_ranges: st.SearchStrategy[Raw] = st.tuples(
    st.integers(1, 99), st.integers(0, 99), st.sampled_from(_scales), _when
).map(lambda t: {"low": t[0], "high": t[0] + t[1]} | t[2] | t[3])
_entries: st.SearchStrategy[Any] = st.one_of(
    scalars,
    _choices,
    _ranges,
    st.tuples(scalars, _when).map(lambda t: {"value": t[0]} | t[1]),
    st.tuples(_choices, _when).map(lambda t: {"choices": t[0]} | t[1]),
)
_names = st.from_regex(r"[a-z_]{1,8}", fullmatch=True).filter(lambda name: name not in FAMILIES)
_shared = st.dictionaries(_names, _entries, max_size=3)
_space = st.tuples(_shared, st.dictionaries(st.sampled_from(FAMILIES), _shared, max_size=2)).map(lambda t: t[0] | t[1])

_count, _positive = st.integers(1, 99), st.floats(0.01, 99)
_text = st.sampled_from(["BasicMotions", 'data/"odd" \\ földer', "a.csv"])
_columns: Keys = {
    "test_path": _text, "series": st.just("id"), "time": st.just("t"), "channels": st.just(["a", "b"]),
    "length": _count, "label_rule": st.sampled_from(["majority", "last", "pure"]),
}  # fmt: skip
# source -> keys that it needs, and others
DATA: dict[str, tuple[Keys, Keys]] = {
    "bundled": ({"name": _text}, {}),
    "uci_har": ({"path": _text}, {}),
    "ucr": ({"path": _text}, {"name": _text}),
    "npz": ({"path": _text}, {}),
    "csv": ({"path": _text, "label": st.just("y")}, _columns | {"separator": st.just(";"), "group": st.just("g")}),
    "parquet": (
        {"path": _text, "label": st.just("y"), "length": _count},
        {key: values for key, values in _columns.items() if key not in ("test_path", "length")}
        | {"stride": _count, "blocks": _count, "part": st.just("part")},
    ),
}
SPLIT: Keys = {"stopping": st.floats(0, 0.49), "seed": st.integers(0, 2**32 - 1)}
MODEL: Keys = {
    "family": st.one_of(st.sampled_from(FAMILIES), st.lists(st.sampled_from(FAMILIES), min_size=1, unique=True)),
    "max_parameters": st.integers(1, 10**9),
}
SEARCH: Keys = {"sampler": st.sampled_from(samplers.names()), "duplicates": st.sampled_from(["skip", "reseed"])}
_epochs = {"min_epochs": st.integers(1, 9)}
PRUNERS: dict[str, Keys] = {
    "hyperband": _epochs, "median": _epochs, "successive-halving": _epochs, "none": {},
    "percentile": _epochs | {"percentile": st.floats(0.1, 99.9)},
    "patient": _epochs | {"patience": st.integers(1, 5), "judge": st.sampled_from(["median", "percentile"])},
    "wilcoxon": {"p_threshold": st.floats(0.07, 0.99)},
}  # fmt: skip
TRAIN: Keys = {
    "max_epochs": st.integers(10, 999), "patience": _count, "optimizer": st.sampled_from(["adam", "adamw"]),
    "scaling": st.sampled_from(["channel", "sample", "none"]), "triples": st.booleans(), "threads": _count,
    "stall_minutes": _positive,
}  # fmt: skip
BUDGET: Keys = {
    "hours": _positive, "trial_minutes": _positive, "gpu_hours": _positive, "retries": st.integers(0, 9),
    "max_consecutive_failures": _count,
}  # fmt: skip


@st.composite
def _tables(draw: st.DrawFn) -> Raw:
    """The tables [search], [train] and [split], whose keys have something to do with each other."""
    search, train = (draw(st.fixed_dictionaries({}, optional=keys)) for keys in (SEARCH, TRAIN))
    split = {"by": draw(st.sampled_from(["group", "stratified", "leave-one-group-out", "predefined"]))}
    split |= draw(st.fixed_dictionaries({}, optional=SPLIT))
    if split["by"] in ("group", "stratified"):
        folds: Keys = {"folds": st.integers(5, 9), "repeats": st.integers(1, 3)}
        split |= draw(st.one_of(st.fixed_dictionaries(folds), st.fixed_dictionaries({}, optional=SHARE)))
    metrics = draw(st.lists(st.sampled_from(list(OBJECTIVES)), max_size=3, unique=True))
    if metrics and metrics[0] in METRICS:
        train["metric"] = metrics if len(metrics) > 1 or draw(st.booleans()) else metrics[0]
    several = isinstance(train.get("metric"), list) and len(train["metric"]) > 1
    fitting = [name for name in PRUNERS if name != "wilcoxon" or split.get("folds") or split["by"] not in DRAWN]
    if draw(st.booleans()):
        name = "none" if several else draw(st.sampled_from(fitting))
        table = {"name": name} | draw(st.fixed_dictionaries({}, optional=PRUNERS[name]))
        search["pruner"] = name if len(table) == 1 and draw(st.booleans()) else table
    return {"search": search, "train": train, "split": split}


SHARE: Keys = {"validation": st.floats(0.01, 0.5)}
DRAWN = ("group", "stratified")


@st.composite
def files(draw: st.DrawFn) -> Raw:
    """The keys of a valid study file."""
    source = draw(st.sampled_from(list(DATA)))
    needed, others = DATA[source]
    raw = draw(_tables()) | {
        "name": draw(st.from_regex(r"[a-z0-9][a-z0-9._-]{0,63}", fullmatch=True)),
        "data": {"source": source}
        | draw(st.fixed_dictionaries(needed, optional=others | {"missing": st.sampled_from(["interpolate", "zero"])})),
        "model": draw(st.fixed_dictionaries({"family": MODEL["family"]}, optional=_without(MODEL, "family"))),
        "budget": draw(
            st.one_of(
                st.fixed_dictionaries({"trials": _count}, optional=BUDGET),
                st.fixed_dictionaries({"hours": _positive}, optional=_without(BUDGET, "hours")),
            )
        ),
    }
    if draw(st.booleans()):
        raw["space"] = draw(_space)
    return {name: table for name, table in raw.items() if table or name not in ("search", "train")}


def _without(keys: Keys, *names: str) -> Keys:
    return {name: values for name, values in keys.items() if name not in names}


def places(raw: Mapping[str, Any]) -> Iterator[Place]:
    """Where something stands: every key of every table, and every member of a list."""
    below: Any = raw.items()
    for name, value in below:
        yield (name,)
        if isinstance(value, list):
            yield from ((name, i) for i in range(len(value)))
        elif isinstance(value, Mapping):
            yield from ((name, *rest) for rest in places(value))


# whatever stands there, most of these are of another type, out of range, or unknown
STRANGE: list[Any] = [
    True, False, 0, 1, -1, 2**60, 10**40, 0.5, -0.5, 1e300, float("nan"), float("inf"), "", "x", "nonsense", "none",
    "wilcoxon",
    "lstm", [], ["x"], [1, 1], [[1]], ["accuracy", "parameters"], {}, {"x": 1}, {"name": "x"}, {"low": 2, "high": 1},
    {"lstm": {"units": []}}, datetime.date(2026, 1, 1),
]  # fmt: skip


@st.composite
def mutations(draw: st.DrawFn) -> tuple[Raw, Place, str]:
    """A valid file with one thing changed: its keys, the place of the change, and a name that is new there if any."""
    raw = copy.deepcopy(draw(files()))
    place = draw(st.sampled_from(list(places(raw))))
    table: Any = raw
    for step in place[:-1]:
        table = table[step]
    last = place[-1]
    match draw(st.sampled_from(["replace", "delete", "rename", "add"])):
        case "delete":
            del table[last]
        case "rename" if isinstance(last, str):
            new = draw(st.sampled_from([last + "s", last[:-1] or "q", last.upper(), "units", "lstm", "source"]))
            value = table.pop(last)
            table.setdefault(new, value)
            return raw, place, new
        case "add" if isinstance(table, dict):
            new = draw(st.sampled_from(["units", "lstm", "name", "low", "value", "by", "unheard of", "ünheard"]))
            table[new] = draw(st.sampled_from(STRANGE))
            return raw, (*place[:-1], new), new
        case _:
            table[last] = draw(st.sampled_from(STRANGE))
    return raw, place, ""

"""Spaces as values: order, conditions, clipping, sampling, corners."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpo.space import (
    Choice,
    Domain,
    Fixed,
    Float,
    Int,
    Scalar,
    Space,
    choice,
    clip,
    corners,
    counts,
    defaults,
    describe,
    ends,
    fixed,
    order,
    same,
    sample,
    searched,
    settings,
    singly,
    to_json,
    with_parents,
)

CONDITIONAL: Space = {
    "recurrent_dropout": Float(low=0.1, high=0.3, default=0.1, when={"cell": ("lstm",)}),
    "cell": choice("lstm", "gru", default="gru", when={"recurrent": (True,)}),
    "recurrent": choice(True, False, default=True),
    "units": Int(low=8, high=128, log=True, default=64),
    "seed": fixed(3),
}


def _domains() -> st.SearchStrategy[Domain]:
    whole = st.integers(1, 500)
    number = st.floats(1e-6, 1e6)
    log = st.booleans()
    return st.one_of(
        st.builds(
            lambda low, more, logarithmic, default: Float(low=low, high=low + more, log=logarithmic, default=default),
            number, number, log, number,
        ),
        st.builds(
            lambda low, steps, step, default: Int(low=low, high=low + steps * step, step=step, default=default),
            whole, st.integers(0, 50), st.integers(1, 9), whole,
        ),
        st.builds(lambda low, more: Int(low=low, high=low + more, log=True, default=low), whole, whole),
        st.builds(
            lambda values, default: Choice(values=tuple(values), default=default),
            st.lists(st.one_of(whole, st.text(max_size=3)), min_size=1, max_size=5),
            st.one_of(whole, st.text(max_size=3)),
        ),
        st.builds(lambda value: Fixed(default=value), st.one_of(whole, st.booleans(), st.text(max_size=3))),
    )  # fmt: skip


def _holds(domain: Domain, value: Scalar) -> bool:
    match domain:
        case Fixed():
            return same(value, domain.default)
        case Choice():
            return any(same(value, v) for v in domain.values)
        case Float():
            return isinstance(value, float) and domain.low <= value <= domain.high
        case Int():
            return isinstance(value, int) and value in range(domain.low, domain.high + 1, domain.step)


def test_parents_come_before_their_children() -> None:
    """Whatever the order of a space, every parent stands before what depends on it, and no name is lost."""
    names = order(CONDITIONAL)
    assert sorted(names) == sorted(CONDITIONAL)
    assert names.index("recurrent") < names.index("cell") < names.index("recurrent_dropout")


def test_a_circle_of_conditions_is_shown() -> None:
    """Conditions in a circle are refused with the circle in the message, a hyperparameter on its own as well."""
    circle: Space = {name: fixed(1).model_copy(update={"when": {parent: (1,)}}) for name, parent in pairwise("abca")}
    with pytest.raises(ValueError, match=r"^a -> b -> c -> a$"):
        order(circle)
    with pytest.raises(ValueError, match=r"^x -> x$"):
        order({"x": Fixed(default=1, when={"x": (1,)})})


@given(_domains(), st.one_of(st.integers(-(10**6), 10**6), st.floats(-1e6, 1e6), st.text(max_size=3)))
def test_a_clipped_value_lies_in_the_domain(domain: Domain, value: Scalar) -> None:
    """Clipping always ends inside the domain, and leaves alone what lies inside."""
    if isinstance(domain, Float | Int) and isinstance(value, str):
        return
    clipped = clip(domain, value)
    assert _holds(domain, clipped)
    assert same(clip(domain, clipped), clipped)


@pytest.mark.parametrize(
    ("domain", "value", "expected"),
    [
        (Float(low=0.1, high=0.5, default=0.2), 0.9, 0.5),
        (Float(low=0.1, high=0.5, default=0.2), 0, 0.1),
        (Int(low=10, high=30, step=10, default=10), 24, 20),
        (Int(low=10, high=35, step=10, default=10), 99, 30),
        (Int(low=10, high=35, step=10, default=10), -5, 10),
        (choice(8, 32, 128, default=8), 40, 32),
        (choice("same", "valid", default="same"), "causal", "same"),
        (choice(True, False, default=True), False, False),
        (fixed(7), 9, 7),
    ],
)
def test_clip_takes_the_nearest_value(domain: Domain, value: Scalar, expected: Scalar) -> None:
    """The nearest value of the domain is taken; for a text that is no choice, the first choice."""
    assert same(clip(domain, value), expected)


def test_booleans_are_no_numbers() -> None:
    """True is not 1 and "1" is not 1, but 1 is 1.0."""
    assert same(1, 1.0)
    assert not same(True, 1)
    assert not same("1", 1)


def test_parents_come_with_their_children() -> None:
    """A part of a space has all that its conditions depend on, each once, so that it can be drawn from by itself."""
    part = with_parents(CONDITIONAL, ["recurrent_dropout", "cell"])
    assert list(part) == ["recurrent_dropout", "cell", "recurrent"]
    assert set(sample(part, np.random.default_rng(0))) == set(part)
    assert list(with_parents(CONDITIONAL, ["units"])) == ["units"]


def test_conditions_need_all_parents_and_one_of_their_values() -> None:
    """A hyperparameter counts if every parent has one of its values; without a condition it always counts."""
    domain = Fixed(default=0, when={"a": (1, 2), "b": (True,)})
    assert counts(domain, {"a": 2, "b": True})
    assert not counts(domain, {"a": 3, "b": True})
    assert not counts(domain, {"a": 1, "b": False})
    assert counts(fixed(0), {})


@given(_domains(), st.integers(0, 2**32))
def test_samples_lie_in_the_domain(domain: Domain, seed: int) -> None:
    """Every drawn value lies in its domain."""
    assert _holds(domain, sample({"x": domain}, np.random.default_rng(seed))["x"])


def test_samples_are_complete_and_follow_the_conditions() -> None:
    """Each sample has all names; what does not count keeps its default; the same seed draws the same sample."""
    for seed in range(50):
        params = sample(CONDITIONAL, np.random.default_rng(seed))
        assert set(params) == set(CONDITIONAL)
        if not params["recurrent"]:
            assert params["cell"] == "gru"
        if params["cell"] != "lstm":
            assert params["recurrent_dropout"] == 0.1
        assert params == sample(CONDITIONAL, np.random.default_rng(seed))


def test_log_samples_are_even_over_decades() -> None:
    """A logarithmic range of four decades gives about a quarter of its samples to each."""
    rng = np.random.default_rng(0)
    space: Space = {"rate": Float(low=1e-5, high=1e-1, log=True, default=1e-3)}
    decades = np.floor(np.log10([float(sample(space, rng)["rate"]) for _ in range(2000)]))
    assert all(0.2 < (decades == decade).mean() < 0.3 for decade in (-5, -4, -3, -2))


def test_corners_are_all_extremes() -> None:
    """Corners combine the ends of every domain, conditions respected, and each end occurs."""
    found = list(corners(CONDITIONAL))
    assert {params["units"] for params in found} == {8, 128}
    assert {params["recurrent_dropout"] for params in found if params["cell"] == "lstm"} == {0.1, 0.3}
    assert all(params["recurrent_dropout"] == 0.1 for params in found if params["cell"] == "gru")
    assert all(params["cell"] == "gru" for params in found if not params["recurrent"])
    assert len(found) == 2 * 2 * 2 * 2


def test_every_value_comes_by_itself() -> None:
    """Each value of each hyperparameter occurs once beside what is as near to the default as lets it count."""
    found = list(singly(CONDITIONAL))
    usual = defaults(CONDITIONAL)
    assert {params["units"] for params in found} == set(range(8, 129))
    assert [params for params in found if params["cell"] == "lstm"] == [
        usual | {"cell": "lstm", "recurrent_dropout": 0.1},
        usual | {"cell": "lstm", "recurrent_dropout": 0.3},
        usual | {"cell": "lstm"},
    ]
    assert len(found) == 1 + 2 + 2 + 2 + 121
    never: Space = CONDITIONAL | {"cell": fixed("gru")}
    assert {params["recurrent_dropout"] for params in singly(never)} == {0.1}


def test_ends_of_a_single_value_come_once() -> None:
    """A range without width has one end."""
    assert ends(Int(low=4, high=4, default=4)) == (4,)


def test_defaults_are_clipped() -> None:
    """The published default is moved into a narrowed space."""
    assert defaults({"units": Int(low=8, high=32, default=100), "seed": fixed(3)}) == {"units": 32, "seed": 3}


def test_searched_leaves_out_what_is_fixed() -> None:
    """A sampler has no say in fixed values."""
    assert "seed" not in searched(CONDITIONAL)
    assert set(searched(CONDITIONAL)) == set(CONDITIONAL) - {"seed"}


@pytest.mark.parametrize(
    ("domain", "text"),
    [
        (fixed("tanh"), "tanh (fixed)"),
        (choice(3, 5, default=3), "one of 3, 5"),
        (Float(low=1e-4, high=1e-2, log=True, default=1e-3), "0.0001 to 0.01, log"),
        (CONDITIONAL["recurrent_dropout"], "0.1 to 0.3 when cell is lstm"),
    ],
)
def test_domains_in_words(domain: Domain, text: str) -> None:
    """`hpo check` prints each domain in a few words."""
    assert describe(domain) == text


def test_json_says_what_kind_each_domain_is() -> None:
    """The stored record names the kind of each domain and leaves out what is not set."""
    record = to_json(CONDITIONAL)
    assert record["units"] == {"kind": "int", "low": 8, "high": 128, "log": True, "step": 1, "default": 64}
    assert record["recurrent_dropout"]["when"] == {"cell": ["lstm"]}


@given(st.integers(1, 3), st.lists(st.integers(0, 9), min_size=1, max_size=3, unique=True), st.integers(0, 99))
def test_settings_are_what_can_be_drawn(high: int, choices: list[int], seed: int) -> None:
    """All settings of a finite space: each once, and everything that is drawn is among them."""
    space: Space = {
        "child": Int(low=0, high=4, step=2, default=0, when={"parent": tuple(choices[:1])}),
        "parent": Choice(values=tuple(choices), default=choices[0]),
        "number": Int(low=1, high=high, default=1),
        "point": Float(low=0.5, high=0.5, default=0.5),
    }
    listed = [str(sorted(setting.items())) for setting in settings(space)]
    assert len(set(listed)) == len(listed) == (3 + len(choices) - 1) * high
    assert str(sorted(sample(space, np.random.default_rng(seed)).items())) in listed


def test_settings_of_a_space_without_end() -> None:
    """The hyperparameter without an end is named."""
    with pytest.raises(ValueError, match=r"^x$"):
        list(settings({"n": Int(low=1, high=2, default=1), "x": Float(low=0.0, high=1.0, default=0.5)}))

"""Search spaces as plain values: what a hyperparameter may be, and when it counts.

Knows neither Optuna nor Keras, so that families, study files and workers can all speak of spaces.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import product
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

Scalar = bool | int | float | str
Params = dict[str, Scalar]


class _Domain(BaseModel):
    """What all domains share.

    Attributes:
        default: the published default, or the value nearest to it that the domain holds. Where a study file gives a
            single value and a condition, the published one in any case.
        when: parent name -> the values for which this hyperparameter counts; None means always. While it
            does not count, it keeps `default`.
        at_least, at_most: hard limits of the hyperparameter itself, which no study file may pass; None means none.
        allowed: every value that the code understands; None means any within the limits.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    default: Scalar
    when: dict[str, tuple[Scalar, ...]] | None = None
    at_least: float | None = None
    at_most: float | None = None
    allowed: tuple[Scalar, ...] | None = None


class Float(_Domain):
    """A real number in [low, high]; `log` samples its logarithm evenly."""

    kind: Literal["float"] = "float"
    low: float
    high: float
    log: bool = False


class Int(_Domain):
    """A whole number in [low, high] by `step`; `log` samples its logarithm evenly (then step is 1)."""

    kind: Literal["int"] = "int"
    low: int
    high: int
    log: bool = False
    step: int = 1


class Choice(_Domain):
    """One of `values`."""

    kind: Literal["choice"] = "choice"
    values: tuple[Scalar, ...]


class Fixed(_Domain):
    """A value that is not searched."""

    kind: Literal["fixed"] = "fixed"


Domain = Annotated[Float | Int | Choice | Fixed, Field(discriminator="kind")]
Space = dict[str, Domain]


def fixed(value: Scalar, *, allowed: Sequence[Scalar] | None = None, at_least: float | None = None) -> Fixed:
    """A hyperparameter that families leave alone unless a study file says otherwise."""
    return Fixed(default=value, allowed=None if allowed is None else tuple(allowed), at_least=at_least)


def choice(
    *values: Scalar,
    default: Scalar,
    allowed: Sequence[Scalar] | None = None,
    at_least: float | None = None,
    when: Mapping[str, tuple[Scalar, ...]] | None = None,
) -> Choice:
    """A choice among `values`, for the families' default spaces."""
    return Choice(
        values=values,
        default=default,
        allowed=None if allowed is None else tuple(allowed),
        at_least=at_least,
        when=None if when is None else dict(when),
    )


def same(a: Scalar, b: Scalar) -> bool:
    """Equality that tells True from 1 and 0.5 from "0.5", but not 1 from 1.0."""
    return isinstance(a, bool) == isinstance(b, bool) and isinstance(a, str) == isinstance(b, str) and a == b


def clip(domain: Domain, value: Scalar) -> Scalar:
    """The value of `domain` that is nearest to `value`: itself where the domain holds it."""
    match domain:
        case Fixed():
            return domain.default
        case Choice():
            if any(same(value, v) for v in domain.values):
                return value
            numbers = [v for v in domain.values if isinstance(v, int | float) and not isinstance(v, bool)]
            if numbers and isinstance(value, int | float):
                return min(numbers, key=lambda v: abs(v - value))
            return domain.values[0]
        case Float():
            return min(max(float(value), domain.low), domain.high)
        case Int():
            most = (domain.high - domain.low) // domain.step
            return domain.low + min(max(round((float(value) - domain.low) / domain.step), 0), most) * domain.step


def holds(domain: Domain, value: Scalar) -> bool:
    """Whether the value lies in the domain; whole numbers lie in a range of decimal ones, but not the other way."""
    match domain:
        case Fixed():
            return same(value, domain.default)
        case Choice():
            return any(same(value, v) for v in domain.values)
        case Float():
            return type(value) in (int, float) and domain.low <= float(value) <= domain.high
        case Int():
            return type(value) is int and value in range(domain.low, domain.high + 1, domain.step)


def order(space: Space) -> list[str]:
    """Names of `space` with every parent before its children.

    Raises:
        ValueError: conditions form a cycle; the message shows it.
    """
    done: list[str] = []
    path: list[str] = []

    def visit(name: str) -> None:
        if name in done or name not in space:
            return
        if name in path:
            raise ValueError(" -> ".join([*path[path.index(name) :], name]))
        path.append(name)
        for parent in space[name].when or {}:
            visit(parent)
        path.pop()
        done.append(name)

    for name in space:
        visit(name)
    return done


def with_parents(space: Space, names: Iterable[str]) -> Space:
    """The part of `space` that these names make up, with all that their conditions depend on."""
    wanted = list(names)
    for name in wanted:  # which grows
        wanted += [parent for parent in space[name].when or {} if parent not in wanted]
    return {name: space[name] for name in wanted}


def counts(domain: Domain, params: Mapping[str, Scalar]) -> bool:
    """Whether the conditions of `domain` hold under `params`."""
    return all(any(same(params[p], v) for v in values) for p, values in (domain.when or {}).items())


def defaults(space: Space) -> Params:
    """The published default of every hyperparameter, as far as the space holds it."""
    params: Params = {}
    for name in order(space):
        domain = space[name]
        params[name] = clip(domain, domain.default) if counts(domain, params) else domain.default
    return params


def sample(space: Space, rng: np.random.Generator) -> Params:
    """One setting drawn at random; hyperparameters that do not count keep their default."""
    params: Params = {}
    for name in order(space):
        domain = space[name]
        params[name] = _draw(domain, rng) if counts(domain, params) else domain.default
    return params


def _draw(domain: Domain, rng: np.random.Generator) -> Scalar:
    match domain:
        case Fixed():
            return domain.default
        case Choice():
            return domain.values[int(rng.integers(len(domain.values)))]
        case Float():
            if domain.log:
                return min(
                    domain.high, max(domain.low, math.exp(rng.uniform(math.log(domain.low), math.log(domain.high))))
                )
            return float(rng.uniform(domain.low, domain.high))
        case Int():
            if domain.log:
                return int(clip(domain, math.exp(rng.uniform(math.log(domain.low), math.log(domain.high + 1)))))
            return domain.low + domain.step * int(rng.integers((domain.high - domain.low) // domain.step + 1))


def ends(domain: Domain) -> tuple[Scalar, ...]:
    """The extreme values of a domain: low and high, or every choice."""
    match domain:
        case Fixed():
            return (domain.default,)
        case Choice():
            return domain.values
        case _:
            return (domain.low, domain.high) if domain.low != domain.high else (domain.low,)


def corners(space: Space) -> Iterator[Params]:
    """Every combination of extreme values: for checks that must hold over all of a small space.

    Hyperparameters that do not count keep their default, so some combinations come more than once.
    """
    names = order(space)
    for values in product(*(ends(space[name]) for name in names)):
        params: Params = {}
        for name, value in zip(names, values, strict=True):
            params[name] = value if counts(space[name], params) else space[name].default
        yield params


def singly(space: Space) -> Iterator[Params]:
    """Every value of every hyperparameter once, where it counts, with all others as near to their default as may be.

    Of a range of decimal numbers its ends. The longest ranges come last.
    """
    known = {name: values(domain) or ends(domain) for name, domain in space.items()}
    for name in sorted(known, key=lambda name: len(known[name])):
        setting = _counting(space, name)
        for value in known[name] if setting else ():
            yield setting | {name: value}


def _counting(space: Space, name: str) -> Params:
    """The published default, changed as little as the hyperparameter needs to count; empty if it never does."""
    narrowed = dict(space)
    for child in order(with_parents(space, [name]))[::-1]:
        for parent, wanted in (space[child].when or {}).items():
            held = tuple(value for value in wanted if holds(narrowed[parent], value))
            if not held:
                return {}
            narrowed[parent] = Choice(values=held, default=space[parent].default, when=space[parent].when)
    return defaults(narrowed)


def values(domain: Domain) -> Sequence[Scalar] | None:
    """Everything that the domain holds, in order; None where there is no end of it."""
    match domain:
        case Fixed():
            return (domain.default,)
        case Choice():
            return domain.values
        case Int():
            return range(domain.low, domain.high + 1, domain.step)
        case Float():
            return (domain.low,) if domain.low == domain.high else None


def settings(space: Space) -> Iterator[Params]:
    """Every setting of a finite space, each once: hyperparameters that do not count keep their default.

    Raises:
        ValueError: a hyperparameter has no end of values; the message is its name.
    """
    names = order(space)
    for name in names:
        if values(space[name]) is None:
            raise ValueError(name)

    def below(chosen: Params) -> Iterator[Params]:
        if len(chosen) == len(names):
            yield dict(chosen)
            return
        name = names[len(chosen)]
        domain = space[name]
        for value in (values(domain) or ()) if counts(domain, chosen) else (domain.default,):
            chosen[name] = value
            yield from below(chosen)
            del chosen[name]

    yield from below({})


def searched(space: Space) -> dict[str, Domain]:
    """The part of `space` that a sampler has a say in."""
    return {name: domain for name, domain in space.items() if not isinstance(domain, Fixed)}


def describe(domain: Domain) -> str:
    """One domain in a few words, as `hpo check` prints it."""
    match domain:
        case Fixed():
            text = f"{_written(domain.default)} (fixed)"
        case Choice():
            text = "one of " + ", ".join(map(_written, domain.values))
        case Float() | Int():
            text = f"{domain.low:g} to {domain.high:g}" + (", log" if domain.log else "")
    if domain.when:
        text += " when " + " and ".join(f"{p} is {' or '.join(map(_written, v))}" for p, v in domain.when.items())
    return text


def _written(value: Scalar) -> str:
    """As a study file has it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def to_json(space: Space) -> dict[str, Any]:
    """The space as JSON-ready values, for the study's record."""
    return {name: domain.model_dump(mode="json", exclude_none=True) for name, domain in space.items()}

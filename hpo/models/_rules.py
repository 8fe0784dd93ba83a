"""What the families share about hyperparameters: limits, ways to cut a window, narrower domains. No Keras."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence

from hpo.space import Choice, Domain, Fixed, Float, Int, Params, Scalar, Space, choice, clip, same
from hpo.training import TRAINING

# Recurrent networks learn more slowly than convolutions, and single batches may have huge gradients.
RECURRENT_TRAINING: Space = {
    "learning_rate": TRAINING["learning_rate"].model_copy(update={"high": 5e-3}),
    "clipnorm": TRAINING["clipnorm"].model_copy(update={"default": 1.0}),
}

# Layers of LSTM or GRU over the raw window. No recurrent_dropout: with it Keras leaves the fused GPU kernel for a slow
# loop.
RECURRENT_STACK: Space = {
    "units": Int(low=32, high=256, log=True, default=100, at_least=1),
    "layers": Int(low=1, high=3, default=1, at_least=1),
    "bidirectional": choice(False, True, default=False),
    "dropout": Float(low=0.0, high=0.6, default=0.5, at_least=0.0, at_most=0.9),
    "pooling": choice("last", "mean", "max", default="last", allowed=("last", "mean", "max")),
    "dense_units": Int(low=32, high=256, log=True, default=100, at_least=1),
}


def complete(space: Space, params: Mapping[str, Scalar]) -> Params:
    """`params` with the default of every hyperparameter that they leave out."""
    return {**{name: domain.default for name, domain in space.items()}, **params}


def limits(space: Space, params: Mapping[str, Scalar]) -> list[str]:
    """One sentence for each value that no model could have, whatever the data."""
    problems = []
    for name, value in params.items():
        domain = space.get(name)
        if domain is None:
            problems.append(f"{name} is no hyperparameter of this family; known: {', '.join(space)}")
        elif not _same_kind(value, domain.default):
            problems.append(f"{name} = {value!r} must be {_kind(domain.default)}")
        elif domain.allowed is not None and not any(same(value, v) for v in domain.allowed):
            problems.append(f"{name} = {value!r} must be one of {', '.join(map(repr, domain.allowed))}")
        elif isinstance(value, int | float):
            if domain.at_least is not None and not value >= domain.at_least:
                problems.append(f"{name} = {value} must be at least {domain.at_least:g}")
            if domain.at_most is not None and not value <= domain.at_most:
                problems.append(f"{name} = {value} must be at most {domain.at_most:g}")
    return problems


def refuse(problems: Sequence[str]) -> None:
    """Ends a check.

    Raises:
        ValueError: there are problems; the message holds all of them.
    """
    if problems:
        raise ValueError("; ".join(problems))


def candidates(domain: Domain) -> tuple[int, ...]:
    """Every whole number that the domain holds, ascending."""
    match domain:
        case Int():
            return tuple(range(domain.low, domain.high + 1, domain.step))
        case Choice():
            return tuple(sorted(v for v in domain.values if isinstance(v, int) and not isinstance(v, bool)))
        case Fixed(default=int(value)):
            return (value,)
        case _:
            raise TypeError(f"no domain of whole numbers: {domain!r}")


def narrow(domain: Domain, values: Iterable[Scalar]) -> Choice | Fixed:
    """The same hyperparameter with these values only, which are at least one; a single one is fixed.

    Its default becomes the value nearest to the old one.
    """
    shared = {"at_least": domain.at_least, "at_most": domain.at_most, "allowed": domain.allowed, "when": domain.when}
    chosen = Choice(values=tuple(values), default=domain.default, **shared)
    default = clip(chosen, domain.default)
    if len(chosen.values) == 1:
        return Fixed(default=default, **shared)
    return chosen.model_copy(update={"default": default})


def sub_windows(
    steps: Domain, kernels: Domain, timesteps: int, length: Callable[[int], int]
) -> tuple[Choice | Fixed, Choice | Fixed]:
    """Domains of n_steps and kernel_size of which every pair fits windows of `timesteps`.

    A window is cut into n_steps sub-windows of equal length. The longest kernel for which some n_steps leaves
    sub-windows of at least `length(kernel)` decides how many are allowed, so long kernels are kept and tiny
    sub-windows are not. Where no n_steps of the domain divides (a prime length), the window stays whole: 1.
    """
    sizes = candidates(kernels)
    divisors = [n for n in candidates(steps) if timesteps % n == 0]
    for size in reversed(sizes):
        fitting = [n for n in divisors if timesteps // n >= length(size)]
        if fitting:
            break
    else:
        fitting = [1]
    shortest = timesteps // max(fitting)
    return narrow(steps, fitting), narrow(kernels, [k for k in sizes if length(k) <= shortest] or sizes[:1])


def indivisible(timesteps: int, n_steps: int) -> str:
    """The sentence for an n_steps that does not divide the window."""
    divisors = ", ".join(str(n) for n in range(1, timesteps + 1) if timesteps % n == 0)
    return f"n_steps = {n_steps} does not divide windows of {timesteps} time steps; these do: {divisors}"


def kernel_sizes(kernels: Scalar) -> tuple[int, ...]:
    """The kernel sizes, in time steps, in a text such as "8-5-3"; none if it is no such text."""
    text = str(kernels)
    return tuple(map(int, text.split("-"))) if re.fullmatch(r"[1-9]\d{0,5}(-[1-9]\d{0,5})*", text) else ()


def fitting_kernels(domain: Domain, longest: float) -> Domain:
    """The lists of kernels in `domain` that have none above `longest` time steps; if there is none, the shortest list.

    A list that is not searched stays as it is.
    """
    if not isinstance(domain, Choice):
        return domain
    fitting = [kernels for kernels in domain.values if max(kernel_sizes(kernels)) <= longest]
    return narrow(domain, fitting or [min(domain.values, key=lambda kernels: max(kernel_sizes(kernels)))])


def unfit_kernels(kernels: str, timesteps: int, *, example: str, count: int | None = None) -> list[str]:
    """The sentence for a text that lists no kernel sizes, or lists one longer than the window; empty if it is fine.

    Args:
        kernels: such as "8-5-3".
        timesteps: length of a window.
        example: a text that is fine.
        count: how many sizes there must be; None is any number.
    """
    sizes = kernel_sizes(kernels)
    if not sizes or count not in (None, len(sizes)):
        wanted = "kernel sizes in time steps" if count is None else f"{count} kernel sizes in time steps"
        return [f"kernels = {kernels!r} must be {wanted}, joined by hyphens, such as {example!r}"]
    if max(sizes) > timesteps:
        return [f"kernels = {kernels!r} has a kernel longer than the windows of {timesteps} time steps"]
    return []


def unfit_stride(stride: int, timesteps: int) -> list[str]:
    """The sentence for a stem_stride that is longer than the window; empty if it is fine."""
    if stride > timesteps:
        return [f"stem_stride = {stride} is longer than the windows of {timesteps} time steps"]
    return []


def _same_kind(value: Scalar, default: Scalar) -> bool:
    if isinstance(default, float):
        return isinstance(value, int | float) and not isinstance(value, bool)
    return type(value) is type(default)


def _kind(default: Scalar) -> str:
    match default:
        case bool():
            return "true or false"
        case int():
            return "a whole number"
        case float():
            return "a number"
        case str():
            return "a string"

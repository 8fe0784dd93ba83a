"""A family's default space, overlaid with what the study file says about it.

Knows neither Optuna nor the families: the default spaces come in as values.
"""

from collections.abc import Container, Mapping

from hpo.errors import StudyFileError, nearest
from hpo.space import Choice, Domain, Fixed, Float, Int, Params, Scalar, Space, clip, holds, order, same
from hpo.study_space import Choices, Entry, FamilySpace, Item, Range, Value
from hpo.study_table import shown
from hpo.training import TRAINING

Families = Mapping[str, tuple[Space, Space]]
"""Family -> its model's default space and its training space."""


def resolve(user: Mapping[str, Item], model: Space, training: Space, *, where: str) -> Space:
    """The space of one family: model hyperparameters first, then those of training.

    Args:
        user: `StudyDef.space`.
        model: the family's default space for the data at hand.
        training: the default training space, see `hpo.training.training_space`.
        where: name of the study file, for the message.

    Raises:
        StudyFileError: an entry names no hyperparameter of the family, does not fit it, or has a condition that
            cannot hold; all mistakes at once.
    """
    spaces, problems = resolve_all(user, {"": (model, training)})
    if problems:
        raise StudyFileError(where, problems)
    return spaces[""]


def resolve_all(user: Mapping[str, Item], families: Families) -> tuple[dict[str, Space], list[str]]:
    """The space of every family, and what is wrong with the user's entries.

    An entry holds for all families that have the hyperparameter and no entry of their own for it. One that holds for
    no family is a mistake.

    Returns:
        spaces: family -> space. Of no use if there are problems.
        problems: sentences that open with the dotted key; a mistake in some of the families names them.
    """
    shared = {name: item for name, item in user.items() if not isinstance(item, FamilySpace)}
    own = {name: item.entries for name, item in user.items() if isinstance(item, FamilySpace)}
    defaults = {family: {**model, **training} for family, (model, training) in families.items()}
    problems = _without_effect(shared, own, defaults)
    spaces: dict[str, Space] = {}
    concerned: dict[str, list[str]] = {}
    for family, default in defaults.items():
        keys = {name: f"space.{name}" for name in shared} | {
            name: f"space.{family}.{name}" for name in own.get(family, {})
        }
        spaces[family], mistakes = _overlay(shared | own.get(family, {}), default, keys)
        for mistake in mistakes:
            concerned.setdefault(mistake, []).append(family)
    for mistake, where in concerned.items():
        of_all = len(where) == len(families) or mistake.startswith(f"space.{where[0]}.")
        problems.append(mistake if of_all else f"{mistake} (family {', '.join(where)})")
    return spaces, problems


def _without_effect(
    shared: Mapping[str, Entry], own: Mapping[str, Mapping[str, Entry]], defaults: Mapping[str, Space]
) -> list[str]:
    """Entries that hold for no family."""
    problems = []
    known = {name for space in defaults.values() for name in space}
    for name in shared:
        if name not in known:
            problems.append(f"space.{name}: no such hyperparameter; {nearest(name, known)}")
        elif all(name in own.get(family, {}) for family, space in defaults.items() if name in space):
            problems.append(f"space.{name}: has no effect: every family that has it has an entry of its own")
    for family, entries in own.items():
        if family not in defaults:
            problems.append(f"space.{family}: the study does not search this family; {nearest(family, defaults)}")
            continue
        problems += [
            f"space.{family}.{name}: no such hyperparameter; {nearest(name, defaults[family])}"
            for name in entries
            if name not in defaults[family]
        ]
    return problems


def split_params(params: Params) -> tuple[Params, Params]:
    """A full setting, cut into the keyword arguments of the family's `build` and the hyperparameters of training."""
    model = {name: value for name, value in params.items() if name not in TRAINING}
    return model, {name: value for name, value in params.items() if name in TRAINING}


def _overlay(user: Mapping[str, Entry], defaults: Space, keys: Mapping[str, str]) -> tuple[Space, list[str]]:
    """One family's space and the mistakes in it, by the dotted `keys` of the entries."""
    space = dict(defaults)
    problems: list[str] = []
    wrong: set[str] = set()
    for name, entry in user.items():
        if name in defaults:
            domain, mistakes = _narrowed(entry, defaults[name])
            problems += [f"{keys[name]}{mistake}" for mistake in mistakes]
            space[name] = domain.model_copy(update={"when": defaults[name].when if entry.when is None else entry.when})
            if mistakes:
                wrong.add(name)
    return space, problems + _conditions(user, space, wrong, keys)


def _narrowed(entry: Entry, default: Domain) -> tuple[Domain, list[str]]:
    """The user's entry as a domain; mistakes open with the key below the hyperparameter's, or with a colon."""
    common: dict[str, object] = {
        "default": default.default,
        "at_least": default.at_least,
        "at_most": default.at_most,
        "allowed": default.allowed,
    }
    match entry:
        case Value():
            mistake = _unfit(entry.value, default)
            if mistake:
                return default, [f": {mistake}"]
            value = _typed(entry.value, default)
            if entry.when is not None:  # elsewhere it stays at the published default, which is another value
                return Choice.model_validate(common | {"values": (value,)}), []
            return Fixed.model_validate(common | {"default": value}), []
        case Choices():
            mistakes = [f": {m}" for value in entry.choices if (m := _unfit(value, default))]
            if mistakes:
                return default, mistakes
            values = tuple(_typed(value, default) for value in entry.choices)
            return _settled(Choice.model_validate(common | {"values": values})), []
        case Range():
            return _range(entry, default, common)


def _range(entry: Range, default: Domain, common: dict[str, object]) -> tuple[Domain, list[str]]:
    kinds = _kinds(default)
    if not kinds & {int, float}:
        return default, [f": got a range; accepted: {_accepted(default)}"]
    if default.allowed is not None:
        return default, [f": got a range; accepted: a list of {_accepted(default)}"]
    mistakes = [f".{end}: {mistake}" for end in ("low", "high") if (mistake := _unfit(getattr(entry, end), default))]
    whole = float not in kinds
    inherited = isinstance(default, Float | Int) and default.log
    log = inherited if entry.log is None else entry.log
    if log and entry.low <= 0 and not mistakes:
        mistakes.append(f".low: got {shown(entry.low)}; its scale is logarithmic, give low above 0 or log = false")
    if entry.step is not None and not whole:
        mistakes.append(".step: is for whole numbers, and this is a decimal number; leave it out, or list the choices")
    elif entry.step is not None and log and entry.step != 1:
        mistakes.append(".step: its scale is logarithmic, which knows no step; leave it out or say log = false")
    elif entry.step is not None and not mistakes and (entry.high - entry.low) % entry.step:
        last = entry.high - (entry.high - entry.low) % entry.step
        mistakes.append(
            f".step: {entry.step} steps from {entry.low} never reach high, {entry.high}; the last is {last}"
        )
    if mistakes:
        return default, mistakes
    ends: dict[str, object] = {"low": entry.low, "high": entry.high, "log": log}
    if whole:
        return _settled(Int.model_validate(common | ends | {"step": entry.step or 1})), []
    return _settled(Float.model_validate(common | ends)), []


def _settled(domain: Domain) -> Domain:
    """The domain with the published default moved into it."""
    return domain.model_copy(update={"default": clip(domain, domain.default)})


def _kinds(domain: Domain) -> set[type]:
    """Which types of values the hyperparameter has; where decimal numbers go, whole ones go too."""
    if isinstance(domain, Float):
        return {float}
    if isinstance(domain, Int):
        return {int}
    kinds = {type(v) for v in (domain.default, *(domain.allowed or ()))}
    if isinstance(domain, Choice):
        kinds |= {type(v) for v in domain.values}
    return kinds - {int} if float in kinds else kinds


def _typed(value: Scalar, domain: Domain) -> Scalar:
    """A fitting value, as a float where the hyperparameter is a decimal number."""
    return float(value) if type(value) is int and float in _kinds(domain) else value


_WORDS = {float: "a number", int: "a whole number", str: "a text", bool: "true or false"}


def _accepted(domain: Domain) -> str:
    if domain.allowed is not None:
        return " or ".join(shown(v).rsplit(" (", 1)[0] for v in domain.allowed)
    text = " or ".join(words for kind, words in _WORDS.items() if kind in _kinds(domain))
    if domain.at_least is not None:
        text += f" from {domain.at_least:g}"
    if domain.at_most is not None:
        text += f" up to {domain.at_most:g}"
    return text


def _unfit(value: Scalar, domain: Domain) -> str | None:
    """Why the hyperparameter cannot take this value; None if it can."""
    kinds = _kinds(domain)
    fits = type(value) in kinds or (type(value) is int and float in kinds)
    if fits and type(value) in (int, float):
        number = float(value)
        fits = (domain.at_least is None or number >= domain.at_least) and (
            domain.at_most is None or number <= domain.at_most
        )
    if fits and domain.allowed is not None:
        fits = any(same(value, v) for v in domain.allowed)
    return None if fits else f"got {shown(value)}; accepted: {_accepted(domain)}"


def _conditions(user: Mapping[str, Entry], space: Space, wrong: Container[str], keys: Mapping[str, str]) -> list[str]:
    """What is wrong with the user's own conditions; the values of `wrong` parents are not known.

    A family's condition that the file rules out is no mistake: its hyperparameter then never counts.
    """
    problems = []
    for name, entry in user.items():
        if name not in space:
            continue
        for parent, values in (entry.when or {}).items():
            key = f"{keys[name]}.when.{parent}"
            if parent not in space:
                problems.append(f"{key}: no such hyperparameter; {nearest(parent, space)}")
                continue
            domain = space[parent]
            impossible = [shown(v) for v in values if not (holds(domain, v) or same(v, domain.default))]
            if parent in wrong:
                continue
            if impossible:
                problems.append(f"{key}: got {', '.join(impossible)}; {parent} is {words(domain)}")
            elif isinstance(domain, Float) and domain.low < domain.high:
                problems.append(
                    f"{key}: {parent} is any decimal number {words(domain)}, and hardly any trial has exactly what "
                    f"the condition asks for; list the choices of {parent}"
                )
    try:
        order(space)
    except ValueError as error:
        cycle = str(error)
        links = cycle.split(" -> ")
        # named by the one that the user can mend: its condition stands in the file
        name = next((n for n in links if n in user and user[n].when is not None), links[0])
        problems.append(f"{keys.get(name, f'space.{name}')}.when: the conditions form a circle: {cycle}")
    return problems


def words(domain: Domain) -> str:
    """What the domain holds, as it follows "it is"."""
    match domain:
        case Fixed():
            return f"fixed at {shown(domain.default)}"
        case Choice():
            return "one of " + ", ".join(shown(v).rsplit(" (", 1)[0] for v in domain.values)
        case Float() | Int():
            return f"from {domain.low:g} to {domain.high:g}"

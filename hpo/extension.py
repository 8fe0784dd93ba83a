"""What may be added to a study under its old name: wider ranges of numbers. Pure: values in, values out."""

from collections.abc import Mapping
from dataclasses import dataclass

from hpo.space import Choice, Domain, Float, Int, Space
from hpo.study import StudyDef, differences


@dataclass(frozen=True)
class Extension:
    """How two definitions of a study differ.

    Attributes:
        spaces: family -> space, with the wider ranges.
        wider: differences that make a range wider, ``key: old -> new``.
        refused: all others.
    """

    spaces: dict[str, Space]
    wider: list[str]
    refused: list[str]


def extension(
    old: StudyDef, old_spaces: Mapping[str, Space], new: StudyDef, new_spaces: Mapping[str, Space]
) -> Extension:
    """Compares a study with a changed definition of it.

    Old trials stay valid: what they had lies in the wider range, on its scale and its steps. A hyperparameter whose
    entry did not change keeps its range, and each keeps its default, which stands for it where it does not count.

    Args:
        old, old_spaces: the study's definition and resolved spaces.
        new, new_spaces: the changed ones.
    """
    spaces = {family: dict(space) for family, space in old_spaces.items()}
    wider, refused = [], []
    for difference in differences(old, new):
        places = _places(difference.split(":")[0], spaces)
        changed = [(old_spaces[family][name], new_spaces.get(family, {}).get(name)) for family, name in places]
        if places and all(after is not None and _holds(after, before) for before, after in changed):
            wider.append(difference)
            for (family, name), (before, after) in zip(places, changed, strict=True):
                if after is not None:
                    spaces[family][name] = after.model_copy(update={"default": before.default})
        else:
            refused.append(difference)
    return Extension(spaces, wider, refused)


def _places(key: str, spaces: Mapping[str, Space]) -> list[tuple[str, str]]:
    """Family and name of the hyperparameters that a dotted key speaks of; none if it is not about the space."""
    table, *rest = key.split(".")
    if table != "space":
        return []
    if rest[0] in spaces:
        return [(rest[0], rest[1])] if rest[1:] and rest[1] in spaces[rest[0]] else []
    return [(family, rest[0]) for family, space in spaces.items() if rest[0] in space]


def _holds(new: Domain, old: Domain) -> bool:
    """Whether every value of `old` is one of `new`, in the same scale and steps and under the same condition."""
    if new.when != old.when:
        return False
    match new, old:
        case (Float(), Float()):
            return new.log == old.log and new.low <= old.low and old.high <= new.high
        case (Int(), Int()):
            steps = new.step == old.step and (old.low - new.low) % new.step == 0
            return steps and new.log == old.log and new.low <= old.low and old.high <= new.high
        case (Choice(), Choice()):
            return new.values == old.values
        case _:
            return new == old

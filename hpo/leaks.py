"""What makes scores too good: windows of the same people, or the same windows, where others are promised."""

from hpo import data
from hpo.errors import DataError
from hpo.study import StudyDef

_SHOWN = 10  # groups that a message names


def refuse(definition: StudyDef, loaded: data.Loaded) -> None:
    """Refuses a test part with groups of the training part where the split keeps groups apart.

    Raises:
        DataError: so it is.
    """
    shared = _shared_groups(definition, loaded)
    if shared and definition.split.by in ("group", "leave-one-group-out"):
        raise DataError(
            f"{loaded.name}: {_listed(shared)} in the training part and in the test part, and by = "
            f'"{definition.split.by}" promises that no group lies in two parts; the test score would be too good. Move '
            "all windows of a group into one of the two parts, or leave them out of the other (`hpo data show` says "
            'which groups there are). by = "stratified" takes the data as they are, with a warning'
        )


def warnings(definition: StudyDef, loaded: data.Loaded) -> tuple[str, ...]:
    """Sentences on what is allowed and yet spoils the scores."""
    found = (_overlap(definition, loaded), _groups(definition, loaded), _copies(loaded))
    return tuple(sentence for sentence in found if sentence)


def _overlap(definition: StudyDef, loaded: data.Loaded) -> str | None:
    """Where windows that share time steps are drawn at random, each for itself."""
    if definition.split.by != "stratified" or loaded.train.recordings is not None:
        return None
    shared, looked = data.overlapping(loaded.train.x)
    if not shared:
        return None
    what = 'use by = "group"' if loaded.train.groups is not None else "bring groups, such as people or recordings"
    return (
        f"{shared} of {looked} windows ({shared / looked:.1%}) share time steps with another one, and "
        f'by = "stratified" puts such windows into different parts: all scores will be too good. Better {what}'
    )


def _groups(definition: StudyDef, loaded: data.Loaded) -> str | None:
    """Where the test part asks about people who trained."""
    shared = _shared_groups(definition, loaded)
    if not shared:
        return None
    return (
        f"{_listed(shared)} in the training part and in the test part: the test score will say nothing about new "
        "groups, such as people who were never seen"
    )


def _copies(loaded: data.Loaded) -> str | None:
    """Where a test part has questions whose answers were learnt."""
    if not loaded.copies:
        return None
    return (
        f"{loaded.copies} of {loaded.n_test} windows of the test part ({loaded.copies / loaded.n_test:.1%}) are in the "
        "training part too, value for value: the test score will be too good. Better leave them out of one of the two"
    )


def _shared_groups(definition: StudyDef, loaded: data.Loaded) -> list[int]:
    """Groups that lie in both parts, sorted."""
    if loaded.train.groups is None or loaded.test_groups is None or not definition.data.same_groups():
        return []
    return sorted(set(loaded.train.groups.tolist()) & set(loaded.test_groups))


def _listed(groups: list[int]) -> str:
    shown = ", ".join(map(str, groups[:_SHOWN]))
    more = f" and {len(groups) - _SHOWN} more" if len(groups) > _SHOWN else ""
    return f"group {shown} lies" if len(groups) == 1 else f"groups {shown}{more} lie"

"""A setting from elsewhere in a study's own search space: exactly as it is, or not at all.

A setting that was moved to the nearest value that fits would bear the name of one that nobody has tried.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from hpo.errors import nearest
from hpo.resolve import words
from hpo.search import Spaces, Suggestion, stored_params
from hpo.space import Choice, Domain, Fixed, Float, Params, Scalar, clip, counts, describe, holds, order, same
from hpo.study_table import shown


@dataclass(frozen=True)
class Misfit:
    """Why a study cannot have a setting.

    Attributes:
        name: the hyperparameter.
        got: what the setting has there, in words.
        rule: what the study has there, in words; the same for all settings.
    """

    name: str
    got: str
    rule: str

    def __str__(self) -> str:
        return f"{self.name}: {self.got}; {self.rule}"


def transfer(family: str, given: Mapping[str, Scalar], spaces: Spaces) -> tuple[Params, list[Misfit]]:
    """The Optuna parameters with which a trial of the study is trained exactly so.

    Args:
        family: of the models.
        given: hyperparameters of the family and of training. What is missing has the default of the study's space.
        spaces: of the study, family -> resolved space.

    Returns: the parameters, of no use if there are misfits; and everything that keeps the study from having such a
        trial.
    """
    if family not in spaces:
        return {}, [Misfit("model", f"got {shown(family)}", f"accepted: {', '.join(spaces)}")]
    space = spaces[family]
    problems = [
        Misfit(name, f"got {shown(given[name])}", f"{family} has no such hyperparameter; {nearest(name, space)}")
        for name in given
        if name not in space
    ]
    params: Params = {}
    for name in order(space):
        domain = space[name]
        counting = counts(domain, params)
        searched = counting and not isinstance(domain, Fixed)
        params[name] = clip(domain, domain.default) if searched else domain.default
        if name not in given:
            continue
        value, got = given[name], f"got {shown(given[name])}"
        if not searched and not same(value, domain.default):
            problems.append(Misfit(name, got, _stays(domain, counting)))
        elif searched and holds(domain, value):
            params[name] = _own(domain, value)
        elif searched:
            problems.append(Misfit(name, got, f"accepted: {words(domain)}"))
    if problems:
        return {}, problems
    return stored_params(Suggestion(family, params), spaces), []


def _stays(domain: Domain, counting: bool) -> str:
    if counting:
        return f"it is fixed at {shown(domain.default)}"
    condition = describe(domain).rpartition(" when ")[2]
    return f"it counts only when {condition}, and is {shown(domain.default)} otherwise"


def _own(domain: Domain, value: Scalar) -> Scalar:
    """The value as the domain has it: 1 may stand for 1.0."""
    if isinstance(domain, Choice):
        return next(own for own in domain.values if same(own, value))
    return float(value) if isinstance(domain, Float) else value

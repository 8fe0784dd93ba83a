"""CMA-ES: what it searches, what it learns from, and what it keeps."""

import math

import numpy as np
import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.trial import Trial, TrialState

from hpo.samplers import Seeds, cmaes
from hpo.search import Spaces, Suggestion, mark, suggest
from hpo.space import Choice, Domain, Fixed, Float, Int, choice
from tests.samplers.test_contract import ask
from tests.searching import KINDS, new_study

pytestmark = pytest.mark.usefixtures("quiet")

SPACES: Spaces = {
    "f": {
        "rate": Float(low=1e-4, high=1.0, log=True, default=1e-3),
        "units": Int(low=0, high=100, default=50),
        "batch": choice(16, 32, 64, 128, 256, default=16),
        "fixed": Fixed(default="x"),
        "point": Float(low=2.0, high=2.0, default=2.0),
    }
}


def loss(trial: Trial) -> float:
    """0 at rate 1e-2, units 80, batch 128."""
    params = suggest(trial, SPACES).params
    rate, units, batch = (float(params[name]) for name in ("rate", "units", "batch"))
    return (math.log10(rate) + 2) ** 2 + ((units - 80) / 50) ** 2 + (math.log2(batch) - 7) ** 2 / 4


def minimised(name: str, trials: int) -> list[float]:
    """The losses of a study by a sampler."""
    study = optuna.create_study()
    for _ in range(trials):
        trial = ask(study, name, SPACES)
        study.tell(trial, loss(trial))
    return [frozen.value for frozen in study.trials if frozen.value is not None]


def test_it_moves_towards_what_is_good() -> None:
    """Late trials are far better than early ones, and than random ones."""
    found = minimised("cmaes", 100)
    assert np.median(found[-20:]) < np.median(found[:20]) / 5
    assert np.median(found[-20:]) < np.median(minimised("random", 100)) / 5


def test_every_generation_counts_once_it_is_whole() -> None:
    """Trials carry the number of their generation, which rises when as many of them ended as it needs (7 for 3 values).

    A trial that failed does not count, and one that ends late changes nothing.
    """
    study = optuna.create_study()
    late = ask(study, "cmaes", SPACES)
    loss(late)
    for number in range(20):
        trial = ask(study, "cmaes", SPACES)
        value = loss(trial)
        study.tell(trial, *([None, TrialState.FAIL] if number == 3 else [value]))
    generations = [frozen.user_attrs["generation"] for frozen in study.trials]
    assert generations == [0] * 9 + [1] * 7 + [2] * 5

    def proposal() -> Suggestion:
        study.sampler = cmaes.make(SPACES, Seeds(study=7, trial=0))
        return suggest(study.ask(), SPACES)

    before = proposal()
    study.tell(late, 0.0)
    assert proposal() == before


def test_nothing_but_the_generation_is_kept() -> None:
    """No trial holds a pickle, which Optuna's own sampler would read back and so execute."""
    study = new_study(SPACES)
    for number in range(30):
        trial = ask(study, "cmaes", SPACES)
        suggest(trial, SPACES)
        study.tell(trial, float(number))
    for frozen in study.trials:
        assert frozen.user_attrs.keys() == {"generation"}
        assert frozen.system_attrs == {}


@pytest.mark.parametrize("ending", ["infeasible", "pruned"])
def test_trials_without_a_score_teach_it_too(ending: str) -> None:
    """It leaves the half of the space where trials are pruned or cannot be trained."""
    spaces: Spaces = {"f": {"x": Float(low=0.0, high=1.0, default=0.5), "y": Float(low=0.0, high=1.0, default=0.5)}}
    study = new_study(spaces)
    bad = []
    for _ in range(80):
        trial = ask(study, "cmaes", spaces)
        params = suggest(trial, spaces).params
        bad.append(float(params["x"]) > 0.5)
        if bad[-1]:
            trial.report(1.0, 3)
            mark(trial, ending == "infeasible")
            study.tell(trial, state=TrialState.PRUNED)
        else:
            study.tell(trial, float(params["x"]))
    assert sum(bad[:20]) > 4
    # the best lies at the very border of what can be trained
    assert sum(bad[-30:]) < 0.75 * 30


def test_ranks() -> None:
    """Completed trials come first, then pruned ones that came far, then the others; infeasible ones last."""
    study = new_study(SPACES)

    def trial(value: float | None, *, step: int = 0, infeasible: bool = False) -> None:
        asked = study.ask()
        asked.report(0.5 if value is None else value, step)
        mark(asked, infeasible)
        study.tell(asked, value, state=None if value is not None else TrialState.PRUNED)

    trial(None, infeasible=True, step=9)
    trial(0.2)
    trial(None, step=3)
    trial(0.9)
    trial(None, step=7)
    ranked = sorted(study.trials, key=lambda frozen: cmaes._rank(frozen, study.direction))
    assert [frozen.number for frozen in ranked] == [3, 1, 4, 2, 0]


def test_what_it_cannot_search_is_named() -> None:
    """Each key that is in its way, with the reason; all of them at once."""
    (family,) = cmaes.unfit(KINDS["two families"], ["loss"])[:1]
    assert family == "model.family: the sampler 'cmaes' searches one family, not 2; name one"
    keys = [sentence.split(":")[0] for sentence in cmaes.unfit(KINDS["one family"], ["loss", "accuracy"])]
    assert keys == ["train.metric", "space.recurrent_dropout.when", "space.cell", "space.attention"]
    assert [s.split(":")[0] for s in cmaes.unfit({"f": {"x": Fixed(default=1)}}, ["loss"])] == ["space"]
    assert cmaes.unfit(SPACES, ["loss"]) == []


DOMAINS: dict[str, Domain] = {
    "float": Float(low=-1.0, high=3.0, default=0.0),
    "log float": Float(low=1e-4, high=1e-1, log=True, default=1e-3),
    "int": Int(low=3, high=33, step=10, default=3),
    "log int": Int(low=1, high=64, log=True, default=3),
    "choice": Choice(values=(64, 16, 0.5), default=16),
}


@pytest.mark.parametrize("domain", DOMAINS.values(), ids=DOMAINS)
@given(place=st.floats(0, 1))
def test_every_place_is_a_value_and_every_value_has_its_place(domain: Domain, place: float) -> None:
    """What is drawn lies in the domain; a value's place gives it back; places keep the order of values."""
    value = cmaes._value(domain, place)
    there = cmaes._place(domain, value)
    assert cmaes._value(domain, there) == pytest.approx(value)
    assert 0 <= there <= 1
    assert there == pytest.approx(place, abs=0.5)
    assert float(value) >= float(cmaes._value(domain, place / 2)) - 1e-12

"""What every sampler must hold. Samplers are found by their file: a new one is tested by existing."""

from pathlib import Path

import optuna
import pytest
from optuna.trial import Trial

from hpo import samplers
from hpo.search import Spaces, params_of, suggest
from hpo.settings import Times
from hpo.space import Float, Int, Space, choice, fixed
from hpo.store import Claims
from tests.searching import KINDS, check, new_study
from tests.study.files import PAGE
from tests.support import claimed, definition, open_store, record

pytestmark = pytest.mark.usefixtures("quiet")

NAMES = samplers.names()
TRIALS = 30
COMBINATIONS = [
    pytest.param(name, spaces, id=f"{name}-{kind}")
    for name in NAMES
    for kind, spaces in KINDS.items()
    if not samplers.get(name).unfit(spaces, ["accuracy"])
]
# where a setting comes up twice by a bug only
ENDLESS = [param for param in COMBINATIONS if "finite" not in str(param.id)]
every_sampler = pytest.mark.parametrize("name", NAMES)
every_fit = pytest.mark.parametrize(("name", "spaces"), COMBINATIONS)


def ask(study: optuna.Study, name: str, spaces: Spaces, seed: int = 7) -> Trial:
    """The next trial, as a claim asks for it: by a sampler of its own."""
    number = len(study.get_trials(deepcopy=False))
    study.sampler = samplers.get(name).make(spaces, samplers.seeds(study=seed, trial=1000 * seed + number))
    return study.ask()


def length(name: str, spaces: Spaces) -> int:
    """How many trials to ask for."""
    return min(TRIALS, samplers.get(name).size(spaces) or TRIALS)


@every_sampler
def test_a_sampler_says_what_it_is(name: str) -> None:
    """The module and its functions have docstrings, and docs/study-files.md has its row."""
    module = samplers.get(name)
    assert all(thing.__doc__ for thing in (module, module.unfit, module.size, module.make))
    assert f"| `{name}` | " in PAGE


@every_sampler
def test_a_sampler_fits_some_space_and_says_why_not_the_others(name: str) -> None:
    """There is a kind of space that it can search; of every other it names the key that is in its way."""
    refusals = [samplers.get(name).unfit(spaces, ["accuracy"]) for spaces in KINDS.values()]
    assert [] in refusals
    for sentence in (sentence for refusal in refusals for sentence in refusal):
        assert sentence.split(":")[0].split(".")[0] in ("space", "model", "train")


@every_fit
def test_suggestions_are_full_settings_and_can_be_read_back(name: str, spaces: Spaces) -> None:
    """Each suggestion is a full and valid setting, follows the conditions, and `params_of` finds it again."""
    study = new_study(spaces)
    found = []
    for _ in range(length(name, spaces)):
        trial = ask(study, name, spaces)
        found.append(suggest(trial, spaces))
        study.tell(trial, float(found[-1].params["learning_rate"]))
    for suggestion, frozen in zip(found, study.trials, strict=True):
        check(suggestion, spaces)
        assert params_of(frozen.params, spaces) == suggestion
    assert {suggestion.family for suggestion in found} == set(spaces)


@pytest.mark.parametrize(("name", "spaces"), ENDLESS)
def test_trials_that_run_at_once_differ(name: str, spaces: Spaces) -> None:
    """Workers that ask one after the other, before any of them has a result, never get the same trial."""
    study = new_study(spaces)
    assert len({str(suggest(ask(study, name, spaces), spaces)) for _ in range(8)}) == 8


@every_fit
def test_a_study_on_one_slot_repeats_exactly(name: str, spaces: Spaces) -> None:
    """The same seed and the same results give the same trials."""
    runs = []
    for seed in (7, 7):
        study = new_study(spaces)
        for number in range(length(name, spaces)):
            trial = ask(study, name, spaces, seed)
            suggest(trial, spaces)
            study.tell(trial, float(number))
        runs.append([frozen.params for frozen in study.trials])
    assert runs[0] == runs[1]


@pytest.mark.parametrize(("name", "spaces"), ENDLESS)
def test_another_seed_gives_another_study(name: str, spaces: Spaces) -> None:
    """`split.seed` decides where the search begins."""
    first, second = (suggest(ask(new_study(spaces), name, spaces, seed), spaces) for seed in (7, 8))
    assert first != second


@every_fit
def test_a_claim_that_died_is_taken_over(name: str, spaces: Spaces) -> None:
    """A RUNNING trial of which one parameter was suggested keeps it when another sampler fills in the others."""
    study = new_study(spaces)
    suggest(ask(study, name, spaces), spaces)
    died = ask(study, name, spaces)
    first = suggest(died, spaces)
    study.sampler = samplers.get(name).make(spaces, samplers.seeds(study=7, trial=99))
    assert suggest(Trial(study, died._trial_id), spaces) == first


@pytest.mark.parametrize(("name", "spaces"), ENDLESS)
def test_two_workers_of_a_database_draw_different_trials(name: str, spaces: Spaces, tmp_path: Path) -> None:
    """Two workers, each with a connection of its own, never propose the same trial, whoever asks."""
    study = definition("s", search={"sampler": name}, budget={"trials": 9})
    open_store(tmp_path).create(study, spaces=spaces, data=record(), versions={})
    workers = [Claims(open_store(tmp_path), "s", worker, Times()) for worker in "ab"]
    found = [claimed(workers[i % 2 or i // 4]) for i in range(6)]
    assert len({str((claim.family, claim.model, claim.training)) for claim in found}) == 6


@pytest.mark.parametrize("name", [name for name in NAMES if not samplers.get(name).unfit(KINDS["numbers"], ["loss"])])
@pytest.mark.parametrize("conditional", [False, True])
def test_a_wider_range_is_searched(name: str, conditional: bool) -> None:
    """After `hpo launch --extend` a sampler goes on with all trials, and proposes what only the new range has."""
    when = {"kind": ("a",)} if conditional else None
    kind: Space = {"kind": choice("a", "b", default="a")} if conditional else {}

    def spaces(high: float) -> Spaces:
        x = Float(low=0.0, high=high, default=0.0, when=when)
        return {"f": kind | {"x": x, "n": Int(low=1, high=8, default=1), "learning_rate": fixed(1.0)}}

    if samplers.get(name).unfit(spaces(1.0), ["loss"]):
        return  # knows no conditions
    study = new_study(spaces(1.0))
    for high, trials in ((1.0, 20), (4.0, 40)):
        for _ in range(trials):
            trial = ask(study, name, spaces(high))
            params = suggest(trial, spaces(high)).params
            study.tell(trial, float(params["x"]))
    found = [float(params_of(frozen.params, spaces(4.0)).params["x"]) for frozen in study.trials]
    assert max(found[:20]) <= 1.0
    assert sum(x > 1.0 for x in found[20:]) >= 10

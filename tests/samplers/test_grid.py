"""The grid: every setting of a finite space once, then the end of the study."""

from pathlib import Path

import pytest

from hpo.samplers import Seeds, grid
from hpo.search import Spaces, suggest
from hpo.settings import Times
from hpo.space import Choice, Float, Int
from hpo.store import Claims, Idle, Over
from hpo.trial import Cause, Result
from tests.samplers.test_contract import ask
from tests.searching import KINDS, new_study
from tests.support import claimed, completed, definition, open_store, record

pytestmark = pytest.mark.usefixtures("quiet")

FINITE = KINDS["finite"]


@pytest.mark.parametrize(("kind", "size"), [("finite", 8), ("two finite", 8 + 4)])
def test_every_setting_comes_once(kind: str, size: int) -> None:
    """As many trials as there are distinct settings, all of them different; what does not count makes none."""
    spaces = KINDS[kind]
    study = new_study(spaces)
    found = {str(suggest(ask(study, "grid", spaces), spaces)) for _ in range(size)}
    assert grid.size(spaces) == len(found) == size


def test_the_order_is_no_sweep() -> None:
    """A budget smaller than the grid sees values of everything: the first half is not one half of the space."""
    study = new_study(FINITE)
    first = [suggest(ask(study, "grid", FINITE), FINITE).params for _ in range(4)]
    assert {params["cell"] for params in first} == {"lstm", "gru"}
    assert {params["learning_rate"] for params in first} == {1e-3, 1e-2}


def test_a_space_without_end_is_refused_by_key() -> None:
    """Every range of decimal numbers is named, in whichever family; one with a single value is none."""
    spaces: Spaces = {
        "a": {"x": Float(low=0.0, high=1.0, default=0.5), "y": Float(low=1.0, high=1.0, default=1.0)},
        "b": {"z": Float(low=0.0, high=1.0, default=0.5), "n": Int(low=1, high=9, default=1)},
    }
    assert [sentence.split(":")[0] for sentence in grid.unfit(spaces, ["loss"])] == ["space.x", "space.z"]


def test_a_grid_larger_than_anybody_trains_is_refused() -> None:
    """The hyperparameters with the most values are named."""
    many = Int(low=1, high=200, default=1)
    spaces: Spaces = {"a": {"x": many, "y": many, "z": Choice(values=(1, 2), default=1)}}
    (sentence,) = grid.unfit(spaces, ["loss"])
    assert sentence.startswith("space: the sampler 'grid' tries every setting, and there are more than 10,000; ")
    assert sentence.endswith("(these have the most: x 200, y 200, z 2)")


def test_the_study_ends_when_the_space_is_exhausted(tmp_path: Path) -> None:
    """Two workers try all settings, the default first; they wait for what runs, then the study has ended."""
    store = open_store(tmp_path)
    store.create(
        definition("s", search={"sampler": "grid"}, budget={"trials": 99}), spaces=FINITE, data=record(), versions={}
    )
    a, b = (Claims(open_store(tmp_path), "s", worker, Times()) for worker in "ab")
    running = [claimed(worker) for worker in (a, b) * 4]
    assert running[0].model == {"cell": "gru", "heads": 1}
    assert len({str(claim) for claim in running}) == 8
    assert a.claim() == Idle()
    a.release(running[2], lost=False)
    running[2] = claimed(a)
    for worker, claim in zip((a, b) * 4, running, strict=True):
        assert store.status("s").ending == ""
        # neither a bug nor a setting that cannot be trained is tried again
        cause = {1: Cause.BUG, 2: Cause.TOO_LARGE}.get(claim.number)
        worker.finish(claim, completed() if cause is None else Result(cause=cause))
    assert a.claim() == Over(reason="space")
    assert (store.status("s").state, store.status("s").ending) == ("ended", "space exhausted")
    assert store.status("s").counts["complete"] == 6


def test_a_claim_that_died_goes_on_in_the_grid() -> None:
    """A trial of which a value is stored gets a setting with that value that nobody else has."""
    study = new_study(FINITE)
    for _ in range(4):
        suggest(ask(study, "grid", FINITE), FINITE)
    died = ask(study, "grid", FINITE)
    value = died.suggest_categorical("learning_rate", [1e-3, 1e-2])
    others = {str(frozen.params) for frozen in study.trials[:4]}
    study.sampler = grid.make(FINITE, Seeds(study=1, trial=2))
    suggest(died, FINITE)
    assert study.trials[4].params["learning_rate"] == value
    assert str(study.trials[4].params) not in others

"""Where a bundle's weights come from."""

from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from hpo.bundling import make
from hpo.errors import UsageError
from hpo.evaluation import plan as planning
from hpo.space import Params
from hpo.store import Claims, Given, Store, give
from hpo.trial import MODEL, Cause, Result
from hpo.weights import Place, ended, refitted
from tests.support import FAST, SPACES, claimed, copies, create, definition, open_store, prepared_record

SEEDS = (11, 12)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Folders of their own."""
    return Place(copies(tmp_path / "artifacts"), tmp_path / "cache", tmp_path / "work", Console(quiet=True))


@pytest.fixture
def store(tmp_path: Path, place: Place) -> Store:
    """A study s, and two refits of its winner; the first one diverged."""
    store = open_store(tmp_path)
    record = prepared_record(place.cache)
    create(store, definition("s"), record)
    sibling = planning.sibling(store.study("s"), "refit")
    trials: list[tuple[Given, Params]] = [
        (Given(configuration="c", index=i, seed=seed), {"learning_rate": 0.01}) for i, seed in enumerate(SEEDS)
    ]
    give(store, sibling, trials, spaces=SPACES, data=record, versions={})
    claims = Claims(store, "s/refit", "worker", FAST)
    claims.finish(claimed(claims), Result(cause=Cause.DIVERGED))
    claims.finish(claimed(claims), Result(cause=Cause.COMPLETED, value=0.5, weights_sha256="a" * 64))
    return store


def report(**rows: Any) -> dict[str, Any]:
    """What an evaluation says of its seeds."""
    return {"per_seed": [{"seed": seed, "refit": rows.get(f"seed_{seed}")} for seed in SEEDS]}


def test_the_first_refit_is_taken(store: Store, place: Place) -> None:
    """The first that completed, from its file among the artifacts, with the hash that its record has of it."""
    trial = store.trial("s/refit", 1)
    file = place.copies.root / str(trial.artifacts) / MODEL
    file.parent.mkdir(parents=True)
    file.write_bytes(b"a model")
    found = refitted(store, store.study("s"), report(seed_12=1), place)
    assert found is not None
    assert (found.model, found.trial.number, found.study.name) == (file, 1, "s/refit")
    assert found.outcome.weights_sha256 == "a" * 64
    assert found.origin == "the winner of the evaluation of study s, refitted on all but the test part with seed 12"
    assert Path(found.part, "x.npy").exists()
    assert found.report is None


def test_an_evaluation_without_refits(store: Store, place: Place) -> None:
    """There is nothing to take: no test part was opened, or an older hpo made the report."""
    assert refitted(store, store.study("s"), report(), place) is None
    assert refitted(store, store.study("s"), {}, place) is None


def test_a_refit_alone_is_no_bundle(store: Store, place: Place, tmp_path: Path) -> None:
    """Its scores come from data that it was trained on: the study's own bundle has it, with the evaluation's scores."""
    for number in (None, 1):
        with pytest.raises(UsageError, match=r"no data were held out .* `hpo export s --format bundle` packs"):
            make(
                store, "s/refit", number, tmp_path / "b.zip", copies=place.copies, cache=place.cache,
                console=place.console,
            )  # fmt: skip
    assert not (tmp_path / "b.zip").exists()


def test_a_trial_without_weights(store: Store) -> None:
    """One that did not complete is refused, with how it ended."""
    record = store.study("s/refit")
    with pytest.raises(UsageError, match="trial 0 of study 's/refit' ended as 'diverged', so there are no weights"):
        ended(record, store.trial("s/refit", 0))
    Claims(store, "s", "worker", FAST).claim()
    with pytest.raises(UsageError, match=r"has not ended yet \(it is running\), so there are no weights"):
        ended(store.study("s"), store.trial("s", 0))

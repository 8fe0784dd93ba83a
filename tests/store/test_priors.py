"""What a study is given: settings to try first count like any others, other studies' trials count nowhere."""

import math
from pathlib import Path

import optuna
import pytest

from hpo.search import params_of
from hpo.settings import Times
from hpo.store import Claims, Over, Prior, Start, Store
from hpo.store.priors import read
from tests.support import SPACES, claimed, create, definition, open_store, record, work_off

TPE = {"sampler": "tpe", "pruner": "none"}


def known(count: int = 30, source: str = "old") -> list[Prior]:
    """Trials of another study, the best of them at a learning rate of 0.0003."""
    rates = [10 ** (-4 + 3 * place / count) for place in range(count)]
    return [
        Prior(
            source=source,
            trial=place,
            params={"learning_rate": rate},
            state="complete",
            values=(-abs(math.log10(rate / 3e-4)),),
            last_step=7,
            last_value=0.5,
        )
        for place, rate in enumerate(rates)
    ]


def start(rate: float) -> Start:
    """A setting that somebody wants to be tried."""
    return Start(params={"learning_rate": rate}, origin="best.json")


@pytest.fixture
def store(address: str) -> Store:
    """An empty database of each kind."""
    return open_store(address)


def launched(store: Store, *starts: Start, trials: int = 6) -> Claims:
    """The study, created or found again."""
    study = definition(budget={"trials": trials}, search=TPE)
    store.create(study, spaces=SPACES, data=record(), versions={}, starts=starts)
    return Claims(store, "s", "a", Times())


def test_knowledge_counts_nowhere(store: Store) -> None:
    """The budget is as exact as ever, the best trial is the study's own, and Optuna has its own trials alone."""
    claims = launched(store)
    assert store.learn("s", known()) == 30
    assert store.status("s").prior == {"old": 30}
    assert store.status("s").best is None
    assert work_off(claims) == list(range(6))
    assert claims.claim() == Over(reason="trials")
    status = store.status("s")
    assert status.counts == {"complete": 6, "pruned": 0, "fail": 0, "running": 0, "waiting": 0}
    assert status.best is not None
    assert status.best.value == 0.5
    study = optuna.load_study(study_name="s", storage=store.rdb)
    assert [trial.number for trial in study.trials] == list(range(6))
    assert study.best_value == 0.5


def test_the_sampler_is_taught(store: Store) -> None:
    """From the first trial on that it proposes it searches where other studies found the best; by all workers."""
    claims = launched(store)
    store.learn("s", known())
    assert claimed(claims).training["learning_rate"] == 1e-3  # the published default comes first all the same
    rates = [float(claimed(Claims(store, "s", name, Times())).training["learning_rate"]) for name in "bcdef"]
    assert sum(1e-4 < rate < 1e-3 for rate in rates) >= 4
    study = optuna.load_study(study_name="s", storage=store.rdb)
    assert [trial.params["learning_rate"] for trial in study.trials[1:]] == rates


def test_a_worker_hears_of_new_knowledge(store: Store) -> None:
    """What is learnt while a worker works counts from its next trial on."""
    claims = launched(store, trials=30)
    before = [float(claimed(claims).training["learning_rate"]) for _ in range(9)]
    store.learn("s", known())
    after = [float(claimed(claims).training["learning_rate"]) for _ in range(9)]
    assert sum(1e-4 < rate < 1e-3 for rate in after) > sum(1e-4 < rate < 1e-3 for rate in before) + 2


def test_each_trial_is_learnt_once(store: Store) -> None:
    """Given again, alone or among others, it is not known twice; what came first stays as it was."""
    launched(store)
    assert store.learn("s", known(3)) == 3
    changed = [prior.model_copy(update={"values": (9.0,)}) for prior in known(3)]
    assert store.learn("s", [*changed, *known(2, source="older")]) == 2
    assert store.learn("s", known(3)) == 0
    assert store.status("s").prior == {"old": 3, "older": 2}
    assert [prior.values for prior in read(store, store.study("s"))[:3]] == [prior.values for prior in known(3)]


def test_knowledge_is_the_studys_own(store: Store) -> None:
    """Another study of the same database knows nothing of it."""
    launched(store)
    store.learn("s", known())
    create(store, definition("other", search=TPE))
    assert store.status("other").prior == {}


def test_settings_to_try_come_first_and_once(store: Store) -> None:
    """Before the published default in a new study, next in one that goes on; tried once, however often it is wanted."""
    claims = launched(store, start(0.01), start(0.02), start(0.01))
    assert [claimed(claims).training["learning_rate"] for _ in range(3)] == [0.01, 0.02, 1e-3]
    claims = launched(store, start(0.02), start(0.03), start(1e-3))
    assert claimed(claims).training["learning_rate"] == 0.03
    assert store.status("s").counts["waiting"] == 0
    trials = optuna.load_study(study_name="s", storage=store.rdb).trials
    assert [trial.user_attrs.get("origin") for trial in trials] == ["best.json", "best.json", None, "best.json"]
    assert len(work_off(claims)) == 2  # six in all, four of which run


def test_nothing_is_searched(tmp_path: Path) -> None:
    """A setting for a study with everything fixed is the one that all of its trials have."""
    store = open_store(tmp_path)
    spaces = {"lstm": {name: domain for name, domain in SPACES["lstm"].items() if name != "learning_rate"}}
    study = definition(budget={"trials": 2}, search={"sampler": "random", "duplicates": "reseed"})
    store.create(study, spaces=spaces, data=record(), versions={}, starts=[Start(params={}, origin="x")])
    assert work_off(Claims(store, "s", "a", Times())) == [0, 1]
    assert params_of(store.trial("s", 0).params, spaces).params == {"units": 8, "batch_size": 16}


def test_several_metrics(tmp_path: Path) -> None:
    """A study with several metrics learns from trials that have a value by each."""
    store = open_store(tmp_path)
    create(store, definition(search=TPE, train={"metric": ["accuracy", "loss"]}))
    store.learn("s", [prior.model_copy(update={"values": (0.5, prior.trial / 30)}) for prior in known()])
    claims = Claims(store, "s", "a", Times())
    rates = [float(claimed(claims).training["learning_rate"]) for _ in range(5)]
    assert sum(rate < 1e-3 for rate in rates[1:]) >= 3  # where the loss is low and the accuracy is no worse


def test_several_metrics_and_trials_that_ended_early(tmp_path: Path) -> None:
    """A study with several metrics goes on with what it knows of trials that were ended after some epochs."""
    store = open_store(tmp_path)
    create(store, definition(budget={"trials": 14}, search=TPE, train={"metric": ["accuracy", "loss"]}))
    whole = [prior.model_copy(update={"values": (0.5, prior.trial / 30)}) for prior in known(20)]
    early = [prior.model_copy(update={"state": "pruned", "values": None}) for prior in known(4, source="early")]
    store.learn("s", [*whole, *early])
    claims = Claims(store, "s", "a", Times())
    assert len({claimed(claims).number for _ in range(14)}) == 14

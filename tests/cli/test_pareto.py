"""A study of accuracy against size, launched for real: what each command says of its front."""

import re

import optuna
import pytest

from tests.cli.run import TINY, Launched, start
from tests.study.files import changed, write

pytestmark = pytest.mark.timeout(300)

CHANGES = {
    "train": {"metric": ["accuracy", "parameters"], "max_epochs": 1},
    "space/units": {"low": 2, "high": 16},
    "search": {"sampler": "tpe"},
    "budget/trials": 3,
}


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Launched:
    """Three trials on BasicMotions by accuracy and number of parameters."""
    folder = tmp_path_factory.mktemp("pareto")
    return Launched(folder, start(folder, "launch", write(folder, changed(TINY, CHANGES)).name, "--workers", "2"), [])


def test_the_front_is_optunas(study: Launched) -> None:
    """`hpo export --pareto` writes exactly the trials that Optuna calls the best ones."""
    assert study.run.code == 0, study.run.err
    fronts = study.call("export", "tiny", "--pareto").json()
    storage = optuna.storages.RDBStorage(f"sqlite:///{study.folder / '.hpo' / 'hpo.db'}")
    try:
        best = optuna.load_study(study_name="tiny", storage=storage).best_trials
    finally:
        storage.remove_session()
        storage.engine.dispose()
    assert sorted(trial["trial"] for trial in fronts) == sorted(trial.number for trial in best)
    assert {trial["trial"]: list(trial["values"].values()) for trial in fronts} == {t.number: t.values for t in best}
    for trial in fronts:
        assert trial["values"] == {"accuracy": trial["metrics"]["accuracy"], "parameters": trial["parameters"]}
        assert trial["value"] == trial["values"]["accuracy"]


def test_commands_speak_of_all_metrics(study: Launched) -> None:
    """`status` has a list of best trials, the best by the first metric first; tables and lines show every value."""
    status = study.call("status", "tiny", "--json").json()
    assert status["metrics"] == ["accuracy", "parameters"]
    assert [best["trial"] for best in status["best"]] == [
        trial["trial"] for trial in study.call("export", "tiny", "--pareto").json()
    ]
    assert study.call("export", "tiny").json()["trial"] == status["best"][0]["trial"]
    words = r"accuracy [01]\.\d{4}, parameters [\d,]+, trial \d"
    assert re.search(words, study.call("status", "tiny").out)
    assert re.search(rf"on the front; the first has {words}", study.run.out)
    assert re.search(r"accuracy [01]\.\d{4} \(front of \d\)", study.call("list").out)
    assert "trial 2: completed" in study.run.err


def test_a_range_is_extended_under_the_old_name(study: Launched) -> None:
    """Without `--extend` the launch is refused with the difference; with it the study has the wider range."""
    file = write(study.folder, changed(TINY, CHANGES | {"space/units": {"low": 2, "high": 32}}))
    refused = start(study.folder, "launch", file.name)
    assert refused.code == 2
    assert "study 'tiny' exists with narrower ranges; --extend widens these" in refused.err
    assert "- space.units.high: 16 -> 32" in refused.err
    extended = start(study.folder, "launch", file.name, "--extend", "--workers", "1")
    assert extended.code == 0, extended.err
    assert "extended space.units.high: 16 -> 32" in extended.err
    units = study.store().study("tiny").spaces["lstm"]["units"]
    assert (units.kind, units.default) == ("int", 16)

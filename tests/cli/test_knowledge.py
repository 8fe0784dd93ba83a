"""`hpo launch --enqueue` and `--from`: what a study begins with, and what is refused, as a user meets it."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import optuna
import pytest

from hpo.errors import UsageError
from hpo.knowledge.studies import from_study
from hpo.prepare import prepare
from hpo.search import FAMILY
from hpo.settings import Times
from hpo.store import Claims, Store
from hpo.trial import Cause, Result
from hpo.versions import installed
from tests.cli.run import TINY, Run, call
from tests.data.files import write_pair
from tests.study.files import REMOVE, changed, write
from tests.support import OPEN, claimed, completed, work_off

TPE = {
    "data/source": "ucr",
    "data/path": "files/Tiny",
    "data/name": REMOVE,
    "search/sampler": "tpe",
    "budget/trials": 3,
}
URL = "sqlite:///.hpo/hpo.db"


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder with data, in which the commands are given."""
    monkeypatch.chdir(tmp_path)
    write_pair(tmp_path / "files")


def study(name: str, **changes: object) -> Path:
    """A study file of this name."""
    path = write(Path(), changed(TINY, TPE | {"name": name} | {k.replace("__", "/"): v for k, v in changes.items()}))
    return path.rename(f"{name}.toml")


def made(path: Path) -> Claims:
    """The study of a file, with a worker that claims."""
    found = prepare(path, Path(".hpo/cache"))
    OPEN.append(Store(URL, create=True))
    OPEN[-1].create(found.definition, spaces=found.spaces, data=found.record, versions={})
    return Claims(OPEN[-1], found.definition.name, "a", Times())


def store() -> Store:
    """The database."""
    return OPEN[-1]


def old(**changes: object) -> None:
    """A study `old` that has ended: three trials, scores 0.5."""
    assert work_off(made(study("old", **changes))) == [0, 1, 2]


def dry(*args: str | Path) -> str:
    """What a launch would do, on one line."""
    run = call("launch", *args, "--dry-run")
    assert run.code == 0, run.err
    return " ".join(run.out.split())


def refused(run: Run, code: int, message: str) -> None:
    """Asserts that the command said so, and created no study `new`."""
    assert (run.code, run.out) == (code, ""), run.err
    assert re.search(message, run.err, re.DOTALL), run.err
    assert "Traceback" not in run.err
    assert not Path(".hpo/hpo.db").exists() or "new" not in store().names()


@pytest.mark.parametrize("form", ["json", "toml"])
def test_what_was_exported_is_tried_first(form: str) -> None:
    """One setting, or several; the trial has the very parameters; launched again nothing is enqueued twice."""
    old()
    assert call("export", "old", "--top", "2", "--format", form, "-o", f"best.{form}").code == 0
    assert call("export", "old", "--trial", "2", "--format", form, "-o", f"one.{form}").code == 0
    wanted = [store().trial("old", n).params for n in (0, 1, 2)]
    # ended already: it trains nothing, but takes what it is given
    work_off(made(study("new", budget__trials=1)))
    before = store().trial("new", 0).params
    args = ("--enqueue", f"best.{form}", "--enqueue", f"one.{form}")
    for _ in range(2):
        run = call("launch", "new.toml", *args)
        assert run.code == 0, run.err
        assert f"best.{form}: number 2: to be tried once" in run.err
    trials = optuna.load_study(study_name="new", storage=store().rdb).trials
    fixed = [trial.system_attrs["fixed_params"] for trial in trials[1:]]
    assert fixed == [params for params in wanted if params != before]
    assert store().status("new").counts["waiting"] == 2


def test_old_trials_are_known() -> None:
    """It says what is taken over, and why not the rest; status shows it, and a second launch takes nothing twice."""
    claims = made(study("old", budget__trials=6))
    for result in (
        completed(0.9),
        Result(cause=Cause.PRUNED, epochs=1),
        Result(cause=Cause.DIVERGED),
        Result(cause=Cause.OUT_OF_MEMORY),
        Result(cause=Cause.BUG, detail="planted"),
    ):
        claims.finish(claimed(claims), result)
    work_off(made(study("new", budget__trials=1)))
    for _ in range(2):
        run = call("launch", "new.toml", "--from", "old", "--from", "old")
        assert run.code == 0, run.err
        assert "study old: 3 of its 5 ended trials are known to the sampler\n" in run.err
        assert "  not trial 3: out of memory, which depends on the machine and on limits\n" in run.err
        assert "  not trial 4: failed by a bug\n" in run.err
    assert call("status", "new", "--json").json()["prior"] == {"old": 3}
    assert re.search(r"knows +3 trials of study old", call("status", "new").out)
    assert store().status("new").counts["complete"] == 1


def test_old_trials_that_do_not_fit() -> None:
    """Each rule that keeps trials out is said once, with the trials; a study that has nothing else is refused."""
    old(model__family=["lstm", "fcn"], space={"dropout": [0.1, 0.2], "dense_units": 8})
    wide = study("wide", model__family=["lstm", "fcn"], space={"dropout": [0.1, 0.2, 0.3], "dense_units": 8})
    assert "study old: 3 of its 3 ended trials are known" in dry(wide, "--from", "old")
    families = {str(store().trial("old", n).params[FAMILY]) for n in (0, 1)}
    assert families == {"lstm", "fcn"}
    assert re.search(
        r"not trials? [\d, ]+: model: accepted: lstm", dry(study("one", space={"dense_units": 8}), "--from", "old")
    )
    study("new", space={"dense_units": 16, "dropout": 0.4, "units": 8})
    refused(
        call("launch", "new.toml", "--from", "old"),
        2,
        r"study 'old' has nothing for 'new'\nstudy old: 0 of its 3 .*dense_units: it is fixed at 16 \(whole number\)",
    )


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"train__max_epochs": 3}, "train.max_epochs: 2 there, 3 here"),
        ({"train__metric": "loss"}, "train.metric: accuracy there, loss here"),
        ({"train__metric": ["accuracy", "loss"]}, r"train.metric: accuracy there, \['accuracy', 'loss'\] here"),
        ({"split__seed": 1}, r"other split: SHA-256 \w{12} there, \w{12} here"),
    ],
)
def test_scores_that_do_not_compare(changes: dict[str, object], reason: str) -> None:
    """Nothing is learnt from them, but the best settings are tried; the reason is said."""
    old()
    said = dry(study("new", **changes), "--from", "old")
    assert re.search(rf"study old: its scores do not compare \({reason}\), but its best settings can be tried", said)
    assert re.search("to be tried here, once: trials 0, 1, 2", said)
    assert call("status", "new", "--storage", URL).code == 2  # a dry run creates nothing


def test_samplers_that_learn_from_no_other_trials() -> None:
    """They get the best settings too; nothing is said against scores that do compare."""
    old()
    start = "study old: the sampler 'random' learns from no other trials, but its best settings can be tried"
    assert start in dry(study("new", search__sampler="random"), "--from", "old")
    both = (
        r"study old: its scores do not compare \(train.max_epochs: .* here\), and the sampler 'random' learns from no"
    )
    assert re.search(both, dry(study("new", search__sampler="random", train__max_epochs=3), "--from", "old"))


def test_other_versions() -> None:
    """Scores of another family's source, or of another minor version of what trains, do not compare."""
    old()
    prepared, trials = prepare(study("new"), Path(".hpo/cache")), store().trials("old")
    now = installed(["lstm"])
    for changes, reason in (
        ({}, ""),
        ({"keras": "2.0.0"}, rf"created with keras 2\.0\.0, here {now['keras']}"),
        ({"family lstm": "deadbeef"}, rf"created with source of family lstm deadbeef, here {now['family lstm'][:12]}"),
        ({"family fcn": "deadbeef"}, ""),  # which the new study has not
    ):
        before = store().study("old").model_copy(update={"versions": now | changes})
        found = from_study(before, trials, prepared)
        assert (len(found.priors), len(found.starts)) == ((0, 3) if reason else (3, 0))
        assert re.search(reason and rf"scores do not compare \({reason}\), but", found.lines[0])


def test_other_data() -> None:
    """Their scores say nothing here, whatever else is equal."""
    old()
    write_pair(Path("files"), seed=1)
    assert "do not compare (other data: SHA-256" in dry(study("new"), "--from", "old")


def test_a_study_that_is_gone() -> None:
    """What was taken over from it stays, and the same command works."""
    old()
    work_off(made(study("new", budget__trials=1)))
    assert call("launch", "new.toml", "--from", "old").code == 0
    optuna.delete_study(study_name="old", storage=store().rdb)
    with store().rdb.engine.begin() as connection:
        connection.exec_driver_sql("delete from hpo_studies where name = 'old'")
    run = call("launch", "new.toml", "--from", "old")
    assert run.code == 0, run.err
    assert "study old is gone; what was taken over from it stays" in run.err
    assert store().status("new").prior == {"old": 3}


def best(**changes: object) -> str:
    """A parameters file that fits, with changed keys."""
    document: dict[str, object] = {"model": "lstm", "params": {}, "train": {}}
    for key, value in changes.items():
        table, _, name = key.partition("__")
        if name:
            document[table] = {**document[table], name: value}  # type: ignore[dict-item]  # tables only
        else:
            document[table] = value
    return json.dumps(document)


FILES: dict[str, tuple[str | None, str]] = {
    "no file": (None, r"best\.json: 1 mistake\n  - there is no such file"),
    "no JSON": ("{", r"best\.json: 1 mistake\n  - is not valid JSON \(by its ending\)"),
    "too large": ("[" + " " * (1 << 20), "larger than 1 MiB"),
    "too deep": ("[" * 100_000, "is not valid JSON"),
    "a number": ("3", "- model: is missing; accepted: a file of `hpo export`"),
    "no family": (best(model=3), "- model: is missing"),
    "a table that is none": (best(params=[3]), r"- params: got \[3\] \(list\)"),
    "a value that is none": (best(params__units=[3]), r"- params\.units: got \[3\] \(list\); accepted: a number"),
    "unknown family": (best(model="conv_lstn"), r"- model: got 'conv_lstn' \(text\); accepted: lstm"),
    "everything at once": (
        best(params__unit=3, params__units=9, train__learning_rate=7.0),
        r"does not fit study 'new': 3 mistakes\n.*- unit: got 3 .*no such hyperparameter; did you mean 'units'\?"
        r".*- units: got 9 \(whole number\); it is fixed at 8.*- learning_rate: got 7\.0 .*accepted: from 0\.0001 to",
    ),
    "one of several": (f"[{best()}, {best(model='fcn')}]", "- number 2: model: got 'fcn'"),
}


@pytest.mark.parametrize("name", FILES)
def test_files_that_cannot_be_tried(name: str) -> None:
    """Exit code 2, everything that is wrong, and no study."""
    content, message = FILES[name]
    if content is not None:
        Path("best.json").write_text(content)
    study("new", space={"units": 8})
    refused(call("launch", "new.toml", "--enqueue", "best.json"), 2, message)


def unreadable() -> None:
    """A folder where a file is wanted."""
    Path("best.json").mkdir()


@pytest.mark.parametrize(
    ("args", "code", "message", "fault"),
    [
        (("--enqueue", "best.json"), 2, "the file cannot be read: Is a directory", unreadable),
        (("--from", "old"), 4, r"there is no database \.hpo/hpo\.db yet", None),
        (("--from", "odl"), 2, "no study 'odl' in .*did you mean 'old'", old),
        (("--from", "new"), 2, "that is the study itself", old),
        (("--from", "old"), 2, "study 'old' has nothing for 'new'", lambda: made(study("old"))),
    ],
)
def test_what_has_nothing_to_give(
    args: tuple[str, ...], code: int, message: str, fault: Callable[[], object] | None
) -> None:
    """A usage error, and no study."""
    if fault is not None:
        fault()
    study("new")
    refused(call("launch", "new.toml", *args), code, message)


def test_toml_that_is_none() -> None:
    """The form goes by the file's ending."""
    Path("best.toml").write_text(best())
    study("new")
    refused(call("launch", "new.toml", "--enqueue", "best.toml"), 2, r"best\.toml: 1 mistake\n  - is not valid TOML")


def test_the_study_keeps_its_own_training() -> None:
    """Where [train] differs from the file's, the study's holds, and that is said."""
    Path("best.json").write_text(best(train__max_epochs=30, train__optimizer="adam", train__threads=4))
    said = dry(study("new"), "--enqueue", "best.json")
    assert "to be tried once, with the study's own max_epochs = 2, not 30, optimizer = adamw, not adam" in said
    assert "threads" not in said.split("to be tried")[1].split("one worker")[0]


def test_trials_from_before_a_hyperparameter_existed() -> None:
    """They were trained with its published default: known where the study holds that, refused where it does not."""
    old()
    before = store().study("old")
    own = {"units": 8, "dense_units": 8}
    spaces = {family: {n: d for n, d in space.items() if n != "ema"} for family, space in before.spaces.items()}
    before = before.model_copy(update={"spaces": spaces})
    trials = store().trials("old")
    found = from_study(before, trials, prepare(study("new", space=own | {"ema": [0.0, 0.9]}), Path(".hpo/cache")))
    assert [prior.params["ema"] for prior in found.priors] == [0.0] * 3
    with pytest.raises(UsageError, match=r"not trials 0, 1, 2: ema: it is fixed at 0\.9"):
        from_study(before, trials, prepare(study("new", space=own | {"ema": 0.9}), Path(".hpo/cache")))

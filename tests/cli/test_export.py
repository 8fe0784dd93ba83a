"""`hpo export` in its forms, on a study that was really launched."""

import csv
import io
import tomllib
from pathlib import Path

import pytest

from hpo.settings import Times
from hpo.store import Claims
from hpo.trial import Cause, Result
from tests.cli.run import Launched, call
from tests.support import claimed, completed, create, definition, open_store


def table(text: str) -> list[dict[str, str]]:
    """The lines of a CSV."""
    return list(csv.DictReader(io.StringIO(text)))


def test_toml_says_what_json_says(launched: Launched) -> None:
    """The same document, but for what is null."""
    json = launched.call("export", "tiny").json()
    assert tomllib.loads(launched.call("export", "tiny", "--format", "toml").out) == json
    two = tomllib.loads(launched.call("export", "tiny", "--format", "toml", "--top", "2").out)
    assert two["trials"] == launched.call("export", "tiny", "--top", "2").json()


def test_the_best_ones(launched: Launched) -> None:
    """`--top` gives a list, best first, of as many as there are."""
    values = sorted((trial.value or 0.0 for trial in launched.store().trials("tiny")), reverse=True)
    assert [trial["value"] for trial in launched.call("export", "tiny", "--top", "9").json()] == values
    (one,) = launched.call("export", "tiny", "--top", "1").json()
    assert one == launched.call("export", "tiny").json()


def test_a_table_of_all_trials(launched: Launched) -> None:
    """A line each, with settings, score and seconds; numbers are those of the study to the last bit."""
    rows = table(launched.call("export", "tiny", "--format", "csv").out)
    trials = launched.store().trials("tiny")
    assert [int(row["number"]) for row in rows] == [trial.number for trial in trials]
    for row, trial in zip(rows, trials, strict=True):
        assert (row["state"], row["cause"], row["family"]) == ("complete", "completed", "lstm")
        assert float(row["value"]) == trial.value == float(row["metrics.accuracy"])
        assert float(row["params.learning_rate"]) == trial.params["learning_rate"]
        assert (row["params.units"], row["params.bidirectional"]) == ("8", "false")
        assert trial.outcome is not None
        assert float(row["seconds"]) == trial.outcome.seconds["total"]
    (first,) = table(launched.call("export", "tiny", "--format", "csv", "--trial", "0").out)
    assert first == rows[0]


def test_a_table_has_trials_of_every_state(tmp_path: Path) -> None:
    """What has not ended, or has no score, has a line as well; two trials of one setting have two, but one best."""
    store = open_store(tmp_path)
    search = {"sampler": "random", "pruner": "none", "duplicates": "reseed"}
    create(store, definition(budget={"trials": 9}, search=search))
    claims = Claims(store, "s", "a", Times())
    claims.finish(claimed(claims), completed(0.5))
    store.optuna_study(store.study("s")).enqueue_trial(store.trial("s", 0).params)
    claims.finish(claimed(claims), completed(0.75))
    claims.finish(claimed(claims), completed(0.25))
    claims.finish(claimed(claims), Result(cause=Cause.DIVERGED, detail="=1+1"))
    claims.finish(claimed(claims), Result(cause=Cause.BUG, detail="planted"))
    claimed(claims)
    store.optuna_study(store.study("s")).enqueue_trial({})
    address = ("--storage", f"sqlite:///{tmp_path / 'hpo.db'}")
    rows = table(call("export", "s", "--format", "csv", *address).out)
    assert [row["state"] for row in rows] == [
        "complete", "complete", "complete", "pruned", "fail", "running", "waiting",
    ]  # fmt: skip
    assert [row["value"] for row in rows] == ["0.5", "0.75", "0.25", "", "", "", ""]
    assert [bool(row["params.learning_rate"]) for row in rows] == [True] * 6 + [False]
    assert [trial["trial"] for trial in call("export", "s", "--top", "5", *address).json()] == [1, 2]


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("--top", "2", "--trial", "0"), "--trial, --top and --pareto: give one of them"),
        (("--top", "2", "--pareto"), "--trial, --top and --pareto: give one of them"),
        (("--top", "0"), "0 is not in the range"),
        (("--pareto",), "study 'tiny' has one metric, and so one best trial; --top gives the next ones"),
        (("--format", "yaml"), "'yaml' is not one of 'json', 'toml', 'csv'"),
        (("--format", "csv", "-o", "all.JSON"), "--format csv does not go with all.JSON: .json is json. Leave"),
        (("-o", "best.zip", "--top", "2"), "a bundle is one trial in a file"),
    ],
)
def test_what_cannot_be_exported(launched: Launched, args: tuple[str, ...], message: str) -> None:
    """A usage error that says what can."""
    run = launched.call("export", "tiny", *args)
    assert (run.code, run.out) == (2, "")
    assert message in run.err


def test_a_file_holds_what_its_name_says(launched: Launched, tmp_path: Path) -> None:
    """Its ending chooses what is written where nothing else does; other endings leave the choice to --format."""
    for form in ("json", "toml", "csv"):
        expected = launched.call("export", "tiny", "--format", form).out
        for name, *asked in ((f"f.{form}",), (f"F.{form.upper()}",), ("f.txt", "--format", form)):
            assert launched.call("export", "tiny", "-o", tmp_path / name, *asked).code == 0
            assert (tmp_path / name).read_text() == expected
    assert launched.call("export", "tiny", "-o", tmp_path / "best").code == 0
    assert (tmp_path / "best").read_text() == launched.call("export", "tiny").out


def test_nothing_to_export(tmp_path: Path) -> None:
    """A study without a completed trial has no best one, but a table."""
    create(open_store(tmp_path), definition())
    address = ("--storage", f"sqlite:///{tmp_path / 'hpo.db'}")
    for args in ((), ("--top", "3"), ("--format", "toml")):
        run = call("export", "s", *args, *address)
        assert (run.code, run.out) == (2, "")
        assert "no trial completed yet" in run.err
    (row,) = table(call("export", "s", "--format", "csv", *address).out)
    assert (row["number"], row["state"]) == ("0", "waiting")

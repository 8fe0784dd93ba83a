"""A whole evaluation of real models, on data with a planted leak: killed, finished, shown, refused and repeated."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hpo import data
from hpo.errors import UsageError
from hpo.evaluated import without_names
from hpo.evaluation.words import sentences
from hpo.prepare import Prepared, prepare
from hpo.store import Claims, Store, open_once, openings
from hpo.versions import installed
from tests.cli.run import Run, call
from tests.study.files import write
from tests.support import FAST, claimed, completed

pytestmark = pytest.mark.timeout(800)  # two fork servers, four trainings, three looks

WINDOWS, TEST_WINDOWS, STEPS, GROUPS = 48, 48, 8, 8
STUDY: dict[str, Any] = {
    "name": "leaky",
    "data": {"source": "npz", "path": "leak.npz"},
    "split": {"by": "group", "validation": 0.25},
    "model": {"family": "lstm"},
    "space": {
        "units": 8, "layers": 1, "bidirectional": False, "dense_units": 8, "dropout": 0.0,
        "learning_rate": {"low": 0.01, "high": 0.05, "log": True}, "batch_size": 8,
    },
    "train": {"max_epochs": 6, "optimizer": "adam"},
    "budget": {"trials": 1},
}  # fmt: skip


def leak(file: Path) -> None:
    """Channel 0 is noise. Channel 1 is the label outside of the test part, and noise in it. Eight people in each."""
    rng = np.random.default_rng(0)
    arrays: dict[str, Any] = {}
    for suffix, n in (("", WINDOWS), ("_test", TEST_WINDOWS)):
        y = rng.permutation(np.arange(n) % 2)
        x = rng.normal(size=(n, STEPS, 2))
        if not suffix:
            x[:, :, 1] = 2.0 * y[:, None] - 1
        people = np.arange(n) // (n // GROUPS) + (0 if suffix else GROUPS)
        arrays |= {f"X{suffix}": x, f"y{suffix}": y, f"groups{suffix}": people}
    np.savez(file, **arrays)


class Leaky:
    """The study in a folder of its own; its search was one trial, which is made up."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.url = f"sqlite:///{folder / 'hpo.db'}"
        leak(folder / "leak.npz")
        self.prepared = self.searched("leaky")

    def searched(self, name: str, **changes: Any) -> Prepared:
        """A study on the same file, whose only trial has the best value that there is."""
        prepared = prepare(write(self.folder, {**STUDY, "name": name, **changes}), self.folder / "cache")
        data.prepare(prepared.data, prepared.split, self.folder / "cache")
        with Store(self.url, create=True) as store:
            store.create(
                prepared.definition, spaces=prepared.spaces, data=prepared.record, versions=installed(prepared.spaces)
            )
            claims = Claims(store, name, "a", FAST)
            claims.finish(claimed(claims), completed(1.0))
        return prepared

    def arguments(self, *args: str) -> list[str]:
        """The command line."""
        places = {"storage": self.url, "artifacts": str(self.folder / "artifacts"), "cache": str(self.folder / "cache")}
        return ["evaluate", *args, "--lease", "3", "--renew", "0.3", *(f"--{k}={v}" for k, v in places.items())]

    def evaluate(self, *args: str) -> Run:
        """The command in this process."""
        return call(*self.arguments(*args))

    def trained(self) -> list[tuple[str, int, int, float | None]]:
        """(study, number, attempt, end) of all trials of the evaluation."""
        with Store(self.url) as store:
            names = [name for name in store.names() if "/" in name]
            return [(name, t.number, t.attempt, t.finished_at) for name in names for t in store.trials(name)]


@pytest.fixture(scope="module")
def leaky(tmp_path_factory: pytest.TempPathFactory) -> Leaky:
    """The study."""
    return Leaky(tmp_path_factory.mktemp("leaky"))


@pytest.fixture(scope="module")
def killed(leaky: Leaky) -> list[tuple[str, int, int, float | None]]:
    """The evaluation, killed with its whole group when it had just begun to open the test part. What was trained."""
    command = [sys.executable, "-m", "hpo.cli", *leaky.arguments("leaky", "--seeds", "2", "--workers", "2")]
    process = subprocess.Popen(command, start_new_session=True)
    sha256 = data.sha256_of_test(leaky.prepared.data.sha256, leaky.folder / "cache")
    deadline = time.monotonic() + 250
    try:
        with Store(leaky.url) as store:
            while not openings(store, sha256 or ""):
                assert process.poll() is None, "it ended without an opening"
                assert time.monotonic() < deadline
                time.sleep(0.02)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert process.returncode == -signal.SIGKILL, "it was over before the kill"
    return leaky.trained()


@pytest.fixture(scope="module")
def report(leaky: Leaky, killed: object) -> Any:
    """What the command finds out afterwards, asked for the ranking alone: the look is spent, and so it is finished."""
    run = leaky.evaluate("leaky", "--seeds", "2", "--no-test", "--json")
    assert run.code == 0, run.err
    assert "the test part was opened for this evaluation: that look is finished now" in run.err
    return run.json()


def test_a_killed_evaluation_finishes_its_own_opening(leaky: Leaky, killed: object, report: Any) -> None:
    """Nothing is trained again, and the look that was begun is the only one."""
    assert leaky.trained() == killed
    assert [(name, number, attempt) for name, number, attempt, _ in leaky.trained()] == [
        (f"leaky/{sibling}", number, 1) for sibling in ("evaluate", "refit") for number in (0, 1)
    ]
    assert len(report["test"]["openings"]) == 1
    assert report["test"]["openings"][0]["study"] == "leaky"
    assert "opened once" in "\n".join(sentences(report))


def test_the_leak_shows_as_optimism(report: Any) -> None:
    """Validation is perfect, the test is not: said in numbers, and in words that name what to look for."""
    assert report["optimism"]["promised"] == 1.0
    assert report["configurations"][0]["validation"]["mean"] == 1.0
    assert 0.3 < report["test"]["mean"] < 0.7
    assert report["optimism"]["search"] == pytest.approx(1.0 - report["test"]["mean"])
    assert report["optimism"]["beyond"]
    said = "\n".join(sentences(report))
    assert "Optimism: the search had promised 1.0000, 0." in said
    assert "too good" in said
    assert "Validation promises more than chance explains" in said
    assert "a leak: a channel that knows the label" in said


def test_the_test_score_has_all_its_parts(report: Any) -> None:
    """Per seed, per class, per person, with an interval over people and seeds, and a matrix summed over seeds."""
    test = report["test"]
    assert (test["n"], test["windows"], test["groups"]) == (2, TEST_WINDOWS, GROUPS)
    assert [row["test"] for row in report["per_seed"]] == test["values"]
    assert [row["validation"] for row in report["per_seed"]] == [1.0, 1.0]
    assert test["mean"] == pytest.approx(np.mean(test["values"]))
    assert (test["interval"]["over"], test["interval"]["units"], test["interval"]["seeds"]) == ("groups", GROUPS, 2)
    assert test["interval"]["low"] < test["mean"] < test["interval"]["high"]
    assert np.sum(test["confusion_matrix"]) == 2 * TEST_WINDOWS
    assert set(test["per_group"]) == {str(group) for group in range(GROUPS)}
    assert {row["windows"] for row in test["per_class"].values()} == {TEST_WINDOWS // 2}
    assert report["refit"]["n"] == 2
    assert 1 <= report["refit"]["epochs"] <= 6
    assert report["seconds"].keys() == {"search", "evaluate", "refit"}


def test_it_says_that_baselines_are_not_beaten(report: Any) -> None:
    """Each is there or says why not; the best of them is not beaten by noise, and neither is the majority class."""
    names = {row["name"]: row for row in report["baselines"]}
    assert names["majority class"]["accuracy"] == 0.5
    assert names["1-nearest neighbour, DTW"].keys() >= {"accuracy", "balanced_accuracy", "seconds", "over_majority"}
    assert "9 time steps" in names["MiniRocket"]["left_out"]
    said = "\n".join(sentences(report))
    assert "The winner does not beat the best baseline" in said
    assert "beats always saying the most frequent class" in said


def test_shown_again_it_is_the_same(leaky: Leaky, report: Any) -> None:
    """The same command opens nothing: it shows what was found, as JSON and as tables."""
    assert leaky.evaluate("leaky", "--seeds", "2", "--json").json() == report
    page = leaky.evaluate("leaky", "--seeds", "2").out
    for words in (
        "the winner's seed",
        "class (test)",
        "group (test)",
        "true class, all 2 seeds",
        "the winner is ahead by",
    ):
        assert words in page


def test_other_commands_tell_it(leaky: Leaky, report: Any) -> None:
    """Status and export have the test score with its interval, and how often the test part was opened."""
    status = call("status", "leaky", "--storage", leaky.url).out
    assert "on the test part (95 % interval" in status
    assert "opened once" in status
    exported = call("export", "leaky", "--storage", leaky.url).json()
    assert (exported["chosen_by"], exported["trial"]) == ("evaluate", 0)
    assert exported["evaluation"]["test"]["mean"] == report["test"]["mean"]
    assert exported["evaluation"]["opened"] == 1


def test_given_away_it_names_nobody(leaky: Leaky, report: Any) -> None:
    """Neither who opened the test part nor the folder of the study's file; the data's hashes stay."""
    (opening,) = report["test"]["openings"]
    given = without_names(report)
    for name in (opening["who"], str(leaky.folder)):
        assert name in json.dumps(report), "else this would say nothing"
        assert name not in json.dumps(given)
    assert given["data"]["sha256"] == report["data"]["sha256"]
    untested = {**report, "test": None, "openings": [opening]}
    assert opening["who"] not in json.dumps(without_names(untested))


def test_a_second_look_is_refused(leaky: Leaky, report: Any) -> None:
    """With other seeds, and under another study's name with another split: exit code 2, before anything is trained."""
    leaky.searched("other", split={"by": "group", "validation": 0.25, "seed": 1})
    before = leaky.trained()
    for args in (["leaky", "--seeds", "3"], ["other", "--seeds", "1"]):
        run = leaky.evaluate(*args)
        assert run.code == 2
        assert "was opened before, by study 'leaky'" in run.err
        assert "--again opens it once more" in run.err
    assert leaky.trained() == before
    assert leaky.evaluate("leaky", "--seeds", "2", "--json").json() == report, "what was found is not lost by that"


def test_again_is_shown_for_ever(leaky: Leaky, report: Any) -> None:
    """With --again the models at hand are scored once more, and every report counts the looks from then on."""
    before = leaky.trained()
    again = leaky.evaluate("leaky", "--seeds", "2", "--again", "--json").json()
    assert leaky.trained() == before, "what is trained is used"
    assert again["test"]["values"] == report["test"]["values"]
    assert "The test part was opened 2 times: leaky, " in "\n".join(sentences(again))
    assert len(leaky.evaluate("leaky", "--seeds", "2", "--json").json()["test"]["openings"]) == 2


def test_of_two_at_once_one_may_look(leaky: Leaky, report: Any) -> None:
    """The record is made under a lock: whoever comes second is refused, unless it is for the same purpose."""
    with Store(leaky.url) as store:
        sha256 = "f" * 64
        first = open_once(store, sha256, study="a", purpose="p", who="me@here", again=False)
        assert open_once(store, sha256, study="a", purpose="p", who="me@here", again=False) == first
        with pytest.raises(UsageError, match=r"opened before, by study 'a' \(me@here, \d{4}-"):
            open_once(store, sha256, study="b", purpose="q", who="me@here", again=False)
        assert len(open_once(store, sha256, study="b", purpose="q", who="me@here", again=True)) == 2

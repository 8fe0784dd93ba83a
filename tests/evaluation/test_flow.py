"""The command from the plan to the winner, with real processes that train nothing; see tests/fake_server.py."""

import os
import signal
from typing import Any

import pytest

from hpo import data
from hpo.evaluation.flow import optimism
from hpo.evaluation.plan import make_plan, sibling
from hpo.evaluation.ranking import Ranked
from hpo.store import give, open_once
from tests.cli.run import call
from tests.evaluation import made
from tests.evaluation.conftest import Searched


def test_the_best_configurations_are_trained_on_fresh_seeds(searched: Searched) -> None:
    """Top times seeds trials, each started once; the winner has the best mean; the study stays as it was."""
    before = searched.store.status("s"), searched.store.trials("s")
    report = searched.report("--top", "2", "--seeds", "2")
    assert [trial.state for trial in searched.trials()] == ["complete"] * 4
    assert sorted(searched.starts()) == [(n, 1) for n in range(4)]
    assert len(report["configurations"]) == 2
    means = [c["validation"]["mean"] for c in report["configurations"]]
    assert means == sorted(means, reverse=True)
    assert report["winner"] == report["configurations"][0]["configuration"]
    seeds = {trial.seed for trial in searched.trials()}
    assert seeds == set(report["seeds"])
    assert not seeds & {trial.seed for trial in searched.store.trials("s")}
    after = searched.store.status("s"), searched.store.trials("s")
    assert after == (before[0].model_copy(update={"at": after[0].at}), before[1])  # but for the moment of the look


def test_other_commands_know_the_winner(searched: Searched) -> None:
    """Before, the search's best is exported; after it, the winner, unless one asks for another trial."""

    def export(*args: str) -> Any:
        return call("export", "s", *args, "--storage", searched.url).json()

    assert export()["chosen_by"] == "search"
    assert "evaluation" not in export()
    report = searched.report("--top", "4", "--seeds", "1")
    winner = report["configurations"][0]
    found = export()
    assert (found["chosen_by"], found["trial"]) == ("evaluate", winner["trial"])
    assert found["trial"] != searched.store.status("s").best.trial, "else this would say nothing"  # type: ignore[union-attr] # there is one
    assert found["evaluation"]["validation"]["mean"] == winner["validation"]["mean"]
    assert (found["evaluation"]["test"], found["evaluation"]["opened"]) == (None, 0)
    assert export("--trial", "0")["chosen_by"] == "trial"
    sha256 = report["test_sha256"]
    open_once(searched.store, sha256, study="other", purpose="p", who="me@here", again=False)
    assert call("status", "s", "--json", "--storage", searched.url).json()["evaluation"]["opened"] == 1
    assert searched.report("--top", "4", "--seeds", "1")["openings"][0]["study"] == "other"
    status = call("status", "s", "--storage", searched.url)
    assert f"evaluated  trial {winner['trial']}: accuracy " in status.out
    assert call("status", "s", "--json", "--storage", searched.url).json()["evaluation"] == export()["evaluation"]


def test_the_search_promised_its_best_value(searched: Searched) -> None:
    """Whichever configuration wins on fresh seeds: the luck of the one that the search liked best counts."""
    plan = make_plan(searched.store.study("s"), searched.store.trials("s"), top=2, seeds=1)
    lucky, other = plan.configurations
    lucky, other = lucky.model_copy(update={"value": 0.99}), other.model_copy(update={"value": 0.80})
    test, winner = made.report(0.8, 0.6)["test"], Ranked(other, (None,))
    found = optimism(plan.model_copy(update={"configurations": (lucky, other)}), winner, 8, test, "accuracy")
    assert found["promised"] == 0.99
    assert found["search"] == pytest.approx(0.99 - test["mean"])


def test_a_look_of_an_older_hpo_counts(searched: Searched) -> None:
    """It has the name that the test part had then: the second look is refused, and reports list the first one."""
    former = data.former_sha256_of_test(searched.store.study("s").data.sha256, searched.cache)
    assert former is not None
    open_once(searched.store, former, study="other", purpose="p", who="me@here", again=False)
    for args in (["--dry-run"], []):
        run = call("evaluate", "s", *searched.places(), *args)
        assert run.code == 2
        assert "was opened before, by study 'other'" in run.err
    assert searched.starts() == []
    report = searched.report("--top", "1", "--seeds", "1")
    assert report["test_sha256"] != former
    assert [look["study"] for look in report["openings"]] == ["other"]


def test_again_it_only_shows_what_was_found(searched: Searched) -> None:
    """The same command trains nothing and says the same; more seeds are added to those that are there."""
    first = searched.report("--top", "2", "--seeds", "2")
    assert searched.report("--top", "2", "--seeds", "2") == first
    assert len(searched.starts()) == 4
    more = searched.report("--top", "2", "--seeds", "3")
    assert len(searched.starts()) == 6
    assert more["seeds"][:2] == first["seeds"]


def test_a_killed_evaluation_goes_on(searched: Searched) -> None:
    """SIGKILL of the whole group in the middle: what was recorded is kept, what ran is trained again, no more."""
    searched.plan(pause=0.5)
    process = searched.process("--top", "2", "--seeds", "3", "--workers", "2")
    searched.wait_for_starts(4)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    done = {trial.number for trial in searched.trials() if trial.state == "complete"}
    assert 2 <= len(done) < 6
    searched.plan()
    report = searched.report("--top", "2", "--seeds", "3", "--workers", "2")
    assert [c["validation"]["n"] for c in report["configurations"]] == [3, 3]
    attempts = {number: [a for n, a in searched.starts() if n == number] for number in range(6)}
    assert all(attempts[number] == [1] for number in done)
    assert all(len(attempts[number]) <= 2 for number in range(6))
    assert len(searched.trials()) == 6


def test_a_killed_one_keeps_its_configurations_and_any_worker_helps(searched: Searched) -> None:
    """What the search finds in between changes nothing. A worker trains it as well; a stopped one is taken up again."""
    searched.plan(pause=30)
    process = searched.process("--top", "1", "--seeds", "2", "--workers", "1")
    searched.wait_for_starts(1)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    (begun,) = {trial.given.configuration for trial in searched.trials() if trial.given}
    study = searched.store.optuna_study(searched.store.study("s"))
    better = study.ask()
    better.suggest_float("learning_rate", 1e-4, 1e-1, log=True)
    study.tell(better, 0.999)
    searched.plan()
    assert call("worker", "s/evaluate", "--slots", "1", *searched.places()).code == 0
    starts = len(searched.starts())
    report = searched.report("--top", "1", "--seeds", "2")
    assert (report["winner"], report["configurations"][0]["validation"]["n"]) == (begun, 2)
    assert len(searched.starts()) == starts
    assert call("stop", "s/evaluate", "--storage", searched.url).code == 0
    assert searched.report("--top", "1", "--seeds", "3")["configurations"][0]["validation"]["n"] == 3


def test_a_bug_is_tried_again_by_the_same_command(searched: Searched) -> None:
    """The failure is shown with exit code 5, and a new trial takes its place when asked again."""
    searched.plan(bug=[1])
    run = searched.evaluate("--top", "1", "--seeds", "2")
    assert run.code == 5
    assert "planted bug" in run.err
    searched.plan()
    assert searched.report("--top", "1", "--seeds", "2")["configurations"][0]["validation"]["n"] == 2
    assert [trial.state for trial in searched.trials()] == ["complete", "fail", "complete"]


def test_the_plan_changes_nothing(searched: Searched) -> None:
    """A dry run says what would be trained, and leaves no study behind."""
    plan = searched.report("--top", "3", "--seeds", "4", "--dry-run")
    assert (plan["trainings"], plan["done"]) == (12, 0)
    assert len(plan["configurations"]) == 3
    assert searched.store.names() == ["s"]
    assert (
        "each with 4 fresh seeds: 12 trainings, 0 done"
        in searched.evaluate("--top", "3", "--seeds", "4", "--dry-run").out
    )


def test_the_plan_promises_no_second_look(searched: Searched) -> None:
    """A dry run refuses what the evaluation would refuse: a test part that was opened for another study."""
    sha256 = data.sha256_of_test(searched.store.study("s").data.sha256, searched.cache)
    assert sha256 is not None
    open_once(searched.store, sha256, study="other", purpose="p", who="me@here", again=False)
    command = ("evaluate", "s", *searched.places(), "--dry-run")
    run = call(*command)
    assert (run.code, run.out) == (2, "")
    assert "this test part was opened before, by study 'other'" in run.err
    assert call(*command, "--no-test").code == call(*command, "--again").code == 0


def test_the_plan_of_what_has_ended(searched: Searched) -> None:
    """A dry run says that nothing would be trained, and that the report would be shown."""
    asked = ("--top", "1", "--seeds", "2")
    begun = searched.report(*asked, "--dry-run")
    assert (begun["ended"], begun["trainings"], begun["done"]) == (False, 2, 0)
    assert begun["seconds"] > 0
    searched.report(*asked)
    plan = searched.report(*asked, "--dry-run")
    assert (plan["ended"], plan["trainings"], plan["done"], plan["refits"], plan["seconds"]) == (True, 2, 2, 0, 0)
    assert "this evaluation has ended, and its report would be shown" in searched.evaluate(*asked, "--dry-run").out


def test_part_of_an_evaluation_is_not_evaluated(searched: Searched) -> None:
    """The message names the study that is meant."""
    record = searched.store.study("s")
    give(searched.store, sibling(record, "evaluate"), [], spaces=record.spaces, data=record.data, versions={})
    run = call("evaluate", "s/evaluate", *searched.places())
    assert run.code == 2
    assert "`hpo evaluate s` evaluates 's'" in run.err

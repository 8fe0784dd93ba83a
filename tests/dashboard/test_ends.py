"""What a page that stays open gets to know of trials that end, as the front-end asks: from the first running one on."""

import math
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import optuna
import pytest

from hpo.store import Claim, Claims, Store
from hpo.trial import Cause, Result
from tests.dashboard.client import Client
from tests.dashboard.place import RESULT, STUDY, Place, open_place, write_files
from tests.support import FAST, claimed

NUMBER = 2  # of the trial that tests let end
FILES = ["curves.json", "log.txt", "report.json"]
KILLED = Result(cause=Cause.STALLED, detail="nothing was heard of it for 60 s")


@dataclass
class Scene:
    """A dashboard and a worker whose trial is running.

    Attributes:
        later: seconds that the dashboard's moment is after the worker's.
    """

    folder: Path
    claims: Claims
    claim: Claim
    later: float = 0.0
    place: Place = field(init=False)

    def __post_init__(self) -> None:
        self.place = open_place(self.folder, now=lambda: time.time() + self.later)

    def finish(self, result: Result) -> None:
        """The trial ends; its files are still on their way."""
        self.claims.finish(self.claim, result)

    def deliver(self) -> None:
        """They are there."""
        write_files(self.folder / "artifacts" / self.claim.artifacts, "s", NUMBER)

    def kept(self) -> int:
        """How many trials are made no more."""
        return len(self.place.house._views[STUDY]._ended)


class Page:
    """A page that somebody opens and leaves open."""

    def __init__(self, scene: Scene) -> None:
        self._house = scene.place.house
        self._client: Client = scene.place.client("vera")
        self._trials: list[dict[str, Any]] = []

    def ask(self, *, read: bool = True) -> tuple[str, bool, list[str]]:
        """Asks for what is new, and tells of the trial: state, whether its note knows the end, files.

        Args:
            read: whether it is time for our records to be read anew.
        """
        for view in self._house._views.values():
            view._read_again = 0.0 if read else math.inf
        running = (i for i, trial in enumerate(self._trials) if trial["state"] in ("Running", "Waiting"))
        known = next(running, len(self._trials))
        self._trials[known:] = self._client.get(f"/api/studies/{STUDY}?after={known}").json["trials"]
        trial = self._trials[NUMBER]
        names = [artifact["filename"] for artifact in trial["artifacts"]]
        return trial["state"], "not yet" not in trial["note"]["body"], names


@pytest.fixture
def scene(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    """Optuna Dashboard, which else keeps trials in memory for two seconds, asks each time."""
    monkeypatch.setattr("optuna_dashboard._storage.timedelta", lambda **_: timedelta(0))
    folder = tmp_path / "place"
    shutil.copytree(made, folder)
    with Store(f"sqlite:///{folder / 'hpo.db'}") as store:
        with store.rdb.engine.begin() as connection:  # the worker that had it is lost
            connection.exec_driver_sql("update hpo_trials set expires_at = 1 where expires_at is not null")
        claims = Claims(store, "s", "other", FAST)
        claims.roster.join(host="node", pid=2, slots=1, lease=1e9)
        found = Scene(folder, claims, claimed(claims))
        assert found.claim.number == NUMBER
        yield found
        found.place.house.close()


def test_a_trial_that_ends_while_a_page_is_made(scene: Scene) -> None:
    """It ended after our records were read: it runs on for the page until they tell why and its files are there."""
    page = Page(scene)
    assert page.ask() == ("Running", False, [])
    scene.finish(RESULT)
    assert page.ask(read=False) == ("Running", False, [])
    assert page.ask() == ("Running", True, [])
    scene.deliver()
    assert page.ask(read=False) == ("Complete", True, FILES)
    assert page.ask() == ("Complete", True, FILES)


def test_files_that_do_not_come(scene: Scene) -> None:
    """A minute after its end a trial has ended for pages too, and is made no more; files that come later are seen by
    who opens a page, and looked for for an hour.
    """
    page = Page(scene)
    page.ask()
    scene.finish(RESULT)
    for scene.later, state, kept in ((0.0, "Running", 2), (30.0, "Running", 2), (61.0, "Complete", 3)):
        assert page.ask() == (state, True, [])
        assert scene.kept() == kept
    scene.later = 3500.0
    assert Page(scene).ask() == ("Complete", True, [])
    scene.deliver()
    assert Page(scene).ask() == ("Complete", True, FILES)
    assert scene.kept() == NUMBER + 1
    assert Page(scene).ask(read=False) == ("Complete", True, FILES)


def test_files_that_are_given_up(scene: Scene) -> None:
    """An hour after the end nobody looks any more: trials whose files lie elsewhere cost nothing."""
    page = Page(scene)
    scene.finish(RESULT)
    scene.later = 3601.0
    assert page.ask() == ("Complete", True, [])
    scene.deliver()
    assert Page(scene).ask() == ("Complete", True, [])
    assert scene.kept() == NUMBER + 1


def test_an_end_that_hpo_did_not_make(scene: Scene) -> None:
    """Somebody told Optuna: our records, read after that, know no cause, and the page does not wait for one."""
    page = Page(scene)
    page.ask()
    study = optuna.load_study(study_name="s", storage=f"sqlite:///{scene.folder / 'hpo.db'}")
    study.tell(NUMBER, state=optuna.trial.TrialState.FAIL)
    states = [page.ask(read=read)[0] for read in (False, False, True, False, True)]
    assert states == ["Running", "Running", "Fail", "Fail", "Fail"]
    assert [Page(scene).ask(read=read)[0] for read in (False, True)] == ["Fail", "Fail"]


def test_a_killed_trial_has_a_log(scene: Scene) -> None:
    """It is all that there will be: with it, the trial has ended for pages."""
    page = Page(scene)
    folder = scene.folder / "artifacts" / scene.claim.artifacts
    folder.mkdir()
    (folder / "log.txt").write_text("a line\n")
    scene.finish(KILLED)
    assert page.ask() == ("Pruned", True, ["log.txt"])
    assert scene.kept() == NUMBER + 1

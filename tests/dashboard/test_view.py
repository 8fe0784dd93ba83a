"""What one sees of a study besides what Optuna Dashboard knows, and that looking changes nothing."""

import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import optuna as optuna_library
import pytest

from hpo.curves import CURVES, REPORT
from hpo.dashboard import files, notes
from hpo.dashboard.house import House
from hpo.dashboard.wire import whole
from hpo.evaluation.plan import sibling
from hpo.space import Params
from hpo.store import Claims, Given, Store, give
from hpo.study_file import SIBLINGS
from tests.dashboard.client import Client
from tests.dashboard.place import ENDED, PRUNED, RUNNING, STUDY, Place, Stepped
from tests.support import FAST, claimed, completed, copies, create, definition, open_store, record


def study(client: Client, after: int = 0) -> Any:
    """The study as the front-end gets it."""
    return client.get(f"/api/studies/{STUDY}?after={after}").json


def test_optuna_dashboards_words_stay(place: Place, optuna: Client) -> None:
    """All that Optuna Dashboard says of a study and its trials is there; ours comes on top."""
    ours, theirs = study(place.client("vera")), study(optuna)
    assert theirs.keys() - ours.keys() == set()
    for name in theirs.keys() - {"trials", "best_trials", "note", "plotly_graph_objects", "union_user_attrs"}:
        assert ours[name] == theirs[name]
    assert len(ours["trials"]) == len(theirs["trials"]) == 3
    for mine, bare in zip(ours["trials"], theirs["trials"], strict=True):
        assert {name for name in bare if mine[name] != bare[name]} <= {"note", "artifacts", "user_attrs"}
        assert mine["user_attrs"][: len(bare["user_attrs"])] == bare["user_attrs"]
    assert ours["best_trials"] == [ours["trials"][ENDED]]
    assert ours["objective_names"] == ["accuracy"]


def test_the_list_of_studies_is_read_behind_those_who_look(place: Place) -> None:
    """A new study stands in the list two seconds later, and nobody who looks asks the database."""
    stepped, url = Stepped(), f"sqlite:///{place.folder / 'hpo.db'}"
    stored = copies(place.folder / "artifacts")
    house = House(lambda: Store(url, read_only=True), lambda: Store(url), stored, stepped.wait)

    def names() -> list[str]:
        return [study["study_name"] for study in json.loads(whole(house.studies()))["study_summaries"]]

    before = names()
    with Store(url) as store:
        create(store, definition(name="new"), record())
    assert names() == before
    stepped.step()
    stepped.waits.put(stepped.waits.get(timeout=30))  # it has read, and waits again
    assert names() == [*before, "new"]
    stepped.step(gone=True)
    house.close()


def test_a_study_has_a_note_that_keeps_itself_current(place: Place) -> None:
    """Data, split, budget, best, ends by cause, workers, evaluation and what to do next; a trial later it says so."""
    client = place.client("vera")
    body = study(client)["note"]["body"]
    for words in (
        "toy: 67 windows of 24 steps x 1 channels, 2 classes",
        "by stratified, 20% held out, seed 0",
        "2 of 5 trials",
        "accuracy 0.8750, trial 0",
        "1 complete, 1 pruned, 0 failed (of these 1 out of memory); 1 running",
        "1 alive: node",
        "not yet",
        "`hpo export s -o best.json`",
    ):
        assert words in body.replace(r"\(", "(").replace(r"\)", ")"), body
    with Store(f"sqlite:///{place.folder / 'hpo.db'}") as store:
        claims = Claims(store, "s", "other", FAST)
        claims.finish(claimed(claims), completed(0.9))
    place.house._views.clear()  # instead of waiting until it looks again
    assert "3 of 5 trials" in study(client)["note"]["body"]


def test_a_trial_says_how_it_ended(place: Place) -> None:
    """The reason, seconds, memory and its pictures; a message of the trial is shown as it is, and is no markup."""
    trials = study(place.client("vera"))["trials"]
    body = trials[ENDED]["note"]["body"]
    assert "| ended | **completed** |" in body
    assert "300 MiB" in body
    assert "fit 1.0 s" in body
    assert re.findall(r"!\[([^]]+)\]", body)[:2] == ["learning curves", "confusion matrix"]
    assert {"key": "memory MiB", "value": "300"} in trials[ENDED]["user_attrs"]
    assert [artifact["filename"] for artifact in trials[ENDED]["artifacts"]] == [
        "curves.json",
        "log.txt",
        "report.json",
    ]
    lost = trials[PRUNED]["note"]["body"]
    assert "**out of memory**" in lost
    assert "```\nno memory for `this`\n| at all |\n```" in lost
    assert "not yet: running" in trials[RUNNING]["note"]["body"]


def test_the_front_end_gets_what_is_new(place: Place) -> None:
    """From a trial's number on, as Optuna Dashboard has it; ended ones come from memory, word for word the same."""
    client = place.client("vera")
    first, again = study(client), study(client)
    assert again == first
    assert [trial["number"] for trial in study(client, after=1)["trials"]] == [PRUNED, RUNNING]
    assert client.get(f"/api/studies/{STUDY}?after=-1").status == 400
    assert client.get("/api/studies/999999").status == 404


def test_pictures_are_drawn_from_a_trials_files(place: Place) -> None:
    """Curves of each metric, the confusion matrix, scores by class: each an SVG by itself, without a script."""
    client = place.client("vera")
    said = re.findall(r"\((/hpo/[^)]*)\)", study(client)["trials"][ENDED]["note"]["body"])
    assert len(said) == 3  # no groups: the study is split by class
    drawn = {}
    for address in [*said, f"/hpo/{STUDY}/{ENDED}/groups.svg"]:
        reply = client.get(address)
        assert reply.header("Content-Type") == "image/svg+xml"
        ElementTree.fromstring(reply.text)  # noqa: S314 - our own
        assert "<script" not in reply.text
        drawn[address.rpartition("/")[2]] = reply.text
    assert "loss" in drawn["curves.svg"]
    assert "accuracy" in drawn["curves.svg"]
    assert "predicted class" in drawn["confusion.svg"]
    assert client.get(f"/hpo/{STUDY}/{RUNNING}/curves.svg").status == 404
    assert client.get(f"/hpo/{STUDY}/{ENDED}/other.svg").status == 404


@pytest.mark.parametrize("content", ["", "[]", '{"folds": 3', "\x00"])
def test_half_a_file_is_no_picture(place: Place, content: str) -> None:
    """A file that is not what a trial writes is no picture, and no error of the dashboard's."""
    (place.folder / "artifacts" / "s" / "0" / "curves.json").write_text(content)
    assert place.client("vera").get(f"/hpo/{STUDY}/{ENDED}/curves.svg").status == 404


def test_study_plots(place: Place) -> None:
    """Cost against score and the infeasible share are among the plots, as plotly's JSON that the front-end draws."""
    plots = {
        plot["id"]: json.loads(plot["graph_object"]) for plot in study(place.client("vera"))["plotly_graph_objects"]
    }
    assert set(plots) == {"hpo-cost", "hpo-infeasible"}
    assert plots["hpo-infeasible"]["data"][0]["y"] == [0.0, 0.5]
    assert plots["hpo-cost"]["data"][0]["y"] == [0.875]


def test_an_editors_note_stands_below_ours(place: Place) -> None:
    """What an editor saves is kept without our part, which is made anew with each look; a trial's note as well."""
    client = place.client("anna")
    shown = study(client)["note"]
    saved = {"version": shown["version"] + 1, "body": shown["body"] + "my own words"}
    done = client.ask("PUT", f"/api/studies/{STUDY}/note", saved)
    assert (done.status, done.json) == (200, {})  # the front-end reads JSON out of it
    assert client.ask("PUT", f"/api/studies/{STUDY}/note", saved).status == 409  # somebody else was quicker
    trial = study(client)["trials"][ENDED]
    saved = {"version": 1, "body": "of the trial\n" + trial["note"]["body"]}
    assert client.ask("PUT", f"/api/studies/{STUDY}/{trial['trial_id']}/note", saved).status == 200
    with Store(f"sqlite:///{place.folder / 'hpo.db'}", read_only=True) as store:
        attributes = store.rdb.get_study_system_attrs(STUDY)
    assert attributes["dashboard:note_str:0"] == "my own words"
    assert attributes[f"dashboard:{trial['trial_id']}:note_str:0"] == "of the trial"
    place.house._views[STUDY]._read_again = 0.0  # instead of waiting until it looks again
    shown = study(client)
    assert shown["note"]["body"].endswith("my own words")
    assert shown["trials"][ENDED]["note"]["body"].endswith("of the trial")
    lines = [json.loads(line) for line in (place.folder / "audit").read_text().splitlines()]
    assert [(line["user"], line["what"], line["status"]) for line in lines] == [
        ("anna", "login", 303), ("anna", "note", 200), ("anna", "note", 409), ("anna", "note", 200),
    ]  # fmt: skip


def test_an_editor_sets_attributes_of_a_running_trial(place: Place) -> None:
    """Of one that has ended Optuna keeps them; names that workers read are refused."""
    client = place.client("anna")
    ids = {trial["number"]: trial["trial_id"] for trial in study(client)["trials"]}
    address = "/api/trials/{}/user-attrs"
    assert client.ask("POST", address.format(ids[RUNNING]), {"user_attrs": {"seen": "yes"}}).status == 200
    assert client.ask("POST", address.format(ids[ENDED]), {"user_attrs": {"seen": "yes"}}).status == 409
    assert client.ask("POST", address.format(ids[RUNNING]), {"user_attrs": {"given": "{}"}}).status == 403
    assert client.ask("POST", address.format(99), {"user_attrs": {"seen": "yes"}}).status == 404


@pytest.mark.usefixtures("quiet")
def test_a_study_that_is_not_hpos_is_shown_as_it_is(place: Place) -> None:
    """Optuna's own studies in the same database, without our part."""
    made = optuna_library.create_study(storage=f"sqlite:///{place.folder / 'hpo.db'}", study_name="plain")
    client = place.client("vera")
    listed = {study["study_name"]: study["study_id"] for study in client.get("/api/studies").json["study_summaries"]}
    assert set(listed) == {"s", "plain"}
    assert client.get(f"/api/studies/{made._study_id}").json["note"] == {
        "version": 0,
        "body": "",
    }  # as the front-end knows it


def test_a_number_that_comes_again_is_another_study(place: Place) -> None:
    """SQLite gives a deleted study's number to the next one: nothing of the old one is shown."""
    client = place.client("vera")
    assert len(study(client)["trials"]) == 3
    with Store(f"sqlite:///{place.folder / 'hpo.db'}") as store:
        store.rdb.delete_study(STUDY)
        with store.rdb.engine.begin() as connection:
            connection.exec_driver_sql("delete from hpo_studies")
            connection.exec_driver_sql("delete from hpo_trials")
        create(store, definition("new"), record())
        assert store.study("new").study_id == STUDY
    assert study(client)["name"] == "new"
    assert [trial["state"] for trial in study(client)["trials"]] == ["Waiting"]


def test_notes_survive_their_way_back() -> None:
    """What somebody wrote above and below our part is kept, however often it is saved; ours is not."""
    mine = "above\n\nbelow *it*"
    once = notes.own("above\n" + notes.composed("ours", "below *it*"))
    assert once.split() == mine.split()
    assert notes.own(notes.composed("new", once)) == once
    assert notes.own(notes.composed("ours\r\nof two lines", "mine").replace("\r", "")) == "mine"
    assert notes.own(notes.composed("ours", "mine") + "\n" + notes.composed("ours of yesterday", "more")).split() == [
        "mine",
        "more",
    ]
    assert notes.own("no part of ours at all") == "no part of ours at all"


WHOLE = notes.composed("| a | table |\n| of | ours |", "a long analysis of mine")
LINES = WHOLE.splitlines(keepends=True)


@pytest.mark.parametrize(
    "body",
    [
        WHOLE.replace(next(line for line in LINES if "(write below)" in line), ""),
        WHOLE.replace(LINES[0], ""),
        WHOLE.replace("| of |", "typed in between\n| of |"),
        WHOLE.replace("| of | ours |", ""),
        WHOLE.replace("keeps this part current: write below it;", "keeps this part current: write below it; my words"),
        WHOLE.replace("[//]: # (write below)", "[//]: # (write"),
        WHOLE + "\n" + LINES[0],
    ],
)
def test_no_words_are_lost_with_our_part(place: Place, body: str) -> None:
    """Where our part is not as we made it nothing is saved, the page is told why, and what was there stays."""
    client = place.client("anna")
    version = study(client)["note"]["version"]
    assert client.ask("PUT", f"/api/studies/{STUDY}/note", {"version": version + 1, "body": WHOLE}).status == 200
    reply = client.ask("PUT", f"/api/studies/{STUDY}/note", {"version": version + 2, "body": body})
    assert reply.status == 400  # with 409 the front-end would look for a newer note in the answer
    assert "load the page again" in reply.json["reason"]
    assert study(client)["note"]["body"].endswith("\na long analysis of mine")


@pytest.mark.parametrize(
    ("split", "folds", "words"),
    [
        ({"by": "stratified", "validation": 0.3}, 1, "by stratified, 30% held out, seed 0"),
        ({"by": "stratified", "folds": 5}, 5, "by stratified, 5 folds, seed 0"),
        ({"by": "predefined"}, 1, "by predefined, 1 fold `"),
        ({"by": "leave-one-group-out"}, 4, "by leave-one-group-out, 4 folds `"),
    ],
)
def test_the_note_names_the_share_that_was_drawn(tmp_path: Path, split: dict[str, Any], folds: int, words: str) -> None:
    """Where the data say who is held out, the keys `validation` and `seed` have no effect on it and are not shown."""
    with Store(f"sqlite:///{tmp_path / 'hpo.db'}", create=True) as store:
        create(store, definition(split=split), record().model_copy(update={"folds": folds}))
        made = store.study("s")
        assert words in notes.of_study(store.status("s"), made, None).replace("\\-", "-")


@pytest.mark.parametrize(
    ("stopping", "words"),
    [(0.0, "none: trained on all but the test part `"), (0.1, "all but the test part and the part that stops `")],
)
def test_the_note_of_an_evaluations_trainings(tmp_path: Path, stopping: float, words: str) -> None:
    """Refits know no folds and no validation part, and nobody is told to evaluate a part of an evaluation."""
    with Store(f"sqlite:///{tmp_path / 'hpo.db'}", create=True) as store:
        searched = definition(split={"by": "stratified", "folds": 5, "stopping": stopping})
        create(store, searched, record().model_copy(update={"folds": 5}))
        parent = store.study("s")
        for name in SIBLINGS:
            give(store, sibling(parent, name), [], spaces=parent.spaces, data=parent.data, versions={})
            made = store.study(f"s/{name}")
            note = notes.of_study(store.status(made.name), made, None).replace("\\-", "-")
            assert "part of | the evaluation of `s`" in note
            assert "hpo evaluate" not in note
            assert "hpo export" not in note
            assert (made.folds, words in note) == ((1, True) if name == "refit" else (5, False))


def test_scores_of_refits_are_no_validation_scores(tmp_path: Path) -> None:
    """Where no part was held out, note and pictures of a trial say that it has seen what it was scored on."""
    folder, store = tmp_path / "files", open_store(tmp_path)
    folder.mkdir()
    (folder / REPORT).write_text('{"classes": ["a", "b"], "confusion_matrix": [[1, 0], [0, 1]]}')
    (folder / CURVES).write_text('{"folds": [[{"accuracy": 0.5, "val_accuracy": 0.5}]]}')
    create(store, definition())
    parent = store.study("s")
    given: list[tuple[Given, Params]] = [(Given(configuration="c", index=0, seed=1), {"learning_rate": 0.01})]
    give(store, sibling(parent, "refit"), given, spaces=parent.spaces, data=parent.data, versions={})
    for name, seen in (("s", False), ("s/refit", True)):
        claims = Claims(store, name, "a", FAST)
        claims.finish(claimed(claims), completed(0.5).model_copy(update={"metrics": {"accuracy": 0.5}}))
        assert store.study(name).refits is seen
        texts = [
            notes.of_trial(store.trial(name, 0), [], seen=seen),
            *(files.picture(folder, f"{kind}.svg", "trial 0", seen=seen) or "" for kind in ("confusion", "curves")),
        ]
        assert [("seen" in text, "validation" in text) for text in texts] == [(seen, not seen)] * 3


def test_files_lead_nowhere_else(tmp_path: Path) -> None:
    """A folder outside of the artifacts, a link and a strange name are none of a trial's files."""
    root = tmp_path / "artifacts"
    (root / "s" / "0").mkdir(parents=True)
    (tmp_path / "secret").write_text("secret")
    (root / "s" / "0" / "link.txt").symlink_to(tmp_path / "secret")
    (root / "s" / "0" / ".hidden").write_text("")
    (root / "s" / "0" / 'a"b').write_text("")
    assert files.folder(root, root / "../secret") is None
    assert files.folder(root, root / "..") is None
    assert files.folder(root, tmp_path) is None
    place = files.folder(root, root / "s/0")
    assert place is not None
    assert files.listed(place) == []
    assert files.find(place, files.key("link.txt")) is None
    assert files.find(place, files.key("../../../secret")) is None

"""A real launch, from the study file to its export, and what others see of it."""

import io
import json
import re
from wsgiref.util import setup_testing_defaults

import optuna
import optuna_dashboard
import pytest

from tests.cli.run import Launched, read_notes, start


def test_it_ends_with_the_budget_and_the_best_parameters(launched: Launched) -> None:
    """Exit code 0; stdout has the end, the best parameters and the next commands, stderr each trial as it ended."""
    run = launched.run
    assert run.code == 0, run.err
    assert "study tiny: ended (trials used up). 2 complete, 0 pruned, 0 failed; budget 2 of 2 trials" in run.out
    assert re.search(r"best accuracy: 0\.\d{4} \(trial [01], lstm\)", run.out)
    assert "\n  learning_rate = " in run.out
    assert re.findall(r"^  (hpo \w+)", run.out, re.MULTILINE) == [
        "hpo status",
        "hpo show",
        "hpo evaluate",
        "hpo export",
    ]
    for number in (0, 1):
        assert re.search(rf"^trial {number}: completed 0\.\d+, 2 epochs in ", run.err, re.MULTILINE)
    assert "Traceback" not in run.out + run.err


def test_status_tells_what_the_design_promises(launched: Launched) -> None:
    """`hpo status --json` has every key that other programs may count on."""
    status = launched.call("status", "tiny", "--json").json()
    assert {"study", "state", "counts", "budget", "best", "failures", "workers", "seconds"} <= status.keys()
    assert status["counts"] == {"complete": 2, "pruned": 0, "fail": 0, "running": 0, "waiting": 0}
    assert status["budget"]["trials"] == {"used": 2, "limit": 2}
    assert {"trial", "value", "params"} <= status["best"].keys()
    assert status["failures"] == {}
    assert status["seconds"].keys() == {"training", "overhead"}
    assert status["state"] == "ended"


def test_export_tells_what_the_design_promises(launched: Launched) -> None:
    """`hpo export` has every promised key, for the best trial or another one; a file holds what stdout would."""
    best = launched.call("export", "tiny").json()
    wanted = {"study", "trial", "metric", "value", "model", "params", "train", "data", "versions"}
    assert wanted <= best.keys()
    assert best["params"].keys() == {"units", "layers", "bidirectional", "dropout", "pooling", "dense_units"}
    assert best["train"]["max_epochs"] == 2
    assert {"name", "sha256", "split_sha256"} <= best["data"].keys()
    assert {"hpo", "keras", "tensorflow", "numpy"} <= best["versions"].keys()
    status = launched.call("status", "tiny", "--json").json()
    assert (best["trial"], best["value"]) == (status["best"]["trial"], status["best"]["value"])
    other = launched.call("export", "tiny", "--trial", str(1 - best["trial"])).json()
    assert other["trial"] == 1 - best["trial"]
    file = launched.folder / "best.json"
    assert launched.call("export", "tiny", "-o", file).code == 0
    assert json.loads(file.read_text()) == best


def test_trials_can_be_looked_at(launched: Launched) -> None:
    """`show` has parameters, scores and hashes of a trial, `logs` what its process printed, `list` the study."""
    trial = launched.call("show", "tiny", "1", "--json").json()
    assert (trial["number"], trial["state"], trial["cause"], trial["attempt"]) == (1, "complete", "completed", 1)
    assert trial["params"].keys() >= {"learning_rate", "dropout"}
    assert trial["outcome"]["metrics"].keys() >= {"accuracy", "balanced_accuracy", "macro_f1", "auroc", "loss"}
    assert re.fullmatch("[0-9a-f]{64}", trial["outcome"]["weights_sha256"])
    log = launched.call("logs", "tiny", "1").out
    assert f"--- trial 1, attempt 1, seed {trial['seed']}" in log
    assert "--- completed: " in log
    (row,) = launched.call("list", "--json").json()
    assert (row["study"], row["state"]) == ("tiny", "ended")


def test_optuna_sees_the_same_study(launched: Launched) -> None:
    """Whoever loads the study with Optuna finds the same trials, values and best trial."""
    status = launched.call("status", "tiny", "--json").json()
    storage = optuna.storages.RDBStorage(launched.url)
    try:
        study = optuna.load_study(study_name="tiny", storage=storage)
        assert (study.best_trial.number, study.best_value) == (status["best"]["trial"], status["best"]["value"])
        assert study.best_params == status["best"]["params"]
        for trial in study.get_trials():
            shown = launched.call("show", "tiny", str(trial.number), "--json").json()
            assert (shown["value"], shown["params"]) == (trial.value, trial.params)
        assert len(study.get_trials()) == 2
    finally:
        storage.remove_session()
        storage.engine.dispose()


def test_the_bare_dashboard_shows_it(launched: Launched) -> None:
    """Optuna's own dashboard, which knows nothing of us, lists the study and its trials."""
    storage = optuna.storages.RDBStorage(launched.url)
    app = optuna_dashboard.wsgi(storage)

    def get(path: str) -> dict[str, object]:
        errors = io.StringIO()
        environment: dict[str, object] = {"PATH_INFO": path, "wsgi.errors": errors}
        setup_testing_defaults(environment)
        statuses: list[str] = []
        body = b"".join(app(environment, lambda status, *_: statuses.append(status)))
        assert statuses == ["200 OK"], errors.getvalue()
        answer: dict[str, object] = json.loads(body)
        return answer

    try:
        listed = get("/api/studies")["study_summaries"]
        assert isinstance(listed, list)
        (study,) = listed
        assert study["study_name"] == "tiny"
        trials = get(f"/api/studies/{study['study_id']}")["trials"]
        assert isinstance(trials, list)
        assert [trial["state"] for trial in trials] == ["Complete"] * 2
    finally:
        storage.remove_session()
        storage.engine.dispose()


def test_trials_never_open_the_test_part(launched: Launched) -> None:
    """The launching process, which parses the data, writes the test part; no process of a trial opens a file of it.

    That the trials' processes were watched is seen from their split parts, which they do open.
    """
    pids = {int(pid) for n in "01" for pid in re.findall(r"pid (\d+)", launched.call("logs", "tiny", n).out)}
    assert len(pids) == 2
    opened: dict[str, set[int]] = {}
    for note in launched.notes:
        if "opened" in note:
            opened.setdefault(note["opened"].split("/")[0], set()).add(note["pid"])
    assert pids <= opened["splits"]
    (launcher,) = {note["pid"] for note in launched.notes if note.get("program") == "cli.py"}
    assert opened["test"] == {launcher}


def test_the_same_study_gives_the_same_trials(launched: Launched, again: Launched) -> None:
    """In another folder, in other processes: same parameters and seeds, same weights and curves to the last bit."""

    def outcomes(one: Launched) -> list[object]:
        return [
            (t.number, t.params, t.seed, t.value, t.outcome.weights_sha256, t.outcome.curve_sha256)
            for t in one.store().trials("tiny")
            if t.outcome
        ]

    assert again.run.code == 0, again.run.err
    first, second = outcomes(launched), outcomes(again)
    assert first == second
    assert len(first) == 2


def test_the_log_can_be_json(again: Launched) -> None:
    """With `--log-format json` every line of stderr is an object with time, level and message; stdout is as it was."""
    lines = [json.loads(line) for line in again.run.err.splitlines()]
    assert {tuple(line) for line in lines} == {("time", "level", "message")}
    messages = [line["message"] for line in lines]
    assert messages[:2] == ["reading study.toml and its data ...", "study tiny: new"]
    assert [number for number in "01" for m in messages if m.startswith(f"trial {number}: completed")] == ["0", "1"]
    assert "best parameters:" in again.run.out.splitlines()


@pytest.mark.timeout(300)  # four commands that each start Python
def test_an_ended_study_stays_as_it_is(again: Launched) -> None:
    """Launched again, before and after a stop, and worked on: it has ended, exit code 0, not one trial more."""
    before = again.store().trials("tiny")
    for command in (["launch", "study.toml"], ["stop", "tiny"], ["worker", "tiny"], ["launch", "study.toml"]):
        notes = again.folder / f"notes-{command[0]}"
        run = start(again.folder, *command, notes=notes)
        assert run.code == 0, run.err
        assert "Traceback" not in run.out + run.err
        if command[0] == "launch":
            assert "study tiny: going on. 2 complete" in run.err
            assert "study tiny: ended (trials used up). 2 complete" in run.out
        assert "forkserver.py" not in {note.get("program") for note in read_notes(notes)}, "nothing was to be trained"
    assert again.store().trials("tiny") == before
    assert again.store().status("tiny").state == "ended"

"""What other commands say of a study that was evaluated: a few numbers of the report, and who won."""

from typing import Any

from hpo.store import Evaluations, Store, StudyRecord, openings


def evaluated(store: Store, record: StudyRecord) -> dict[str, Any] | None:
    """The evaluation that counts (`Evaluations.latest`), in short, JSON-ready; None where none has ended.

    Returns: `trial` (of the search, the winner's; None for a study that searches nothing and has no trial),
        `configuration`, `metric`, `validation` and `test` (mean, sd, n; `test` with low and high, or None if it was not
        opened), `verdict` on winner and runner-up, and `opened`: how often the test part was until now.
    """
    latest = Evaluations(store, record).latest()
    if latest is None or latest.report is None:
        return None
    report = latest.report
    best, test = report["configurations"][0], report["test"]
    opened = test["sha256"] if test else report.get("test_sha256")
    return {
        "trial": best["trial"],
        "configuration": best["configuration"],
        "metric": report["metric"],
        "validation": {key: best["validation"][key] for key in ("mean", "sd", "n")},
        "verdict": report["comparison"] and report["comparison"]["verdict"],
        "test": None
        if test is None
        else {
            **{key: test[key] for key in ("mean", "sd", "n")},
            **{key: test["interval"][key] for key in ("low", "high")},
        },
        "opened": len(openings(store, opened)) if opened else 0,
    }


def without_names(report: dict[str, Any]) -> dict[str, Any]:
    """The report of an evaluation without the names of users and machines, to be given away."""
    given = {**report, **_anonymous(report)}
    if report.get("test"):
        given["test"] = {**report["test"], **_anonymous(report["test"])}
    if report.get("data"):  # the folder of the study's file, which is often somebody's home
        given["data"] = {key: value for key, value in report["data"].items() if key != "base"}
    return given


def _anonymous(opened: dict[str, Any]) -> dict[str, Any]:
    return {"openings": [{**one, "who": "(left out)"} for one in opened["openings"]]} if "openings" in opened else {}

"""Mixed versions: a worker that would train by others than the study's is refused, unless somebody asks for it."""

from pathlib import Path

import pytest

from hpo.settings import Times
from hpo.store import Claims, Store
from hpo.versions import differences, installed
from tests.cli.run import call
from tests.support import SPACES, definition, open_store, record, work_off

HERE = installed(["lstm"])


@pytest.mark.parametrize(
    ("then", "now", "found"),
    [
        ({"keras": "3.15.1"}, {"keras": "3.15.9"}, []),
        ({"keras": "3.14.1"}, {"keras": "3.15.1"}, ["keras 3.14.1, here 3.15.1"]),
        ({"tensorflow": "2.21.0"}, {"tensorflow": "3.21.0"}, ["tensorflow 2.21.0, here 3.21.0"]),
        ({"hpo": "0.1.0"}, {"hpo": "0.2.0"}, ["hpo 0.1.0, here 0.2.0"]),
        ({"numpy": "1.26.0"}, {"numpy": "2.4.0"}, []),
        ({"tensorflow": "not installed"}, {"tensorflow": "2.21.0"}, []),
        ({}, {"keras": "3.15.1", "family lstm": "a" * 64}, []),
        (
            {"family lstm": "a" * 64, "family gru": "b" * 64},
            {"family lstm": "c" * 64, "family gru": "b" * 64},
            ["source of family lstm aaaaaaaaaaaa, here cccccccccccc"],
        ),
    ],
)
def test_what_differs(then: dict[str, str], now: dict[str, str], found: list[str]) -> None:
    """Minor versions of hpo, TensorFlow and Keras, and a family's source; not what one side does not know."""
    assert differences(then, now) == found


def test_what_is_installed() -> None:
    """The versions that decide an outcome, without an import; the hash of a family's source."""
    assert HERE["tensorflow"].startswith("2.")
    assert len(HERE["family lstm"]) == 64


def ended(tmp_path: Path, versions: dict[str, str]) -> Store:
    """A study with nothing left to train, created with these versions."""
    store = open_store(tmp_path)
    store.create(definition(budget={"trials": 1}), spaces=SPACES, data=record(), versions=versions)
    work_off(Claims(store, "s", "a", Times()))
    return store


OTHERS = {"tensorflow": "2.20.3", "keras": "3.1.0", "hpo": "0.0.9", "family lstm": "0" * 64}


@pytest.mark.parametrize("name", OTHERS)
def test_a_worker_of_other_versions_is_refused(tmp_path: Path, name: str) -> None:
    """Exit code 2, which no scheduler restarts; the message says what differs and what to do."""
    store = ended(tmp_path, HERE | {name: OTHERS[name]})
    run = call("worker", "s", "--storage", store.url, "--artifacts", tmp_path / "a", "--cache", tmp_path / "c")
    assert run.code == 2
    assert f"study 's' was created with {'source of ' if name.startswith('family') else ''}{name} " in run.err
    assert "say --allow-mixed" in run.err
    assert store.workers("s") == []


def test_mixed_versions_are_a_choice(tmp_path: Path) -> None:
    """With --allow-mixed the worker goes on, past the check, and says so; without a difference nothing is said."""
    store = ended(tmp_path, HERE | OTHERS)
    run = call("worker", "s", "--allow-mixed", "--storage", store.url, "--artifacts", tmp_path, "--cache", tmp_path)
    assert run.code == 3  # by the next check: this machine does not have the study's arrays
    assert "and --allow-mixed was said" in run.err

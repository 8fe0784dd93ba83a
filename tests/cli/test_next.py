"""The commands that a launch ends with: they work as they stand there."""

import shlex
import shutil
from pathlib import Path

import pytest

from hpo import launching
from hpo.launch import Wish
from hpo.prepare import Prepared
from hpo.store import Claims, Store
from tests.cli.run import TINY, Launched, Run, call
from tests.study.files import write
from tests.support import FAST, claimed, completed, create, definition, open_store, work_off


@pytest.fixture
def typed(launched: Launched, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A launch of the tiny study, with everything in places that have to be typed, and a space in their names."""
    monkeypatch.chdir(tmp_path)
    place = shutil.copytree(launched.folder / ".hpo", "of all")
    shutil.copy(launched.folder / "study.toml", "my study.toml")
    where = ["--storage", f"sqlite:///{place}/hpo.db", "--artifacts", f"{place}/artifacts", "--cache", f"{place}/cache"]
    return ["launch", "my study.toml", *where]


def commands(run: Run) -> list[list[str]]:
    """What is to be typed next, as a shell understands it."""
    lines = run.out.partition("\nnext")[2].splitlines()
    return [shlex.split(line) for line in lines if line.startswith("  hpo ")]


def test_next_commands_work_as_they_are_printed(typed: list[str]) -> None:
    """Each can be pasted into a shell, and finds the database, the artifacts and the cache that were typed."""
    run = call(*typed)
    assert run.code == 0, run.err
    assert [words[1] for words in commands(run)] == ["status", "show", "evaluate", "export"]
    for _, *words in commands(run):
        found = call(*words, *(["--dry-run"] if words[0] == "evaluate" else []))
        assert found.code == 0, found.err
    assert not Path(".hpo").exists()


def test_an_interrupted_launch_says_how_to_go_on(typed: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """By the command itself, as it was typed: with its file and all its options."""
    write(Path(), {**TINY, "budget": {"trials": 3}}).replace("my study.toml")

    def interrupted(prepared: Prepared, _: str, wish: Wish, *__: object, **___: object) -> int:
        with Store(wish.storage) as store:
            store.create(prepared.definition, spaces=prepared.spaces, data=prepared.record, versions={})
        return 130

    monkeypatch.setattr(launching, "run", interrupted)
    typed += ["--workers", "2"]
    run = call(*typed)
    assert run.code == 130
    assert [words[1] for words in commands(run)] == ["launch", "status", "show", "export"]
    assert commands(run)[0] == ["hpo", *typed]


def test_a_study_with_work_left_says_how_to_go_on(tmp_path: Path) -> None:
    """Whoever stopped it, and whatever the exit code: to evaluate comes when it has ended."""
    store = open_store(tmp_path)
    create(store, definition(budget={"trials": 2}))
    claims = Claims(store, "s", "a", FAST)
    claims.finish(claimed(claims), completed())

    def words() -> list[str]:
        spoken = launching.last_words("s", store.url, launch="hpo launch", command=lambda name, *_: f"hpo {name}")
        return [line.strip() for line in spoken if line.startswith("  hpo ")]

    left = ["hpo launch", "hpo status", "hpo show", "hpo export"]
    assert words() == left
    store.request_stop("s")
    assert words() == left
    create(store, definition(budget={"trials": 2}))
    work_off(claims)
    assert words() == ["hpo status", "hpo show", "hpo evaluate", "hpo export"]

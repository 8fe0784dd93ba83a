"""What `hpo launch` and `hpo worker` do: the study's row, the workers, the last words."""

import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from rich.console import Console

from hpo import data
from hpo import launch as launchers
from hpo.errors import MissingExtra, StorageError
from hpo.export import export
from hpo.launch import Plan, local
from hpo.live import Watch
from hpo.prepare import Prepared, versions
from hpo.render import score, summary_line
from hpo.settings import Times
from hpo.store import Store, on_server


def plan(prepared: Prepared, place: str, *, slots: int | None, artifacts: Path, cache: Path) -> Plan:
    """What a launch would start."""
    threads = prepared.definition.train.threads
    launcher = launchers.get(place)
    return launcher.plan(prepared.definition.name, slots=slots, threads=threads, artifacts=artifacts, cache=cache)


def run(
    prepared: Prepared,
    place: str,
    *,
    slots: int | None,
    storage: str,
    artifacts: Path,
    cache: Path,
    times: Times,
    console: Console,
) -> int:
    """Creates or resumes the study, starts its workers, shows progress until they leave. Returns the exit code.

    Raises:
        MissingExtra, StorageError: no trial could end well here; nothing was created.
    """
    if place == "local":
        _check_machine(artifacts)
    name = prepared.definition.name
    to_start = plan(prepared, place, slots=slots, artifacts=artifacts, cache=cache)
    with Store(storage, create=not on_server(storage)) as store:
        data.prepare(prepared.data, prepared.split, cache)
        _, new = store.create(prepared.definition, spaces=prepared.spaces, data=prepared.record, versions=versions())
        for line in (_greeting(store, name, new), *to_start.lines):
            console.print(line, soft_wrap=True)
        with Store(storage) as beside, Watch(beside, name, console):
            return launchers.get(place).start(to_start, store, times)


def _greeting(store: Store, name: str, new: bool) -> str:
    """Whether the study is new, worked on, or goes on."""
    before = store.status(name)
    others = sum(worker.alive for worker in before.workers)
    if others:
        return f"study {name} is being worked on by {others} worker(s); joining with more slots"
    return f"study {name}: new" if new else f"study {name}: going on. {summary_line(before)}"


def work(name: str, *, slots: int | None, storage: str, artifacts: Path, cache: Path, times: Times) -> int:
    """One supervisor on this machine for a study that exists. Returns the exit code.

    Raises:
        MissingExtra, StorageError: no trial could end well here.
    """
    with Store(storage) as store:
        return local.start(_plan_here(store, name, slots, artifacts, cache), store, times)


def attend(
    store: Store,
    name: str,
    *,
    slots: int | None,
    artifacts: Path,
    cache: Path,
    times: Times,
    console: Console,
) -> int:
    """Works like `work`, and shows how the study goes on. Returns the exit code."""
    to_start = _plan_here(store, name, slots, artifacts, cache)
    with Store(store.url) as beside, Watch(beside, name, console):
        return local.start(to_start, store, times)


def _plan_here(store: Store, name: str, slots: int | None, artifacts: Path, cache: Path) -> Plan:
    """One supervisor on this machine, for a study that exists."""
    threads = store.study(name).definition.train.threads
    _check_machine(artifacts)
    return local.plan(name, slots=slots, threads=threads, artifacts=artifacts, cache=cache)


def _check_machine(artifacts: Path) -> None:
    """Refuses what would end every trial of a worker on this machine, and not because of the trial."""
    if find_spec("tensorflow") is None:  # looks for it without importing it
        raise MissingExtra("tensorflow", "train", "Training on this machine")
    try:
        artifacts.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=artifacts):
            pass
    except OSError as error:
        raise StorageError(
            f"cannot write the trials' files to {artifacts}: {error.strerror or error}. "
            "Choose another folder with HPO_ARTIFACTS or --artifacts"
        ) from error


def last_words(name: str, storage: str, code: int) -> Iterator[str]:
    """What a launch prints at its end: the score, the best parameters, what to do next."""
    with Store(storage) as store:
        status = store.status(name)
        best = export(store, name) if status.best else {}
    yield f"\nstudy {name}: {status.state}. {summary_line(status)}"
    if status.best is not None:
        yield f"\nbest {status.metric}: {score(status.best.value)} (trial {status.best.trial}, {best['model']})"
        yield "best parameters:"
        for key, value in {**best["params"], **best["train"]}.items():
            yield f"  {key} = {value}"
    yield "\nnext:"
    if code != 0:
        yield f"  hpo launch STUDY.toml         go on where {name} stopped"
    yield f"  hpo status {name}"
    if status.best is not None:
        yield f"  hpo show {name} {status.best.trial}"
        yield f"  hpo export {name} -o best.json"

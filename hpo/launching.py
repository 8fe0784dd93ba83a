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
from hpo.store import Store


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
    store = Store(storage, create=True)
    data.prepare(prepared.data, prepared.split, cache)
    _, new = store.create(prepared.definition, spaces=prepared.spaces, data=prepared.record, versions=versions())
    before = store.status(name, lease=times.lease)
    others = [worker for worker in before.workers if worker.alive]
    if others:
        console.print(
            f"study {name} is being worked on by {len(others)} worker(s); joining with more slots", soft_wrap=True
        )
    elif new:
        console.print(f"study {name}: new", soft_wrap=True)
    else:
        console.print(f"study {name}: going on. {summary_line(before)}", soft_wrap=True)
    for line in to_start.lines:
        console.print(line, soft_wrap=True)
    with Watch(Store(storage), name, console, lease=times.lease):
        return launchers.get(place).start(to_start, store, times)


def work(name: str, *, slots: int | None, storage: str, artifacts: Path, cache: Path, times: Times) -> int:
    """One supervisor on this machine for a study that exists. Returns the exit code.

    Raises:
        MissingExtra, StorageError: no trial could end well here.
    """
    store = Store(storage)
    threads = store.study(name).definition.train.threads
    _check_machine(artifacts)
    return local.start(local.plan(name, slots=slots, threads=threads, artifacts=artifacts, cache=cache), store, times)


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
    store = Store(storage)
    status = store.status(name)
    yield f"\nstudy {name}: {status.state}. {summary_line(status)}"
    if status.best is not None:
        best = export(store, name)
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

"""What `hpo launch` and `hpo worker` do: the study's row, the workers, the last words."""

from collections.abc import Iterator
from pathlib import Path

from rich.console import Console

from hpo import data
from hpo import launch as launchers
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
    """Creates or resumes the study, starts its workers, shows progress until they leave. Returns the exit code."""
    name = prepared.definition.name
    to_start = plan(prepared, place, slots=slots, artifacts=artifacts, cache=cache)
    store = Store(storage, create=True)
    data.prepare(prepared.data, prepared.split, cache)
    _, new = store.create(prepared.definition, spaces=prepared.spaces, data=prepared.record, versions=versions())
    before = store.status(name, lease=times.lease)
    others = [worker for worker in before.workers if worker.alive]
    if others:
        console.print(f"study {name} is being worked on by {len(others)} worker(s); joining with more slots")
    elif new:
        console.print(f"study {name}: new")
    else:
        console.print(f"study {name}: going on. {summary_line(before)}", soft_wrap=True)
    for line in to_start.lines:
        console.print(line, soft_wrap=True)
    with Watch(Store(storage), name, console, lease=times.lease):
        return launchers.get(place).start(to_start, store, times)


def work(name: str, *, slots: int | None, storage: str, artifacts: Path, cache: Path, times: Times) -> int:
    """One supervisor on this machine for a study that exists. Returns the exit code."""
    store = Store(storage)
    threads = store.study(name).definition.train.threads
    return local.start(local.plan(name, slots=slots, threads=threads, artifacts=artifacts, cache=cache), store, times)


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

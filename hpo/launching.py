"""What `hpo launch` and `hpo worker` do: the study's row, the workers, the last words."""

import contextlib
import logging
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

from rich.console import Console

from hpo import data, notify, versions
from hpo import launch as launchers
from hpo.artifacts import StoreAway, check
from hpo.errors import MissingExtra, StorageError
from hpo.export import export
from hpo.knowledge import Knowledge
from hpo.launch import Plan, Wish, local
from hpo.prepare import Prepared
from hpo.render import best_words, score, state, summary_line
from hpo.signals import heard_by
from hpo.store import Store, StudyRecord, is_outage, missing, on_server, retried
from hpo.study import differences
from hpo.watching import Watch
from hpo.worker import DRAINED

log = logging.getLogger(__name__)


def run(prepared: Prepared, place: str, wish: Wish, console: Console, known: Knowledge, *, extend: bool = False) -> int:
    """Creates or resumes the study, starts its workers, shows progress until they leave. Returns the exit code.

    Args:
        prepared: the study.
        place: where its workers run, a module of hpo/launch.
        wish: how many, with what.
        console: takes the progress.
        known: what the study is given; nothing of it is given twice.
        extend: let wider ranges take the place of an existing study's.

    Raises:
        MissingExtra, StorageError: no trial could end well here; nothing was created.
        UsageError: the study exists, and was created with other versions; or nobody can be told as `[notify]` says.
    """
    if place == "local":
        _check_machine(wish, new=True)
        notify.check(prepared.definition.notify, Path(prepared.record.base or ""))
    name, storage = prepared.definition.name, wish.storage
    to_start = launchers.get(place).plan(wish)
    with Store(storage, create=not on_server(storage)) as store:
        data.prepare(prepared.data, prepared.split, wish.cache)
        if store.server:  # its workers may be on other machines
            data.share(prepared.split.sha256, wish.cache, wish.artifacts)
        wider = _wider(store, prepared, place, wish, extend=extend)
        used = versions.installed(prepared.spaces)
        _, new = store.create(
            prepared.definition,
            spaces=prepared.spaces,
            data=prepared.record,
            versions=used,
            starts=known.starts,
            extend=extend,
        )
        store.learn(name, known.priors)
        extended = [f"extended {difference}" for difference in wider]
        for line in (_greeting(store, name, new), *extended, *known.lines, *to_start.lines):
            console.print(line, soft_wrap=True)
        with Store(storage, read_only=True) as beside, Watch(beside, name, console):
            return launchers.get(place).start(to_start, store)


def rehearse(prepared: Prepared, place: str, wish: Wish, *, extend: bool = False) -> list[str]:
    """What `run` would say of the study, for the same arguments; nothing is changed.

    Raises:
        HpoError: what `run` would raise because of the study that exists.
    """
    name = prepared.definition.name
    if missing(wish.storage):
        return [f"study {name}: new"]
    try:
        with Store(wish.storage, read_only=True) as store:
            wider = _wider(store, prepared, place, wish, extend=extend)
            return [_greeting(store, name, name not in store.names()), *(f"to be extended: {key}" for key in wider)]
    except StorageError as error:
        if not is_outage(error):
            raise
        log.warning("warning: %s; so nobody looked whether there is a study %s already", error, name)
        return []


def _wider(store: Store, prepared: Prepared, place: str, wish: Wish, *, extend: bool) -> list[str]:
    """Which ranges of the study a launch makes wider, after a look whether it may go on; none for a new one."""
    definition = prepared.definition
    if place == "local" and definition.name in store.names():
        _refuse_mixed(store.study(definition.name), wish)
    found = store.compare(definition, spaces=prepared.spaces, data=prepared.record, extend=extend)
    return [] if found is None else differences(found[0].definition, definition)


def _greeting(store: Store, name: str, new: bool) -> str:
    """Whether the study is new, worked on, or goes on."""
    if new:
        return f"study {name}: new"
    before = store.status(name)
    others = sum(worker.alive for worker in before.workers)
    if others:
        return f"study {name} is being worked on by {others} worker(s); joining with more slots"
    return f"study {name}: going on. {summary_line(before)}"


def work(wish: Wish) -> int:
    """One supervisor on this machine for a study that exists. Returns the exit code.

    Args:
        wish: its `threads` are the study's, whatever stands there.

    Raises:
        MissingExtra, StorageError: no trial could end well here.
        UsageError: the study was created with other versions.
    """
    with _leaving_when_told(), Store.patiently(wish.storage, wish.wait) as store:
        return local.start(_plan_here(store, wish), store)


@contextlib.contextmanager
def _leaving_when_told() -> Iterator[None]:
    """Ends with 75 at SIGTERM and SIGHUP, until a supervisor hears them: nothing is claimed before that.

    The first process of a container would hear neither: for it there is nothing that a signal does by itself.
    """

    def leave(signum: int, _: object) -> None:
        raise SystemExit(DRAINED)

    with heard_by(leave, (signal.SIGTERM, signal.SIGHUP)):
        yield


def attend(store: Store, wish: Wish, console: Console) -> int:
    """Works like `work`, and shows how the study goes on. Returns the exit code."""
    to_start = _plan_here(store, wish)
    with Store(wish.storage, read_only=True) as beside, Watch(beside, wish.study, console):
        return local.start(to_start, store)


def _plan_here(store: Store, wish: Wish) -> Plan:
    """One supervisor on this machine, for a study that exists."""
    record = retried(lambda: store.study(wish.study))
    threads = record.definition.train.threads
    _refuse_mixed(record, wish)
    _check_machine(wish)
    to_start = local.plan(replace(wish, threads=threads))
    for line in to_start.lines:
        log.info("%s", line)
    return to_start


def _refuse_mixed(record: StudyRecord, wish: Wish) -> None:
    """Refuses to train by other versions than the rest of the study."""
    versions.refuse_mixed(record.name, record.versions, record.spaces, allow=wish.allow_mixed)


def _check_machine(wish: Wish, *, new: bool = False) -> None:
    """Refuses what would end every trial of a worker on this machine, and not because of the trial.

    Args:
        wish: what is to be started.
        new: somebody launches: an artifact store that is away is said at once. Workers begin without it.
    """
    if find_spec("tensorflow") is None:  # looks for it without importing it
        raise MissingExtra("tensorflow", "train", "Training on this machine")
    try:
        check(wish.artifacts)
    except StorageError as error:
        if new or not isinstance(error, StoreAway):
            raise StorageError(f"{error}. Choose another place with HPO_ARTIFACTS or --artifacts") from error
        log.warning("%s; working all the same, files of trials wait in %s", error, wish.cache)


def last_words(name: str, storage: str, *, launch: str, command: Callable[..., str]) -> Iterator[str]:
    """What a launch prints at its end: the score, the best parameters, what to do next.

    Args:
        name: of the study. storage: its database.
        launch: the command that goes on with it.
        command: makes the line of another one from its name and its words.
    """
    with Store(storage, read_only=True) as store:
        status = store.status(name)
        best = export(store, name, status.best.trial) if status.best else {}
    yield f"\nstudy {name}: {state(status)}. {summary_line(status)}"
    if status.best is not None:
        for other in status.front[1:]:
            yield f"on the front: {best_words(other)}"
        yield f"\nbest {status.metric}: {score(status.best.value)} (trial {status.best.trial}, {best['model']})"
        yield "best parameters:"
        for key, value in {**best["params"], **best["train"]}.items():
            yield f"  {key} = {value}"
    ended = status.state == "ended"
    yield "\nnext:" if ended else f"\nnext (work is left; the first one goes on with {name}):"
    if not ended:
        yield f"  {launch}"
    yield f"  {command('status', name)}"
    if status.best is not None:
        yield f"  {command('show', name, str(status.best.trial))}"
        if ended:
            yield f"  {command('evaluate', name)}"
        yield f"  {command('export', name, '-o', 'best.json')}"

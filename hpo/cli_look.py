"""The commands for who looks at studies and trials, and changes nothing."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from hpo.console import (
    artifacts_option,
    cache_option,
    console,
    emit,
    example,
    json_option,
    log,
    name_argument,
    number_argument,
    option,
    storage_option,
)
from hpo.errors import StudyFailedError, UsageError

if TYPE_CHECKING:
    from hpo.artifacts import Artifacts
    from hpo.store import Store

INTERRUPTED = 130


@click.command(epilog=example("hpo status quickstart --json"))
@name_argument
@option("--watch", is_flag=True, help="Go on until it has ended: a live picture, or a line for each change.")
@option("--interval", type=click.FloatRange(min=0.1), default=2.0, show_default=True, help="Seconds between two looks.")
@storage_option
@json_option
def status(name: str, watch: bool, interval: float, storage: str, as_json: bool) -> None:
    """Counts, budget, best so far, failures by cause, workers.

    With --watch it shows running trials, their curves and a forecast too, and exits when the study has ended (0) or
    failed (5). Ctrl-C leaves it (130), and does nothing to the study. In a pipe it prints a line for each change.
    """
    from hpo.evaluated import evaluated
    from hpo.render import status_table
    from hpo.store import Store

    with Store(storage, read_only=True) as store:
        if watch:
            _watch(store, name, interval, as_json)
            return
        found, evaluation = store.status(name), evaluated(store, store.study(name))
    if as_json:
        emit({**found.model_dump(mode="json"), "evaluation": evaluation})
    else:
        console().print(status_table(found, evaluation))


def _watch(store: "Store", name: str, interval: float, as_json: bool) -> None:
    from hpo.watching import follow, telling

    try:
        with telling(store, name):
            state = follow(store, name, console(), interval=interval, as_json=as_json).state
    except KeyboardInterrupt:  # no mistake, so no word; scripts see that it had not ended
        click.get_current_context().exit(INTERRUPTED)
    click.get_current_context().exit(StudyFailedError.exit_code if state == "failed" else 0)


@click.command("list", epilog=example("hpo list"))
@storage_option
@json_option
def list_(storage: str, as_json: bool) -> None:
    """All studies of a database."""
    from hpo.render import listing
    from hpo.store import Store

    with Store(storage, read_only=True) as store:
        rows = [store.status(name) for name in store.names()]
    if as_json:
        emit([row.model_dump(mode="json") for row in rows])
    elif rows:
        console().print(listing(rows))
    else:
        log.info("no studies yet; `hpo launch STUDY.toml` makes one")


@click.command(epilog=example("hpo show quickstart 3"))
@name_argument
@number_argument
@storage_option
@json_option
def show(name: str, number: int, storage: str, as_json: bool) -> None:
    """One trial: parameters, scores, how it ended and why."""
    from hpo.render import trial_table
    from hpo.store import Store

    with Store(storage, read_only=True) as store:
        trial = store.trial(name, number)
    if as_json:
        emit(trial.model_dump(mode="json"))
    else:
        console().print(trial_table(trial))


@click.command(epilog=example("hpo logs quickstart 3"))
@name_argument
@number_argument
@storage_option
@artifacts_option
@cache_option
def logs(name: str, number: int, storage: str, artifacts: "Artifacts", cache: Path) -> None:
    """What a trial's process printed, over all of its attempts."""
    from hpo.artifacts.copies import Copies
    from hpo.store import Store

    with Store(storage, read_only=True) as store:
        trial = store.trial(name, number)
    which = f"trial {number} of study {name!r}"
    if trial.artifacts is None:
        raise UsageError(f"{which} has no log: it has not started yet")
    file = Copies(artifacts, cache).folder(trial.artifacts, {"log.txt"}) / "log.txt"
    if not file.exists():
        raise UsageError(f"{which} has no log at {file}: it ran elsewhere, or its files are still on their way")
    click.echo(file.read_text(errors="replace"), nl=False)

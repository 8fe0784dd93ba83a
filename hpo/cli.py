"""The commands: each parses, calls one function and prints. Heavy imports wait until a command needs them.

Results go to stdout, talk to stderr.
"""

import io
import json
import logging
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import click

from hpo import __version__, settings
from hpo.errors import HpoError, StorageError, UsageError
from hpo.folders import names

PIPE_WIDTH = 160  # characters of a table's line where nobody looks at a terminal
log = logging.getLogger("hpo")
F = TypeVar("F", bound=Callable[..., Any])
# HPO_COMMAND_OPTION, or HPO_OPTION where an option means the same in all commands.
_option = partial(click.option, show_envvar=True)


class _Group(click.Group):
    """Prints our errors as one message and exits with their code."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except HpoError as error:
            log.error("%s", error)  # noqa: TRY400 - a mistake of the user's has no traceback
            ctx.exit(error.exit_code)
        except KeyboardInterrupt:  # before or after the supervisor, which hears Ctrl-C itself
            log.warning("interrupted")
            ctx.exit(130)
        except BrokenPipeError:  # the reader of our pipe left: nothing to say to nobody
            sys.stderr.close()
            ctx.exit(0)
        except Exception as error:
            if not type(error).__module__.startswith(("sqlalchemy", "optuna")):
                raise
            reason = str(error.__cause__ or error).splitlines()[0]
            log.error("the database could not be used: %s", reason)  # noqa: TRY400 - nor has the database's
            ctx.exit(StorageError.exit_code)


_storage = _option(
    "--storage", envvar="HPO_STORAGE", default=settings.STORAGE, show_default=True, help="Database address."
)
_artifacts = _option(
    "--artifacts",
    envvar="HPO_ARTIFACTS",
    type=click.Path(path_type=Path, file_okay=False),
    default=settings.ARTIFACTS,
    show_default=True,
    help="Folder for logs, curves and reports of trials.",
)
_cache = _option(
    "--cache",
    envvar="HPO_CACHE",
    type=click.Path(path_type=Path, file_okay=False),
    default=settings.CACHE,
    show_default=True,
    help="Folder for parsed data.",
)
_json = _option("--json", "as_json", envvar="HPO_JSON", is_flag=True, help="Print JSON for machines.")
_study_file = click.argument("study_file", metavar="STUDY.toml", type=click.Path(path_type=Path))
_name = click.argument("name", metavar="NAME")
_number = click.argument("number", metavar="TRIAL", type=click.IntRange(min=0))


def _times(function: F) -> F:
    defaults = settings.Times()
    for name, value, text in (
        ("grace", defaults.grace, "Seconds that running trials have to finish after SIGTERM."),
        ("renew", defaults.renew, "Seconds between two renewals of a lease."),
        ("lease", defaults.lease, "Seconds after which a silent worker's trial is taken over."),
    ):
        option = _option(f"--{name}", type=click.FloatRange(min=0.1), default=value, show_default=True, help=text)
        function = option(function)
    return function


class _JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {"time": record.created, "level": record.levelname.lower(), "message": record.getMessage()}
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line)


class _Text(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        return f"Error: {text}" if record.levelno >= logging.ERROR else text


def _example(text: str) -> str:
    return f"\b\nExample:\n  {text}"


@click.group(cls=_Group, context_settings={"auto_envvar_prefix": "HPO", "help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="hpo")
@_option("--log-format", type=click.Choice(["text", "json"]), default="text", help="Of stderr.")
def main(log_format: str) -> None:
    """Tunes time-series classifiers: one study file, one shared study, no lost result.

    \b
    Start here:
      hpo check studies/quickstart.toml
      hpo launch studies/quickstart.toml
    """
    handler = logging.StreamHandler()
    handler.setFormatter(_JsonLines() if log_format == "json" else _Text("%(message)s"))
    log.handlers = [handler]
    log.setLevel(logging.INFO)
    log.propagate = False


class _LogFile(io.StringIO):
    """What is printed here becomes lines of the log, and so JSON where the log is."""

    def write(self, text: str, /) -> int:
        for line in filter(None, text.splitlines()):
            log.info("%s", line)
        return len(text)


def _console(*, err: bool = False) -> Any:
    from rich.console import Console

    as_json = err and click.get_current_context().find_root().params["log_format"] == "json"
    # no markup: a class may be called [/b]
    console = Console(file=_LogFile() if as_json else None, stderr=err, highlight=False, markup=False, emoji=False)
    if not console.is_terminal:
        console.width = PIPE_WIDTH
    return console


def _to_json(value: Any) -> str:
    from hpo.export import finite

    return json.dumps(finite(value), indent=2, ensure_ascii=False, allow_nan=False)


def _emit(value: Any) -> None:
    click.echo(_to_json(value))


@main.command(epilog=_example("hpo check studies/quickstart.toml"))
@_study_file
@_cache
@_option("--sizes/--no-sizes", default=True, help="Build some models to count their parameters (takes seconds).")
@_json
def check(study_file: Path, cache: Path, sizes: bool, as_json: bool) -> None:
    """Validates a study file with its data and prints the plan."""
    from hpo import checking
    from hpo.prepare import prepare

    if not as_json:
        log.info("reading %s and its data ...", study_file)
    prepared = prepare(study_file, cache)
    if sizes and not as_json:
        log.info("building some models to count their parameters ...")
    plan = checking.plan(prepared, sizes=sizes)
    if as_json:
        _emit(plan)
    else:
        _console().print(checking.table(plan))


@main.command(epilog=_example("hpo launch studies/quickstart.toml --workers 2"))
@_study_file
@_option("--workers", type=click.IntRange(min=1), help="Trials at a time.  [default: cores / threads]")
@_option("--on", type=click.Choice(names("launch")), default="local", show_default=True, help="Where to work.")
@_storage
@_artifacts
@_cache
@_times
@_option("--dry-run", is_flag=True, help="Print the plan and change nothing but the data cache.")
def launch(
    study_file: Path,
    workers: int | None,
    on: str,
    storage: str,
    artifacts: Path,
    cache: Path,
    dry_run: bool,
    **times: float,
) -> None:
    """Creates or resumes a study and works on it until its budget has ended.

    Ctrl-C finishes what runs and leaves; a second Ctrl-C leaves at once. Run the same command again and it goes on
    where it stopped; run it twice at once and the second one adds its slots.
    """
    from hpo import checking, launching
    from hpo.prepare import prepare

    log.info("reading %s and its data ...", study_file)
    prepared = prepare(study_file, cache)
    if dry_run:
        plan = launching.plan(prepared, on, slots=workers, artifacts=artifacts, cache=cache)
        _console().print(checking.table(checking.plan(prepared, sizes=False)))
        for line in plan.lines:
            click.echo(line)
        return
    code = launching.run(
        prepared,
        on,
        slots=workers,
        storage=storage,
        artifacts=artifacts,
        cache=cache,
        times=_make_times(times),
        console=_console(err=True),
    )
    _finish(prepared.definition.name, storage, code)


def _make_times(times: dict[str, float]) -> settings.Times:
    if times["renew"] >= times["lease"]:
        raise UsageError(f"--renew is {times['renew']:g} s; accepted: less than --lease, {times['lease']:g} s")
    return settings.Times(**times)


def _finish(name: str, storage: str, code: int) -> None:
    """The last words of a launch: the best parameters, and what to do next."""
    from hpo import launching

    for line in launching.last_words(name, storage, code):
        click.echo(line)
    click.get_current_context().exit(code)


@main.command(epilog=_example("hpo worker quickstart --slots 2"))
@_name
@_option("--slots", type=click.IntRange(min=1), help="Trials at a time.  [default: cores / threads]")
@_storage
@_artifacts
@_cache
@_times
def worker(name: str, slots: int | None, storage: str, artifacts: Path, cache: Path, **times: float) -> None:
    """Works on a study that somebody launched, until all of its budget has ended."""
    from hpo import launching

    code = launching.work(
        name, slots=slots, storage=storage, artifacts=artifacts, cache=cache, times=_make_times(times)
    )
    click.get_current_context().exit(code)


@main.command(epilog=_example("hpo status quickstart --json"))
@_name
@_storage
@_json
def status(name: str, storage: str, as_json: bool) -> None:
    """Counts, budget, best so far, failures by cause, workers."""
    from hpo.render import status_table
    from hpo.store import Store

    found = Store(storage).status(name)
    if as_json:
        _emit(found.model_dump(mode="json"))
    else:
        _console().print(status_table(found))


@main.command("list", epilog=_example("hpo list"))
@_storage
@_json
def list_(storage: str, as_json: bool) -> None:
    """All studies of a database."""
    from hpo.render import listing
    from hpo.store import Store

    store = Store(storage)
    rows = [store.status(name) for name in store.names()]
    if as_json:
        _emit([row.model_dump(mode="json") for row in rows])
    elif rows:
        _console().print(listing(rows))
    else:
        log.info("no studies yet; `hpo launch STUDY.toml` makes one")


@main.command(epilog=_example("hpo show quickstart 3"))
@_name
@_number
@_storage
@_json
def show(name: str, number: int, storage: str, as_json: bool) -> None:
    """One trial: parameters, scores, how it ended and why."""
    from hpo.render import trial_table
    from hpo.store import Store

    trial = Store(storage).trial(name, number)
    if as_json:
        _emit(trial.model_dump(mode="json"))
    else:
        _console().print(trial_table(trial))


@main.command(epilog=_example("hpo logs quickstart 3"))
@_name
@_number
@_storage
@_artifacts
def logs(name: str, number: int, storage: str, artifacts: Path) -> None:
    """What a trial's process printed, over all of its attempts."""
    from hpo.store import Store

    trial = Store(storage).trial(name, number)
    file = artifacts / (trial.artifacts or "") / "log.txt"
    if trial.artifacts is None or not file.exists():
        raise UsageError(f"trial {number} of study {name!r} has no log at {file}: it has not started, or ran elsewhere")
    click.echo(file.read_text(errors="replace"), nl=False)


@main.command(epilog=_example("hpo stop quickstart"))
@_name
@_storage
def stop(name: str, storage: str) -> None:
    """Asks all workers of a study, wherever they are, to finish what runs and leave; `hpo launch` takes up again."""
    from hpo.store import Store

    Store(storage).request_stop(name)
    log.info("study %s: its workers finish what runs and leave", name)


@main.command(epilog=_example("hpo export quickstart -o best.json"))
@_name
@_option("--trial", type=click.IntRange(min=0), help="Of this trial.  [default: the best one]")
@_option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="File.  [default: stdout]")
@_option("--format", "form", envvar="HPO_EXPORT_FORMAT", type=click.Choice(["json"]), default="json", help="Format.")
@_storage
def export(name: str, trial: int | None, output: Path | None, form: str, storage: str) -> None:
    """The best parameters, with score, data hashes and versions."""
    from hpo.export import export as collect
    from hpo.store import Store

    found = collect(Store(storage), name, trial)
    if output is None:
        _emit(found)
        return
    beside = output.with_name(output.name + ".part")
    try:
        beside.write_text(_to_json(found) + "\n")
        beside.replace(output)
    except OSError as error:
        raise UsageError(f"cannot write {output}: {error.strerror}") from error
    log.info("wrote %s", output)


@main.group()
def data() -> None:
    """Data sets: what can be read, what is in the cache."""


@data.command("list", epilog=_example("hpo data list"))
@_cache
@_json
def data_list(cache: Path, as_json: bool) -> None:
    """Kinds of data that can be read, and data sets in the cache."""
    from hpo import checking

    found = checking.data_listing(cache)
    if as_json:
        _emit(found)
    else:
        _console().print(checking.data_listing_table(found))


@data.command("show", epilog=_example("hpo data show bundled BasicMotions"))
@click.argument("source")
@click.argument("where", metavar="PATH_OR_NAME")
@_option("--name", help="Which data set of a folder (source ucr).")
@_cache
@_json
def data_show(source: str, where: str, name: str | None, cache: Path, as_json: bool) -> None:
    """One data set: sizes, classes, channels, groups, SHA-256."""
    from hpo import checking

    found = checking.data_summary(source, where, name, cache)
    if as_json:
        _emit(found)
    else:
        _console().print(checking.data_table(found))


if __name__ == "__main__":
    main()

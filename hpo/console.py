"""How the commands speak: their options, errors, logs and output. Results go to stdout, talk to stderr."""

import functools
import io
import json
import logging
import os
import shlex
import sys
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar, cast

import click
from click.core import ParameterSource

from hpo import redact, settings
from hpo.errors import HpoError, StorageError, UsageError, reason
from hpo.formats import to_json

PIPE_WIDTH = 160  # characters of a table's line where nobody looks at a terminal
log = logging.getLogger("hpo")
F = TypeVar("F", bound=Callable[..., Any])


def option(*names: str, **attributes: Any) -> Callable[[F], F]:
    """An option with its variable: HPO_COMMAND_OPTION, or HPO_OPTION where it means the same in all commands."""
    return click.option(*names, show_envvar=True, **{**attributes, "type": _number(attributes.get("type"))})


def _number(kind: Any) -> Any:
    """A type of values, called a number where it is a range of these: 'abc' is no "valid integer range"."""
    if isinstance(kind, click.IntRange | click.FloatRange):
        kind.name = kind.name.removesuffix(" range")
    return kind


class Commands(click.Group):
    """Prints our errors as one message and exits with their code."""

    def main(self, *args: Any, **more: Any) -> Any:
        """Runs the command line; what click itself prints, such as help, is covered too."""
        try:
            return super().main(*args, **more)
        except OSError as error:
            if _stdout_works():
                raise
            if not log.handlers:
                start_log("text")
            log.error("cannot write to standard output: %s", error.strerror)  # noqa: TRY400 - nor has a full disk
            # what is left of the result goes nowhere, or Python would try to write it once more when it ends
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(HpoError.exit_code)

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        """Finds a command, and keeps what was typed of it."""
        ctx.meta[_TYPED] = list(args)
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Runs a command."""
        try:
            return super().invoke(ctx)
        except click.UsageError as error:
            if ctx.params["log_format"] != "json" or isinstance(error, click.exceptions.NoArgsIsHelpError):
                raise  # click prints it
            start_log("json")  # a command that does not exist is refused before
            where = (error.ctx or ctx).command_path
            log.error("%s Try '%s --help' for help.", error.format_message(), where)  # noqa: TRY400 - as below
            ctx.exit(error.exit_code)
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
            log.error("the database could not be used: %s", reason(error))  # noqa: TRY400 - nor has the database's
            ctx.exit(StorageError.exit_code)


def _stdout_works() -> bool:
    """Whether a line, an empty one, can be written to standard output."""
    try:
        sys.stdout.write("\n")
        sys.stdout.flush()
    except OSError:
        return False
    return True


_FILES = "hpo.storage_files"  # in the context of a command
_TYPED = "hpo.typed"  # in the same: the command with its arguments
_PLACES = ("storage_file", "storage_password_file", "storage", "artifacts", "cache")  # parameters
_RANKS = {ParameterSource.COMMANDLINE: 2, ParameterSource.ENVIRONMENT: 1}


def storage_option(function: F) -> F:
    """The option --storage and the ways to keep a password out of it; the command gets one address, `storage`."""

    @functools.wraps(function)
    def command(*args: Any, storage_file: Path | None, storage_password_file: Path | None, **others: Any) -> Any:
        from hpo.store.address import Given, assemble, from_file

        def given(name: str, value: str | Path | None) -> Given:
            source = click.get_current_context().get_parameter_source(name)
            return Given(value, 0 if source is None else _RANKS.get(source, 0))

        redact.remember(settings.postgres_variable("PGPASSWORD"))
        address, file = given("storage", others["storage"]), given("storage_file", storage_file)
        others["storage"] = assemble(address, file, given("storage_password_file", storage_password_file))
        files = {
            "HPO_STORAGE_FILE": storage_file if from_file(address, file) else None,
            "HPO_STORAGE_PASSWORD_FILE": storage_password_file,
        }
        click.get_current_context().meta[_FILES] = {name: path for name, path in files.items() if path is not None}
        return function(*args, **others)

    file = click.Path(path_type=Path, dir_okay=False)
    for name, variable, kind, default, text in (
        ("--storage-password-file", "HPO_STORAGE_PASSWORD_FILE", file, None, "File that holds its password."),
        ("--storage-file", "HPO_STORAGE_FILE", file, None, "File that holds the database address."),
        ("--storage", "HPO_STORAGE", str, settings.STORAGE, "Database address, without a password."),
    ):
        add = option(name, envvar=variable, type=kind, default=default, show_default=default is not None, help=text)
        command = add(command)
    return cast(F, command)


def storage_files() -> dict[str, Path]:
    """The files that the address of `storage_option` or its password came from, by the variables that name them."""
    return cast("dict[str, Path]", click.get_current_context().meta[_FILES])


def typed() -> str:
    """This command as it was typed, for a shell. A password is none of it: `storage_option` refuses one."""
    return shlex.join(["hpo", *click.get_current_context().meta[_TYPED]])


def follow_up(command: str, *words: str) -> str:
    """A command to type after this one, for a shell: it looks where this one was told to, as far as it looks there."""
    here = click.get_current_context()
    commands = cast(click.Group, here.find_root().command).commands
    takes = {parameter.name for parameter in commands[command].params}
    places = []
    for name in _PLACES:
        if name in takes and here.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            value = here.params[name]
            places += [f"--{name.replace('_', '-')}", getattr(value, "address", str(value))]
    return shlex.join(["hpo", command, *words, *places])


class _Store(click.Path):
    """An artifact store; the command gets an `Artifacts`."""

    name = "store"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Opens it, and asks it nothing yet."""
        from hpo.artifacts.address import open_artifacts

        return open_artifacts(str(value) if "://" in str(value) else str(super().convert(value, param, ctx)))


artifacts_option = option(
    "--artifacts",
    envvar="HPO_ARTIFACTS",
    type=_Store(file_okay=False),
    default=str(settings.ARTIFACTS),
    show_default=True,
    metavar="STORE",
    help="Where logs, curves, reports and checkpoints of trials are kept: a folder, or s3://BUCKET/PREFIX.",
)
cache_option = option(
    "--cache",
    envvar="HPO_CACHE",
    type=click.Path(path_type=Path, file_okay=False),
    default=settings.CACHE,
    show_default=True,
    help="Folder on this machine for parsed data, and for files of trials on their way.",
)
json_option = option("--json", "as_json", envvar="HPO_JSON", is_flag=True, help="Print JSON for machines.")
study_file_argument = click.argument("study_file", metavar="STUDY.toml", type=click.Path(path_type=Path))
name_argument = click.argument("name", metavar="NAME")
number_argument = click.argument("number", metavar="TRIAL", type=_number(click.IntRange(min=0)))


def times_options(function: F) -> F:
    """The options --grace, --renew and --lease of commands that work."""
    defaults = settings.Times()
    for name, value, text in (
        ("grace", defaults.grace, "Seconds that running trials have to finish after SIGTERM."),
        ("renew", defaults.renew, "Seconds between two renewals of a lease."),
        ("lease", defaults.lease, "Seconds after which a silent worker's trial is taken over."),
    ):
        add = option(f"--{name}", type=click.FloatRange(min=0.1), default=value, show_default=True, help=text)
        function = add(function)
    return function


def worker_options(function: F) -> F:
    """The options of commands that start workers: where things lie, the times, the GPUs, the versions."""
    function = option(
        "--allow-mixed", is_flag=True, help="Train by other versions than those that the study was created with."
    )(function)
    function = option(
        "--metrics-port",
        envvar="HPO_METRICS_PORT",
        type=click.IntRange(0, 65535),
        help="Serve /healthz and Prometheus /metrics on 127.0.0.1; 0 takes a free port, and says which.",
    )(function)
    function = option(
        "--slots-per-gpu", type=click.IntRange(min=1), default=1, show_default=True, help="Trials at a time on one GPU."
    )(function)
    function = option(
        "--gpus",
        envvar="HPO_GPUS",
        default="auto",
        show_default=True,
        metavar="[auto|none|LIST]",
        help="auto: those of CUDA_VISIBLE_DEVICES, else all; LIST as nvidia-smi numbers them: 0,1.",
    )(function)
    for add in (times_options, cache_option, artifacts_option, storage_option):
        function = add(function)
    return function


class _JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": record.created,
            "level": record.levelname.lower(),
            "message": redact.scrub(record.getMessage()),
        }
        if record.exc_info:
            line["traceback"] = redact.scrub(self.formatException(record.exc_info))
        return json.dumps(line)


class _Text(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        text = redact.scrub(super().format(record))
        return f"Error: {text}" if record.levelno >= logging.ERROR else text


class _Stderr(logging.StreamHandler[Any]):
    """Writes to what is stderr at that moment: a live view puts its own in its place, and prints above the picture."""

    def emit(self, record: logging.LogRecord) -> None:
        self.stream = sys.stderr
        super().emit(record)


def example(text: str) -> str:
    """The end of a help page."""
    return f"\b\nExample:\n  {text}"


def start_log(form: str) -> None:
    """Sends our log lines to stderr.

    Args:
        form: "text", or "json" for one JSON object a line.
    """
    handler = _Stderr()
    handler.setFormatter(_JsonLines() if form == "json" else _Text("%(message)s"))
    log.handlers = [handler]
    log.setLevel(logging.INFO)
    log.propagate = False
    sys.excepthook = _traceback
    threading.excepthook = lambda args: _traceback(args.exc_type, args.exc_value, args.exc_traceback)


def _traceback(kind: type[BaseException], error: BaseException | None, trace: TracebackType | None) -> None:
    """A bug's last words, on their way to stderr."""
    sys.stderr.write(redact.scrub("".join(traceback.format_exception(kind, error, trace))))


class _LogFile(io.StringIO):
    """What is printed here becomes lines of the log, and so JSON where the log is."""

    def write(self, text: str, /) -> int:
        for line in filter(None, text.splitlines()):
            log.info("%s", line)
        return len(text)


def console(*, err: bool = False) -> Any:
    """A rich console on stdout or stderr; lines of the log where stderr is JSON."""
    from rich.console import Console

    as_json = err and click.get_current_context().find_root().params["log_format"] == "json"
    # no markup: a class may be called [/b]
    console = Console(file=_LogFile() if as_json else None, stderr=err, highlight=False, markup=False, emoji=False)
    if not console.is_terminal:
        console.width = PIPE_WIDTH
    return console


def is_typed(parameter: str) -> bool:
    """Whether a parameter of this command stands on the command line; a variable may speak to many commands."""
    return click.get_current_context().get_parameter_source(parameter) is ParameterSource.COMMANDLINE


def emit(value: Any) -> None:
    """Prints JSON to stdout."""
    click.echo(to_json(value))


def deliver(result: str | bytes, output: Path | None) -> None:
    """Prints a result to stdout, or writes it to a file, which appears whole or not at all.

    Of a link that is what it leads to. A pipe or a device, such as /dev/stdout, is written into as it is.

    Args:
        result: text without its last line break, or bytes.

    Raises:
        UsageError: the file cannot be written.
    """
    if output is None:
        click.echo(result)
        return
    content = result if isinstance(result, bytes) else f"{result}\n".encode()
    try:
        if output.exists() and not output.is_file():
            output.write_bytes(content)
        else:
            file = output.resolve()
            beside = file.with_name(file.name + ".part")
            try:
                beside.write_bytes(content)
                beside.replace(file)
            finally:
                beside.unlink(missing_ok=True)
    except OSError as error:
        raise UsageError(f"cannot write {output}: {error.strerror}") from error
    log.info("wrote %s", output)

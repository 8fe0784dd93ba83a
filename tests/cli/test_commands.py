"""Every command: its help, its variables, its JSON, what it says to wrong names, and that it never holds TensorFlow."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from hpo.cli import main
from tests.bundle.made import GOLDEN, WINDOWS
from tests.cli.run import Launched, call, read_notes, start
from tests.data.files import write_pair

# Heavy for whoever only wants the help page or the next completion.
SLOW = {"aeon", "numpy", "optuna", "pandas", "pydantic", "rich", "sklearn", "sqlalchemy"}
TRAINING = {"keras", "tensorflow"}


def commands(group: click.Group = main, parent: click.Context | None = None) -> Iterator[tuple[str, click.Context]]:
    """Every command that does something -> (as one types it without ``hpo``, its context)."""
    settings = group.context_settings if parent is None else {}
    context = click.Context(group, parent=parent, info_name=group.name if parent else "hpo", **settings)
    for name, command in group.commands.items():
        typed = name if parent is None else f"{parent.command.name if parent.parent else group.name} {name}"
        if isinstance(command, click.Group):
            yield from commands(command, context)
        else:
            yield typed, click.Context(command, parent=context, info_name=name)


COMMANDS = dict(commands())


def options(context: click.Context) -> list[click.Option]:
    """Those that a command brings itself."""
    return [option for option in context.command.params if isinstance(option, click.Option)]


def test_help_lists_every_command() -> None:
    """`hpo --help` and `hpo -h` name all commands, each with a sentence."""
    page = call("--help").out
    assert call("-h").out == page
    for name in main.commands:
        assert re.search(rf"^  {name} +[A-Z]\w+", page, re.MULTILINE)


def test_help_is_light(tmp_path: Path) -> None:
    """The help page and the version need no library but click, so they come at once."""
    for option in ("--help", "--version"):
        notes = tmp_path / option
        assert start(tmp_path, option, notes=notes).code == 0
        (note,) = read_notes(notes)
        assert "click" in note["modules"]
        assert not (SLOW | TRAINING) & set(note["modules"])


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command(command: str) -> None:
    """Each says what it does and shows an example of itself, and each option but --help says what it is for."""
    run = call(*command.split(), "--help")
    assert run.code == 0
    assert re.search(rf"Example:\n +hpo {command}( |$)", run.out, re.MULTILINE)
    assert re.match(r"[A-Z][^.]+\.", COMMANDS[command].command.help or "")
    assert [option.opts for option in options(COMMANDS[command]) if not option.help] == []


def variables() -> Iterator[tuple[str, click.Context, click.Option]]:
    """Every option but --help and --version."""
    root = click.Context(main, info_name="hpo", **main.context_settings)
    for command, context in [("", root), *COMMANDS.items()]:
        yield from ((command, context, option) for option in options(context) if option.name != "version")


def test_every_option_has_a_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is called HPO_COMMAND_OPTION or HPO_OPTION, like the option; it stands in the help page, and it works."""
    seen: dict[str, str] = {}
    for command, context, option in variables():
        (name,) = option.get_help_extra(context)["envvars"]
        flag = max(option.opts, key=len).lstrip("-").replace("-", "_").upper()
        assert name in (f"HPO_{flag}", "_".join(["HPO", *command.upper().split(), flag])), (command, option.opts)
        assert seen.setdefault(name, flag) == flag
        monkeypatch.setenv(name, "some value")
        assert option.resolve_envvar_value(context) == "some value"
        assert name in call(*command.split(), "--help").out
        monkeypatch.delenv(name)
    assert {"HPO_STORAGE", "HPO_ARTIFACTS", "HPO_CACHE", "HPO_JSON", "HPO_LAUNCH_WORKERS"} <= seen.keys()


def test_variables_reach_the_commands(tmp_path: Path) -> None:
    """A variable does what its option does, and the option wins."""
    (tmp_path / "cache").mkdir()
    environment = {"HPO_CACHE": str(tmp_path / "cache"), "HPO_JSON": "1"}
    assert call("data", "list", **environment).json()["cached"] == []
    run = call("status", "x", HPO_STORAGE="sqlite:///from-the-variable.db")
    assert "from-the-variable.db" in run.err
    run = call("status", "x", "--storage", "sqlite:///from-the-option.db", HPO_STORAGE="sqlite:///from-the-variable.db")
    assert "from-the-option.db" in run.err


RUNS: dict[str, list[str]] = {
    "check": ["study.toml", "--json"],  # counts parameters: a child has TensorFlow, and this process has not
    "launch": ["study.toml", "--dry-run"],
    "worker": ["tiny"],
    "evaluate": ["tiny", "--dry-run", "--json"],
    "migrate": [],
    "delete": ["tiny", "--dry-run", "--json"],
    "gc": ["--dry-run", "--json"],
    "status": ["tiny", "--json"],
    "list": ["--json"],
    "show": ["tiny", "0", "--json"],
    "logs": ["tiny", "0"],
    "stop": ["tiny"],
    "rerun": ["tiny", "0", "--json"],  # trains in a child
    "export": ["tiny"],
    "report": ["tiny", "-o", "tiny.html", "--json"],
    "dashboard": ["--port", "0", "--dry-run"],
    "predict": [str(GOLDEN), str(WINDOWS), "--json"],
    "verify": [str(GOLDEN), "--json"],
    "data list": ["--json"],
    "data add": ["study.toml", "--force", "--json"],
    "data show": ["bundled", "BasicMotions", "--json"],
}
JSON = {name for name in COMMANDS if any(o.name == "as_json" for o in options(COMMANDS[name]))} | {"export"}


def test_every_command_is_run_here() -> None:
    """A new command has to join the table."""
    assert RUNS.keys() == COMMANDS.keys()
    assert {name for name, args in RUNS.items() if "--json" in args} | {"export"} == JSON


@pytest.mark.parametrize("command", RUNS)
def test_no_command_holds_tensorflow(again: Launched, tmp_path: Path, command: str) -> None:
    """Exit code 0, valid JSON where a command offers it, and neither Keras nor TensorFlow in its process at the end."""
    notes = tmp_path / "notes"
    run = start(again.folder, *command.split(), *RUNS[command], notes=notes)
    assert run.code == 0, run.err
    assert "Traceback" not in run.out + run.err
    if command in JSON:
        assert run.json()
    held = {note["program"]: TRAINING & set(note["modules"]) for note in read_notes(notes)}
    assert held["cli.py"] == set()
    if command == "check":
        assert held["sizes.py"] == TRAINING
        assert run.json()["parameters"]["lstm"]["default"] > 0


def test_no_launch_holds_tensorflow(launched: Launched) -> None:
    """A launch that trains has it in its fork server alone."""
    held = {n["program"]: TRAINING & set(n["modules"]) for n in launched.notes if "program" in n}
    assert held == {"cli.py": set(), "forkserver.py": TRAINING}


@pytest.mark.parametrize(
    ("args", "shown"),
    [
        (("status", "tiny"), ["state +ended", "2 complete, 0 pruned, 0 fail", "best +accuracy 0", "training"]),
        (("list",), ["study +state +complete", "tiny +ended +2 +0 +0 +0 +accuracy 0"]),
        (("show", "tiny", "0"), ["state +complete", "seed +\\d+", "accuracy = 0", "parameters +\\d+", "seconds +data"]),
        (("logs", "tiny", "0"), ["--- trial 0, attempt 1"]),
        (("data", "list"), ["source +bundled +Real data", "source +uci_har", "in cache +BasicMotions +40/40 windows"]),
        (
            ("data", "show", "bundled", "BasicMotions"),
            [
                "40 windows to train",
                "100 time steps x 6",
                "classes: .* Walking 10 .the largest is 25.0%",
                "SHA-256 +[0-9a-f]",
            ],
        ),
        (
            ("data", "show", "bundled", "JapaneseVowels"),
            ["26 time steps x 12", "padded: 7 to 26 time steps are there, in the test part 7 to 26 .1 longer cut"],
        ),
        (("check", "STUDY", "--no-sizes"), ["study +tiny", "split +by stratified", "family +lstm", "fixed: units=8"]),
        (("launch", "STUDY", "--dry-run"), ["study +tiny", "one worker on this machine: \\d+ trials at a time"]),
    ],
)
def test_what_people_see(launched: Launched, args: tuple[str, ...], shown: list[str]) -> None:
    """Without --json, commands print tables of words; nothing but results goes to stdout."""
    typed = [str(launched.folder / "study.toml") if arg == "STUDY" else arg for arg in args]
    run = launched.call(*typed)
    assert run.code == 0, run.err
    for pattern in shown:
        assert re.search(pattern, run.out), run.out
    assert "reading" not in run.out


@pytest.mark.parametrize(
    ("args", "message"),
    [
        *(
            ((command, "tinny", *rest), "no study 'tinny' in .*hpo.db; did you mean 'tiny'")
            for command, *rest in (
                ["status"],
                ["show", "0"],
                ["logs", "0"],
                ["stop"],
                ["export"],
                ["worker"],
                ["evaluate"],
                ["rerun", "0"],
                ["report"],
            )
        ),
        (("show", "tiny", "7"), "study 'tiny' has no trial 7; it has 0 to 1"),
        (("logs", "tiny", "7"), "study 'tiny' has no trial 7; it has 0 to 1"),
        (("rerun", "tiny", "7"), "study 'tiny' has no trial 7; it has 0 to 1"),
        (("export", "tiny", "--trial", "7"), "study 'tiny' has no trial 7; it has 0 to 1"),
        (("show", "tiny", "first"), "'first' is not a valid integer"),
        (("data", "show", "bundeld", "x"), "unknown data source 'bundeld'; did you mean 'bundled'"),
        (("launch", "study.toml", "--on", "moon"), "'moon' is not .*local"),
        (("launch", "study.toml", "--workers", "0"), "0 is not in the range"),
        (("worker", "tiny", "--renew", "5", "--lease", "5"), "--renew is 5 s; accepted: less than --lease, 5 s"),
        (("export", "tiny", "-o", "/dev/null/best.json"), "cannot write /dev/null/best.json: Not a directory"),
        (("sttus", "tiny"), "No such command 'sttus'. Did you mean 'status'"),
    ],
)
def test_wrong_names_are_usage_errors(launched: Launched, args: tuple[str, ...], message: str) -> None:
    """Exit code 2, the nearest known names, and no word on stdout."""
    run = launched.call(*args)
    assert run.code == 2
    assert re.search(message, run.err), run.err
    assert run.out == ""


def test_names_are_shown_as_they_are(tmp_path: Path) -> None:
    """Names with brackets or colons come from the data: they are no markup and no emoji."""
    pair = write_pair(tmp_path)
    for part in ("TRAIN", "TEST"):
        rows = [line.split() for line in pair.with_name(f"Tiny_{part}.txt").read_text().splitlines()]
        body = "\n".join(",".join(row[1:]) + (":[/b]" if float(row[0]) else ":[red]dog") for row in rows)
        head = "@timeStamps false\n@univariate true\n@classLabel true [/b] [red]dog\n@data\n"
        pair.with_name(f"Tiny_{part}.ts").write_text(head + body + "\n")
    run = call("data", "show", "ucr", tmp_path / "Tiny_TRAIN.ts", "--cache", tmp_path / "cache")
    assert "classes: [/b] 6, [red]dog 6" in run.out


@pytest.mark.parametrize("args", [("export", "tiny"), ("status", "tiny"), ("--help",)])
def test_a_full_disk_behind_stdout(launched: Launched, args: tuple[str, ...]) -> None:
    """A result that cannot be written is no bug: one sentence, exit code 1, and no traceback."""
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "hpo.cli", *args],
            cwd=launched.folder,
            stdin=subprocess.DEVNULL,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 1, done.stderr
    assert done.stderr.splitlines()[-1] == "Error: cannot write to standard output: No space left on device"
    assert "Traceback" not in done.stderr


def test_other_refusals_of_the_system_are_bugs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only a refusal of standard output is told so: any other that comes as far as here keeps its traceback."""

    def refuse(found: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("hpo.checking.data_listing_table", refuse)
    with pytest.raises(OSError, match="No space left"):
        call("data", "list")

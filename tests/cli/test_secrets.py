"""A password goes to the database and nowhere else: not into what a study prints, starts or writes."""

import logging
import os
import subprocess
import sys
import threading
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote

import click
import pytest
from click.testing import CliRunner

from hpo import redact
from hpo.console import start_log, storage_files, storage_option
from hpo.store import has_password, redacted, without_password
from hpo.store.connect import backend
from tests.cli.run import TINY, Run, call
from tests.cli.test_commands import COMMANDS, RUNS, options
from tests.postgres import Server
from tests.study.files import write
from tests.support import children

CANARY = "canary51c7"  # looked for
PASSWORD = f"{CANARY}@:/{{x}}%40 '\\"  # hard to write: each character means something to somebody
STORED = {name for name, context in COMMANDS.items() if any(o.name == "storage" for o in options(context))}


@dataclass(frozen=True)
class Place:
    """A database that asks for a password, and a folder.

    Attributes:
        bare: its address without the password.
        file: holds the password, and only its owner may read it.
    """

    folder: Path
    bare: str
    file: Path

    @property
    def full(self) -> str:
        """The address with the password."""
        return self.bare.replace("@", f":{quote(PASSWORD, safe='')}@")


@pytest.fixture(scope="module")
def place(postgres: Server, tmp_path_factory: pytest.TempPathFactory) -> Place:
    """Migrated by an owner; the user is a worker."""
    folder = tmp_path_factory.mktemp("secrets")
    address = postgres.database(f"t{uuid.uuid4().hex}")
    assert call("migrate", "--storage", address).code == 0
    file = folder / "password"
    file.touch(mode=0o600)
    file.write_text(PASSWORD)
    write(folder, TINY)
    return Place(folder, postgres.login(address, PASSWORD.replace("'", "''"), "hpo_worker"), file)


@pytest.fixture(scope="module")
def launched(place: Place) -> tuple[Run, dict[int, tuple[str, str]]]:
    """A real study, its password from a file; how it ended, and all processes: pid -> command line, environment.

    The launch's own environment has the password too, which its children must not inherit.
    """
    command = [sys.executable, "-m", "hpo.cli", "launch", "study.toml", "--workers", "1", "--storage", place.bare]
    environment = {
        **os.environ,
        "HPO_STORAGE_PASSWORD_FILE": str(place.file),
        "PGPASSWORD": PASSWORD,
        "PGPASSFILE": f"/nowhere/{CANARY}",
        "PGSERVICEFILE": f"/nowhere/{CANARY}",
        "HPO_STORAGE": place.full,
        "OPTUNA_STORAGE": place.full,
    }
    process = subprocess.Popen(
        command, cwd=place.folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    seen: dict[int, tuple[str, str]] = {}
    while process.poll() is None:
        for pid in [process.pid, *children(process.pid)]:
            proc = Path("/proc", str(pid))
            try:
                seen[pid] = ((proc / "cmdline").read_text(), (proc / "environ").read_text(errors="replace"))
            except OSError:  # gone meanwhile
                continue
        time.sleep(0.2)
    out, err = process.communicate()
    seen[process.pid] = (seen[process.pid][0], "")  # what it was given is its own
    return Run(process.returncode, out, err), seen


def test_a_study_tells_nobody(place: Place, launched: tuple[Run, dict[int, tuple[str, str]]]) -> None:
    """No output, no file of the study, no command line and no child's environment has the password."""
    run, seen = launched
    assert run.code == 0, run.err
    assert CANARY not in run.out + run.err
    assert len(seen) >= 3  # the launch, its fork server, a trial
    assert [pid for pid, (line, environment) in seen.items() if CANARY in line or CANARY in environment] == []
    files = [file for file in place.folder.rglob("*") if file.is_file() and file != place.file]
    assert any(file.name == "log.txt" for file in files)
    assert [file for file in files if CANARY.encode() in file.read_bytes()] == []


@pytest.fixture
def in_folder(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the study's folder, with nothing remembered: each command has to find out by itself what is secret."""
    monkeypatch.chdir(place.folder)
    monkeypatch.setattr(redact, "_secrets", set())


@pytest.mark.usefixtures("in_folder")
@pytest.mark.parametrize("command", ["status", "list", "show", "logs", "export", "worker", "stop", "launch"])
def test_commands_tell_nobody(place: Place, launched: tuple[Run, object], command: str) -> None:
    """Each works with the password, and prints nothing of it."""
    assert launched[0].code == 0
    run = call("--log-format", "json", command, *RUNS[command], HPO_STORAGE=place.full)
    assert run.code == 0, run.err
    assert CANARY not in run.out + run.err


@pytest.mark.usefixtures("in_folder")
@pytest.mark.parametrize("command", sorted(STORED))
def test_failing_commands_tell_nobody(place: Place, command: str) -> None:
    """A wrong host, a wrong password, a missing database: exit code 4, the address without the password."""
    arguments = [argument for argument in RUNS[command] if argument != "--dry-run"]
    wrong = {
        "server": place.full.replace(place.full.split(":")[-1].split("/")[0], "1"),
        "password": place.bare.replace("@", f":{CANARY}-wrong@"),
        "parameter": f"{place.bare}?password={CANARY}-wrong",
        "database": place.full + "-missing",
        "scheme": place.full.replace("postgresql:", "oracle:"),
        "address": place.full.replace("://", ":/"),
        "coding": place.bare.replace("@", f":p@{CANARY}@"),
    }
    # what is no address never reaches a command: one stands for all
    for what in wrong if command == "list" else ("server", "password"):
        address = wrong[what]
        run = call(command.split()[0], *command.split()[1:], *arguments, HPO_STORAGE=address)
        assert run.code == 4, (what, run.err)
        assert CANARY not in run.out + run.err, what
        assert "Traceback" not in run.err


@pytest.mark.usefixtures("in_folder")
def test_ways_to_give_a_password(place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file with the address, a file with the password, PGPASSFILE and PGPASSWORD all open the database."""
    whole = tmp_path / "address"
    whole.touch(mode=0o600)
    whole.write_text(place.full + "\n")
    assert call("list", "--storage-file", whole).code == 0
    assert call("list", HPO_STORAGE_FILE=str(whole)).code == 0
    assert call("list", "--storage", place.bare, "--storage-password-file", place.file).code == 0
    passfile = tmp_path / "pgpass"
    passfile.touch(mode=0o600)
    passfile.write_text("*:*:*:*:" + PASSWORD.replace("\\", "\\\\").replace(":", "\\:"))
    assert call("list", "--storage", place.bare).code == 4
    monkeypatch.setenv("PGPASSFILE", str(passfile))
    assert call("list", "--storage", place.bare).code == 0
    monkeypatch.delenv("PGPASSFILE")
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    assert call("list", "--storage", place.bare).code == 0


@pytest.mark.parametrize(
    ("options", "environment", "message"),
    [
        (["--storage", "postgresql://u:canary51c7@h/d"], {}, "the password in --storage can be read by everybody"),
        (["--storage", "postgresql://h/d?password=canary51c7"], {}, "the password in --storage can be read by"),
        (["--storage", "postgresql://h/d?sslpassword=canary51c7"], {}, "the password in --storage can be read by"),
        (["--storage", "sqlite:///x", "--storage-file", "f"], {}, "--storage and --storage-file both name a database"),
        ([], {"HPO_STORAGE": "sqlite:///x", "HPO_STORAGE_FILE": "f"}, "both name a database"),
        (["--storage-file", "missing"], {}, "--storage-file: cannot read missing: No such file"),
        (["--storage-file", "empty"], {}, "--storage-file: empty holds 0 lines; accepted: one line of text"),
        (["--storage-file", "two"], {}, "--storage-file: two holds 2 lines"),
        (["--storage", "sqlite:///x", "--storage-password-file", "f"], {}, "the address sqlite:///x takes none"),
        (
            ["--storage-password-file", "f"],
            {"HPO_STORAGE": "postgresql://u:canary51c7@h/d"},
            r"the address postgresql://u:***@h/d has a password already",
        ),
    ],
)
def test_ways_that_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], environment: dict[str, str], message: str
) -> None:
    """Exit code 2: a password on a command line, two that exclude each other, a file that is none."""
    monkeypatch.chdir(tmp_path)
    for name, text in {"f": CANARY, "empty": "\n", "two": f"{CANARY}\n{CANARY}\n"}.items():
        (tmp_path / name).touch(mode=0o600)
        (tmp_path / name).write_text(text)
    run = call("list", *options, **environment)
    assert run.code == 2
    assert message in run.err
    assert CANARY not in run.err


def test_the_passphrase_of_a_key_is_a_password(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is never shown, and schedulers, which keep what they are given, do not get it."""
    address = f"postgresql://u@127.0.0.1:9/d?sslkey=/k.pem&sslpassword={CANARY}"
    assert has_password(address)
    assert CANARY not in redacted(address)
    assert unquote(without_password(address)) == "postgresql://u@127.0.0.1:9/d?sslkey=/k.pem"
    assert CANARY not in backend(address).place
    run = call("list", HPO_STORAGE=address)
    assert run.code == 4
    assert CANARY not in run.out + run.err
    run = call("list", HPO_STORAGE=f"{address}&sslpassword={CANARY}2")
    assert (run.code, "names sslpassword more than once" in run.err) == (4, True)


def test_what_is_typed_wins(tmp_path: Path) -> None:
    """An option beats a variable, whichever of the two it is."""
    (tmp_path / "file").write_text(f"sqlite:///{tmp_path}/from-the-file.db")
    (tmp_path / "file").chmod(0o600)
    run = call("list", "--storage-file", tmp_path / "file", HPO_STORAGE="sqlite:///from-the-variable.db")
    assert "from-the-file.db" in run.err
    run = call("list", "--storage", "sqlite:///typed.db", HPO_STORAGE_FILE=str(tmp_path / "file"))
    assert "there is no database typed.db" in run.err


@pytest.mark.parametrize(
    ("options", "environment", "files"),
    [
        ("--storage sqlite:///x", {"HPO_STORAGE_FILE": "f"}, {}),
        ("--storage-file f", {"HPO_STORAGE": "sqlite:///x"}, {"HPO_STORAGE_FILE": "f"}),
        ("--storage-file f", {"HPO_STORAGE_FILE": "g"}, {"HPO_STORAGE_FILE": "f"}),
        ("", {"HPO_STORAGE_FILE": "f"}, {"HPO_STORAGE_FILE": "f"}),
        (
            "--storage postgresql://u@h/d --storage-password-file g",
            {"HPO_STORAGE_FILE": "f"},
            {"HPO_STORAGE_PASSWORD_FILE": "g"},
        ),
    ],
)
def test_a_file_counts_where_the_address_came_from_it(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: str,
    environment: dict[str, str],
    files: dict[str, str],
) -> None:
    """Workers elsewhere are told of the files that were read here, and of no others."""
    monkeypatch.chdir(tmp_path)
    for name in "fg":
        Path(name).touch(mode=0o600)
        Path(name).write_text("postgresql://u@h/other")
    found: list[dict[str, Path]] = []

    @click.command()
    @storage_option
    def probe(storage: str) -> None:
        assert storage
        found.append(storage_files())

    done = CliRunner().invoke(probe, options.split(), env=environment)
    assert done.exit_code == 0, done.output
    assert found == [{name: Path(file) for name, file in files.items()}]


def test_a_readable_secret_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that others can read still works, but it is said, with the command that helps."""
    monkeypatch.setattr(redact, "_secrets", set())  # another test's password may be a word of the message
    file = tmp_path / "address"
    file.write_text(f"sqlite:///{tmp_path}/none.db")
    file.chmod(0o640)
    assert f"{file} can be read by others: chmod 600 {file}" in call("list", "--storage-file", file).err
    file.chmod(0o600)
    assert "can be read by others" not in call("list", "--storage-file", file).err


@pytest.mark.parametrize("form", ["text", "json"])
def test_the_log_is_the_last_guard(capsys: pytest.CaptureFixture[str], form: str) -> None:
    """Whoever logs an error with a password in it by mistake: the log has three stars instead, the traceback too."""
    log = logging.getLogger("hpo")
    before = log.handlers, log.level, log.propagate
    hooks = sys.excepthook, threading.excepthook
    error = ValueError("cannot open postgresql://u:canary51c7-b@h/d: password='canary51c7 c', canary51c7%40x")
    redact.remember("canary51c7@x")
    try:
        start_log(form)
        log.error("it failed: %s", "password=canary51c7-a", exc_info=error)
        sys.excepthook(ValueError, error, None)
        threading.excepthook(threading.ExceptHookArgs((ValueError, error, None, None)))
    finally:
        log.handlers, log.level, log.propagate = before
        sys.excepthook, threading.excepthook = hooks
    said = capsys.readouterr().err
    assert "canary" not in said
    assert said.count("postgresql://u:***@h/d") == 3

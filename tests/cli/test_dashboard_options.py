"""`hpo dashboard` as a person types it: what it refuses before it listens, and the lines of a users file."""

import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from hpo.dashboard.accounts import read_users
from tests.cli.run import Launched, Run, start

USERS = "anna:editor:scrypt$32$8$1$AAAAAAAAAAAAAAAAAAAAAA==$" + "A" * 43 + "=\n"


@pytest.fixture
def users(tmp_path: Path) -> Path:
    """A users file."""
    file = tmp_path / "users"
    file.write_text(USERS)
    file.chmod(0o600)
    return file


EVERY = "0.0.0.0"  # noqa: S104 - nothing listens there for longer than a look


@pytest.mark.parametrize("host", [EVERY, "::", "192.0.2.1", "hpo.example"])
def test_no_address_is_open_without_users(launched: Launched, host: str) -> None:
    """Exit code 2 before anything listens, with what to do."""
    run = launched.call("dashboard", "--host", host)
    assert run.code == 2
    assert f"--host {host} can be reached from other machines, and nobody would have to log in" in run.err
    assert "--make-user" in run.err
    assert run.out == ""


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--proxy", "10.0.0.2", "--allow-host", "hpo.example"], "--proxy 10.0.0.2 speaks for other machines"),
        (["--allow-host", "hpo.example"], "--allow-host hpo.example is a name by which others call it"),
    ],
)
def test_no_way_in_from_outside_is_open_without_users(
    launched: Launched, users: Path, options: list[str], message: str
) -> None:
    """Also where it listens at the loopback: a proxy or a name of its own is how others come in."""
    run = launched.call("dashboard", "--dry-run", "--port", "0", "--anonymous", "editor", *options)
    assert (run.code, run.out) == (2, "")
    assert f"{message}, and nobody would have to log in" in run.err
    assert f"or leave {options[0]} out" in run.err
    assert "users:    anna (editor)" in dry(launched, "--users-file", users, *options).out


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (["--users-file", "nothing"], 2, "--users-file: cannot read nothing: No such file"),
        (["--token-file", "nothing"], 2, "--token-file: cannot read nothing"),
        (["--certfile", "cert.pem"], 2, "TLS needs --certfile and --keyfile, both"),
        (
            ["--certfile", "cert.pem", "--keyfile", "key.pem"],
            2,
            "--certfile: cannot use cert.pem with key.pem: No such",
        ),
        (["--audit-file", "/dev/null/audit"], 2, "--audit-file: cannot write /dev/null/audit: Not a directory"),
        (["--host", "192.0.2.1", "--users-file", "USERS"], 2, "cannot listen at 192.0.2.1 port 8080: .*--port"),
        (["--storage", "sqlite:///nothing.db"], 4, "there is no database nothing.db"),
        (["--make-user", "no name"], 2, "--make-user: 'no name' is no name"),
        (["--make-user", "token"], 2, "--make-user: 'token' is no name"),
        (["--make-user", "anna"], 2, "a password of 0 characters; accepted: at least 8"),
        (["--token", "x"], 2, "No such option"),
        (["--password", "x"], 2, "No such option"),
    ],
)
def test_what_is_refused(launched: Launched, users: Path, options: list[str], code: int, message: str) -> None:
    """Mistakes are said before it listens; no option takes a secret."""
    run = launched.call("dashboard", *[str(users) if option == "USERS" else option for option in options])
    assert run.code == code
    assert re.search(message, run.err), run.err


def test_a_port_that_is_taken(launched: Launched) -> None:
    """It says so, and how to take another one."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        run = launched.call("dashboard", "--port", str(taken.getsockname()[1]))
    assert run.code == 2
    assert "Address already in use; --port takes another one" in run.err


def test_a_look_before(launched: Launched, users: Path) -> None:
    """`--dry-run` says where it would listen, who may come in, and by which names."""
    run = dry(launched)
    assert "users:    nobody logs in; everybody is viewer" in run.out
    run = dry(launched, "--host", EVERY, "--users-file", users, "--allow-host", "hpo.example")
    assert "users:    anna (editor)" in run.out
    assert "hpo.example" in run.out
    assert "unencrypted" in run.err
    assert "1 studies" in run.out


def dry(launched: Launched, *options: str | Path) -> Run:
    """A look at a free port."""
    run = launched.call("dashboard", "--dry-run", "--port", "0", *options)
    assert run.code == 0, run.err
    return run


def test_a_line_for_the_users_file(tmp_path: Path) -> None:
    """What `--make-user` prints is a line of a users file, and the password is no part of it."""
    done = subprocess.run(
        [sys.executable, "-m", "hpo.cli", "dashboard", "--make-user", "anna", "--role", "editor"],
        input="a long password\n", capture_output=True, text=True, check=True,
    )  # fmt: skip
    file = tmp_path / "users"
    file.write_text(done.stdout)
    file.chmod(0o600)
    assert read_users(file)["anna"].role == "editor"
    assert "password" not in done.stdout


def test_a_missing_extra_is_named(tmp_path: Path) -> None:
    """Without gunicorn it says what to install, and is no traceback."""
    run = start(tmp_path, "dashboard", hide=["gunicorn"])
    assert run.code == 2
    assert (
        "hpo dashboard needs gunicorn, which is not installed. In a checkout of hpo: pip install '.[dashboard]'"
        in run.err
    )

"""A real PostgreSQL server of our own for tests: made in a temporary folder, stopped and removed at the end."""

import glob
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import uuid
from pathlib import Path

import psycopg


def binaries() -> Path | None:
    """The folder with initdb and pg_ctl, newest version first; None where there is none."""
    candidates = [os.environ.get("HPO_PG_BIN", ""), *sorted(glob.glob("/usr/lib/postgresql/*/bin"), reverse=True)]  # noqa: PTH207 - a pattern of absolute paths
    found = shutil.which("initdb")
    candidates.append(str(Path(found).resolve().parent) if found else "")
    return next((Path(folder) for folder in candidates if folder and Path(folder, "initdb").exists()), None)


class Server:
    """One server on a free port of the loopback interface; who is not made by `login` needs no password.

    Args:
        programs: folder with initdb and pg_ctl.
        data: an empty folder for its data; None for one of its own.
        listen: one more address to listen on.
        trusts: the network of that address, from which everybody may come in.
    """

    def __init__(self, programs: Path, *, data: Path | None = None, listen: str = "", trusts: str = "") -> None:
        self._programs = programs
        self._folder = Path(tempfile.mkdtemp(prefix="hpo-postgres-"))
        self._data = str(data or self._folder / "data")
        self._addresses = ",".join(filter(None, ("127.0.0.1", listen)))
        self._user = "postgres" if os.getuid() == 0 else pwd.getpwuid(os.getuid()).pw_name
        if os.getuid() == 0:  # the server refuses to run as root
            shutil.chown(self._folder, "postgres", "postgres")
            if data is not None:
                shutil.chown(data, "postgres", "postgres")
        words = ["--no-sync", "--auth=trust", "--encoding=UTF8", "--locale=C", "-U", "hpo", "-D", self._data]
        if data is not None:  # what lies on a small disk has a log of writes in small pieces
            words.append("--wal-segsize=1")
        self._run("initdb", *words)
        rules = Path(self._data, "pg_hba.conf")
        trusted = f"host all all {trusts} trust\n" if trusts else ""
        rules.write_text("host all +locked 127.0.0.1/32 scram-sha-256\n" + trusted + rules.read_text())
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self.start()

    def _run(self, program: str, *words: str) -> None:
        command = [str(self._programs / program), *words]
        if os.getuid() == 0:
            command = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", *command]
        # without our mark: the server outlives single tests, and is nobody's left-over
        environment = {name: value for name, value in os.environ.items() if name != "PYTEST_RUN"}
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment, cwd=self._folder)

    def start(self) -> None:
        """Starts the server and waits until it answers."""
        options = f"-p {self.port} -h {self._addresses} -k {self._folder} -c fsync=off -c max_connections=100"
        self._run("pg_ctl", "-D", self._data, "-w", "-l", str(self._folder / "log"), "-o", options, "start")

    @property
    def running(self) -> bool:
        """Whether it was not stopped, and did not give up."""
        try:
            self._run("pg_ctl", "-D", self._data, "status")
        except subprocess.CalledProcessError:
            return False
        return True

    @property
    def said(self) -> str:
        """Its log."""
        return (self._folder / "log").read_text(errors="replace")

    def stop(self, mode: str = "fast") -> None:
        """Stops it: "fast" in order, "immediate" as a crash would."""
        self._run("pg_ctl", "-D", self._data, "-w", "-m", mode, "stop")

    def remove(self) -> None:
        """Stops it and removes its folder."""
        if self.running:
            self.stop("immediate")
        shutil.rmtree(self._folder, ignore_errors=True)

    def database(self, name: str) -> str:
        """A new, empty database; returns its address."""
        self._run("createdb", "-h", "127.0.0.1", "-p", str(self.port), "-U", "hpo", name)
        return f"postgresql://hpo@127.0.0.1:{self.port}/{name}"

    def login(self, address: str, password: str, *roles: str, options: str = "") -> str:
        """A new user with a password, member of these roles; returns the address with the user's name, without it."""
        name = f"u{uuid.uuid4().hex}"
        with psycopg.connect(address, autocommit=True) as connection:
            if not connection.execute("select 1 from pg_roles where rolname = 'locked'").fetchone():
                connection.execute("create role locked")
            users = ", ".join(("locked", *roles))
            connection.execute(f"create role {name} login {options} password '{password}' in role {users}")
        return address.replace("hpo@", f"{name}@")

"""docker-compose.yml, Dockerfile and systemd unit: valid, and safe by what they say. No engine runs here."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from hpo import cli
from tests.conftest import ROOT, Require

COMPOSE = ROOT / "docker-compose.yml"


@pytest.fixture(scope="module")
def services() -> dict[str, dict[str, Any]]:
    """All services, anchors and merges resolved."""
    found: dict[str, dict[str, Any]] = yaml.safe_load(COMPOSE.read_text())["services"]
    return found


def test_compose_knows_every_key() -> None:
    """The specification's schema takes the file."""
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(COMPOSE)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_nobody_outside_reaches_the_database(services: dict[str, dict[str, Any]]) -> None:
    """No service publishes a port, but on the loopback interface; the network has no way out."""
    for name, service in services.items():
        for port in service.get("ports", []):
            assert str(port).startswith("127.0.0.1:"), name
    assert "ports" not in services["db"]
    assert yaml.safe_load(COMPOSE.read_text())["networks"] == {"inside": {"internal": True}, "outside": None}
    assert [name for name, service in services.items() if "outside" in service["networks"]] == ["dashboard"]


def test_the_dashboard_has_users(services: dict[str, dict[str, Any]]) -> None:
    """Its command is one that hpo takes, and who comes in stands in a secret."""
    dashboard = services["dashboard"]
    assert "dashboard_users" in dashboard["secrets"]
    context = cli.main.make_context("hpo", dashboard["command"], resilient_parsing=True)
    command = cli.main.commands["dashboard"].make_context("dashboard", dashboard["command"][1:], parent=context)
    assert command.params["users_file"] == Path("/run/secrets/dashboard_users")
    assert (command.params["host"], command.params["port"]) == ("0.0.0.0", 8080)  # noqa: S104 - nothing is bound here


def test_passwords_are_files(services: dict[str, dict[str, Any]]) -> None:
    """No environment variable and no command holds an address or a password: they name files."""
    assert "postgresql://" not in re.sub(r"(?m)^#.*$", "", COMPOSE.read_text())
    for name, service in services.items():
        for variable in service.get("environment", {}):
            if "PASSWORD" in variable or "STORAGE" in variable:
                assert variable.endswith("_FILE"), (name, variable)
    assert "secrets/" in (ROOT / ".gitignore").read_text().split()


@pytest.mark.parametrize("umask", ["022", "077"])
def test_containers_can_read_the_secrets_that_its_first_lines_make(
    services: dict[str, dict[str, Any]], tmp_path: Path, umask: str
) -> None:
    """A file's mount has the owner and the mode of the file: its reader is one of the others, who cannot change it.
    On the machine itself the others do not get into the folder.
    """
    head = COMPOSE.read_text().partition("\nx-hpo:")[0]
    commands = [line.removeprefix("#   ") for line in head.splitlines() if line.startswith("#   ")]
    (tmp_path / "programs").mkdir()
    for program in ("docker", "openssl"):  # what they print becomes a secret
        (tmp_path / "programs" / program).write_text("#!/bin/sh\necho it\n")
        (tmp_path / "programs" / program).chmod(0o755)
    # a remark, or another way of the same command, stands behind many blanks
    script = "\n".join([f"umask {umask}", *(re.split(r"\s{3,}", command)[0] for command in commands)])
    path = f"{tmp_path}/programs:/usr/bin:/bin"
    done = subprocess.run(["bash", "-e"], input=script, cwd=tmp_path, env={"PATH": path}, text=True, check=False)
    assert done.returncode == 0
    assert (tmp_path / "secrets").stat().st_mode & 0o777 == 0o700
    names = {name for service in services.values() for name in service.get("secrets", [])}
    assert {file.name: file.stat().st_mode & 0o777 for file in (tmp_path / "secrets").iterdir()} == dict.fromkeys(
        names, 0o644
    )
    assert (tmp_path / "secrets" / "storage_url").read_text() == "postgresql://hpo:it@db/hpo"


def test_our_containers_can_do_nothing_else(services: dict[str, dict[str, Any]]) -> None:
    """Not root, nothing to gain, read only but for the data and /tmp, a limit of processes."""
    for name, service in services.items():
        assert service["cap_drop"] == ["ALL"], name
        assert "no-new-privileges:true" in service["security_opt"], name
        if name != "db":
            assert service["user"] == "10001:10001", name
            assert service["read_only"], name
            assert service["init"], name
            assert service["pids_limit"], name


def test_workers_wait_for_the_tables_and_have_time_to_drain(services: dict[str, dict[str, Any]]) -> None:
    """The database is healthy before migrate, which ends before a worker; the stop is longer than the drain."""
    assert services["db"]["healthcheck"]["test"]
    assert services["migrate"]["depends_on"] == {"db": {"condition": "service_healthy"}}
    for name in ("worker-cpu", "worker-gpu"):
        worker = services[name]
        assert worker["depends_on"] == {"migrate": {"condition": "service_completed_successfully"}}
        grace = int(worker["command"][worker["command"].index("--grace") + 1])
        assert int(worker["stop_grace_period"].removesuffix("s")) > grace
        assert re.fullmatch(
            r"on-failure:\d", worker["restart"]
        )  # an ended study is not begun again, nor a bad one for ever
        assert len(worker["profiles"]) == 1


def test_one_worker_has_all_gpus(services: dict[str, dict[str, Any]]) -> None:
    """Not one GPU for each replica, which Compose cannot do."""
    devices = services["worker-gpu"]["deploy"]["resources"]["reservations"]["devices"]
    assert [(device["count"], device["capabilities"]) for device in devices] == [("all", ["gpu"])]


def test_the_dockerfile_is_clean() -> None:
    """Hadolint finds nothing."""
    program = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([program, str(ROOT / "Dockerfile")], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_images_are_pinned(services: dict[str, dict[str, Any]]) -> None:
    """Other people's images by a full version; ours is built from the lock and runs as nobody special."""
    assert re.search(r":\d+\.\d+", services["db"]["image"])
    dockerfile = (ROOT / "Dockerfile").read_text()
    assert re.search(r"^ARG BASE=\S+:\d+\.\d+\.\d+", dockerfile, re.MULTILINE)
    assert "requirements.lock" in dockerfile
    assert dockerfile.rindex("USER 10001:10001") < dockerfile.index("ENTRYPOINT")
    for line in (ROOT / ".dockerignore").read_text().splitlines()[1:]:
        assert line.startswith("**") or (ROOT / line.removeprefix("!")).exists(), line


def test_systemd_takes_the_unit(tmp_path: Path, require: Require) -> None:
    """No unknown key, no wrong value; mistakes that would come again are not retried, a drained worker is."""
    require(shutil.which("systemd-analyze"), "needs systemd-analyze (Debian: apt-get install systemd)")
    unit = tmp_path / "hpo-worker@.service"
    text = (ROOT / "deploy" / "hpo-worker@.service").read_text()
    # the programs that it names are not installed here
    unit.write_text(text.replace("/opt/hpo/bin/hpo", "/bin/true"))
    done = subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, check=False)
    assert str(unit.name) not in done.stderr, done.stderr
    assert "RestartPreventExitStatus=2 3 4 5\n" in text
    assert {"SuccessExitStatus=75", "RestartForceExitStatus=75"} <= set(text.splitlines())
    # folders on other disks, as its first lines advise, can be written, and ~/.pgpass can be read
    assert {"ProtectSystem=full", "ProtectHome=read-only"} <= set(text.splitlines())
    timeout = int(re.findall(r"TimeoutStopSec=(\d+)", text)[0])
    assert timeout > int(re.findall(r"--grace (\d+)", text)[0])

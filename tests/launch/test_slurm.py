"""Workers on a real SLURM: an array job, its GPUs, a requeue; and what is handed to sbatch."""

import re
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from hpo.artifacts.address import open_artifacts
from hpo.artifacts.folder import Folder
from hpo.errors import UsageError
from hpo.launch import Wish, slurm
from hpo.settings import Times, worker_environment
from tests.cli.run import TINY, call
from tests.postgres import Server
from tests.s3 import CANARY, S3
from tests.slurm import Cluster
from tests.study.files import write

URL = "postgresql://hpo@db.example/hpo"
TIMES = ("--grace", "0.5", "--renew", "0.5", "--lease", "8")


def wish(tmp_path: Path, storage: str = URL, **changes: object) -> Wish:
    """Three workers."""
    folders = {"artifacts": Folder(tmp_path / "a"), "cache": tmp_path / "c"}
    return Wish(**{"study": "s", "storage": storage, "workers": 3, "threads": 2, **folders, **changes})  # type: ignore[arg-type] # a test's shortcut


def test_the_script_asks_for_what_the_workers_need(tmp_path: Path) -> None:
    """A task, its cores and a GPU for each worker, an early TERM, a requeue on 75; no database, no password."""
    script = slurm.plan(wish(tmp_path, slots_per_gpu=2, times=Times(grace=40))).script
    lines = set(script.splitlines())
    wanted = {"--array=0-2", "--cpus-per-task=4", "--gres=gpu:1", "--requeue", "--signal=B:TERM@100"}
    assert {f"#SBATCH {option}" for option in wanted} <= lines
    assert "postgresql" not in script
    assert "--gres" not in slurm.plan(wish(tmp_path, gpus="none")).script
    subprocess.run(["bash", "-n"], input=script, text=True, check=True)


def test_workers_say_in_a_folder_what_they_have_to_say(tmp_path: Path, s3: S3) -> None:
    """SLURM writes no bucket: with the trials' files in one, what workers print goes into the cache."""
    store = open_artifacts(s3.bucket())
    script = slurm.plan(wish(tmp_path, artifacts=store)).script
    assert f'--output="{tmp_path}/c/slurm/s/slurm-%A_%a.log"' in script
    assert f"--artifacts {store.address} " in script
    assert CANARY not in script


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"storage": "sqlite:///hpo.db"}, "needs a database on a server, and sqlite:///hpo.db is a file"),
        ({"storage": "postgresql://u:canary@h/d"}, r"postgresql://u:\*\*\*@h/d holds a password.*PGPASSFILE"),
        ({"gpus": "0,1"}, "SLURM chooses the GPUs; accepted: auto .*, none"),
    ],
)
def test_what_cannot_work_elsewhere_is_refused(tmp_path: Path, changes: dict[str, str], message: str) -> None:
    """A database in a file, a password that SLURM would keep, GPUs by number: refused, the password not shown."""
    with pytest.raises(UsageError, match=message) as caught:
        slurm.plan(wish(tmp_path, **changes))
    assert "canary" not in str(caught.value)


def test_sbatch_takes_nasty_folder_names(tmp_path: Path, slurm: Cluster) -> None:
    """Spaces, quotes, percent signs and dollars in folders come through sbatch and bash as they are."""
    from hpo.launch.slurm import plan

    folder = tmp_path / "it's 100%j $HOME & more"
    (folder / "s").mkdir(parents=True)
    script = plan(wish(tmp_path, artifacts=Folder(folder), workers=1, threads=1, gpus="none")).script
    python = re.escape(sys.executable)
    # the worker's own words are printed instead of run
    script = re.sub(rf"^{python} -m hpo.cli (.*) &$", r"printf '%s|' \1 &", script, flags=re.MULTILINE)
    (tmp_path / "script").write_text(script)
    done = slurm.run("sbatch", "--wait", "--parsable", str(tmp_path / "script"))
    assert done.returncode == 0, done.stderr
    job = done.stdout.strip()
    said = (folder / "s" / f"slurm-{job}_0.log").read_text()
    assert f"--artifacts|{folder}|" in said


def submitted(slurm: Cluster, monkeypatch: pytest.MonkeyPatch, wish: Wish, worker: str) -> str:
    """A job whose workers are a command of the shell. Returns its id."""
    from hpo.launch.slurm import plan, submit

    for name, value in slurm.environment.items():
        monkeypatch.setenv(name, value)
    planned = plan(wish)
    script = re.sub(r"^\S*python\S* -m hpo.cli .* &$", f"{worker} &", planned.script, flags=re.MULTILINE)
    return submit(replace(planned, script=script))


def wait_until(ready: Callable[[], bool]) -> None:
    """Looks again and again for a minute."""
    deadline = time.monotonic() + 60
    while not ready():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def seen_by_a_worker(tmp_path: Path, slurm: Cluster, monkeypatch: pytest.MonkeyPatch, wish: Wish) -> dict[str, str]:
    """The environment that a task of the job has: its worker prints it instead of working."""
    monkeypatch.chdir(tmp_path)
    job = submitted(slurm, monkeypatch, wish, "env -0 > environment")
    wait_until(lambda: not slurm.run("squeue", "--noheader", "--jobs", job).stdout.strip())
    return dict(line.split("=", 1) for line in (tmp_path / "environment").read_text().split("\0") if "=" in line)


@pytest.mark.parametrize(
    ("order", "trap", "state"),
    [
        (["scancel"], "trap 'exit 75' TERM", "CANCELLED"),
        (["scancel", "--batch", "-sTERM"], "trap 'exit 75' TERM", "PENDING"),
        (["scancel", "--batch", "-sTERM"], "", "PENDING"),
    ],
    ids=["cancelled", "told to leave", "told before it can hear"],
)
def test_who_was_told_to_leave_comes_back_unless_cancelled(
    tmp_path: Path, slurm: Cluster, monkeypatch: pytest.MonkeyPatch, order: list[str], trap: str, state: str
) -> None:
    """Near its time limit a task hears TERM, and is queued again when its worker ends with 75, or is still starting;
    one that was cancelled hears the same, and is gone.
    """
    begun, stub = tmp_path / "begun", tmp_path / "stub"
    stub.write_text(f"{trap}\ntouch {begun}\nwhile :; do sleep 0.1; done\n")
    job = submitted(slurm, monkeypatch, wish(tmp_path, workers=1, threads=1, gpus="none"), f"bash {stub}")
    wait_until(begun.exists)
    assert slurm.run(*order, job).returncode == 0

    def now() -> str:
        found = re.search(r"JobState=(\w+)", slurm.run("scontrol", "show", "job", job).stdout)
        return found[1] if found else "gone"

    wait_until(lambda: now() not in ("RUNNING", "COMPLETING"))
    assert now() == state
    slurm.run("scancel", job)


def test_workers_get_the_very_database_and_no_secret(
    tmp_path: Path, slurm: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Variables that name another database, or hold a secret, stay here; those that name files go along."""
    stays = {
        "HPO_STORAGE_FILE": "/etc/other-database",
        "HPO_STORAGE_PASSWORD_FILE": "/etc/its-password",
        "PGPASSWORD": CANARY,
        "AWS_ACCESS_KEY_ID": CANARY,
        "AWS_SECRET_ACCESS_KEY": CANARY,
        "AWS_SESSION_TOKEN": CANARY,
        "HPO_DASHBOARD_TOKEN": CANARY,
        "DATABASE_URL": CANARY,
    }
    goes = {"PGPASSFILE": "/shared/pgpass", "AWS_SHARED_CREDENTIALS_FILE": "/shared/keys", "HPO_GPUS": "none"}
    for name, value in {**stays, **goes}.items():
        monkeypatch.setenv(name, value)
    seen = seen_by_a_worker(tmp_path, slurm, monkeypatch, wish(tmp_path, workers=1, threads=1, gpus="none"))
    assert stays.keys() & seen.keys() == set()
    assert seen.items() >= {**goes, "HPO_STORAGE": URL}.items()
    assert CANARY not in str(seen)


def test_files_with_the_address_go_along(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The file that the address came from stands in its place, the one with the password beside it; from any folder."""
    monkeypatch.setenv("HPO_STORAGE", "postgresql://hpo@other/hpo")
    monkeypatch.chdir(tmp_path)
    seen = worker_environment(URL, {"HPO_STORAGE_FILE": Path("address")})
    assert {name: value for name, value in seen.items() if name.startswith("HPO_STORAGE")} == {
        "HPO_STORAGE_FILE": str(tmp_path / "address")
    }
    seen = worker_environment(URL, {"HPO_STORAGE_PASSWORD_FILE": Path("/password")})
    assert (seen["HPO_STORAGE"], seen["HPO_STORAGE_PASSWORD_FILE"]) == (URL, "/password")
    full = "postgresql://hpo:canary@db.example/hpo"
    assert "canary" not in slurm.plan(wish(tmp_path, full, files={"HPO_STORAGE_FILE": Path("address")})).script


def test_secrets_that_only_variables_hold_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, s3: S3) -> None:
    """Before anything is submitted, with the name of what would do; where a file has the secret, nothing is refused."""
    monkeypatch.delenv("PGPASSFILE", raising=False)
    monkeypatch.setenv("PGPASSWORD", CANARY)
    with pytest.raises(UsageError, match=r"PGPASSWORD holds .* SLURM keeps .* Unset it, and name .* PGPASSFILE"):
        slurm.plan(wish(tmp_path))
    with_password = "postgresql://hpo:x@db.example/hpo"
    assert slurm.plan(wish(tmp_path, with_password, files={"HPO_STORAGE_PASSWORD_FILE": Path("/password")})).script
    monkeypatch.setenv("PGPASSFILE", "/shared/pgpass")
    assert slurm.plan(wish(tmp_path)).script
    bucket = open_artifacts(s3.bucket())
    for name in ("AWS_PROFILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", CANARY)
    with pytest.raises(UsageError, match=r"AWS_SECRET_ACCESS_KEY holds .* AWS_SHARED_CREDENTIALS_FILE, or AWS_PROFILE"):
        slurm.plan(wish(tmp_path, artifacts=bucket))
    assert slurm.plan(wish(tmp_path)).script  # its files are in a folder
    monkeypatch.setenv("AWS_PROFILE", "hpo")
    assert slurm.plan(wish(tmp_path, artifacts=bucket)).script


@pytest.mark.timeout(400)  # two workers import TensorFlow, one of them twice
def test_an_array_works_on_a_study_and_survives_a_requeue(
    tmp_path: Path, slurm: Cluster, postgres: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two workers with a GPU each; one is requeued in mid-trial: another takes its trial over, and all are recorded.

    The database is the one that was typed, for the workers too, although a variable names a file with another.
    """
    other = tmp_path / "address"
    other.touch(mode=0o600)
    other.write_text(f"sqlite:///{tmp_path}/other.db")
    monkeypatch.setenv("HPO_STORAGE_FILE", str(other))
    for name, value in slurm.environment.items():
        monkeypatch.setenv(name, value)
    storage = postgres.database(f"t{uuid.uuid4().hex}")
    assert call("migrate", "--storage", storage).code == 0
    study = write(tmp_path, {**TINY, "train": {"max_epochs": 200, "patience": 200}, "budget": {"trials": 3}})
    artifacts = tmp_path / "artifacts"
    folders = ("--artifacts", artifacts, "--cache", tmp_path / "cache")
    command = ["launch", study, "--on", "slurm", "--workers", "2", "--storage", storage, *folders, *TIMES]
    launch = subprocess.Popen([sys.executable, "-m", "hpo.cli", *map(str, command)], stderr=subprocess.PIPE, text=True)
    trials, begun = artifacts / "tiny", None
    deadline = time.monotonic() + 120
    while begun is None:  # the first that says which GPU it has: it has only begun
        assert time.monotonic() < deadline, launch.poll()
        begun = next(
            filter(None, (re.search(r"GPU (\S+)", file.read_text()) for file in trials.glob("[0-9]/log.txt"))), None
        )
        time.sleep(0.1)
    jobs = slurm.run("squeue", "--noheader", "--format=%i", "--array").stdout.split()
    assert len(jobs) == 2
    (job,) = (job for job in jobs if f"(IDX:{begun[1]})" in slurm.run("scontrol", "show", "job", "-d", job).stdout)
    requeued = slurm.run("scontrol", "requeue", job)
    assert requeued.returncode == 0, requeued.stderr
    _, said = launch.communicate(timeout=200)
    assert launch.returncode == 0, said
    wait_until(lambda: not slurm.run("squeue", "--noheader", "--states=RUNNING,COMPLETING").stdout.strip())
    logs = {int(file.parent.name): file.read_text() for file in trials.glob("[0-9]/log.txt")}
    assert set(re.findall(r"GPU (\S+)", "".join(logs.values()))) == {"0", "1"}
    assert any("attempt 2" in text for text in logs.values())
    assert call("status", "tiny", "--json", "--storage", storage).json()["counts"]["complete"] == 3

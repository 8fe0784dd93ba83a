"""Workers on a real SLURM: an array job, its GPUs, a requeue; and what is handed to sbatch."""

import re
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest

from hpo.artifacts.address import open_artifacts
from hpo.artifacts.folder import Folder
from hpo.errors import UsageError
from hpo.launch import Wish, slurm
from hpo.settings import Times
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


@pytest.mark.timeout(300)  # two workers import TensorFlow, one of them twice
def test_an_array_works_on_a_study_and_survives_a_requeue(
    tmp_path: Path, slurm: Cluster, postgres: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two workers with a GPU each; one is requeued in mid-trial: another takes its trial over, and all are recorded."""
    for name, value in slurm.environment.items():
        monkeypatch.setenv(name, value)
    storage = postgres.database(f"t{uuid.uuid4().hex}")
    assert call("migrate", "--storage", storage).code == 0
    study = write(tmp_path, {**TINY, "train": {"max_epochs": 80, "patience": 80}, "budget": {"trials": 3}})
    artifacts = tmp_path / "artifacts"
    folders = ("--artifacts", artifacts, "--cache", tmp_path / "cache")
    command = ["launch", study, "--on", "slurm", "--workers", "2", "--storage", storage, *folders, *TIMES]
    launch = subprocess.Popen([sys.executable, "-m", "hpo.cli", *map(str, command)], stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    trials = artifacts / "tiny"
    while len(list(trials.glob("[01]/log.txt"))) < 2:
        assert time.monotonic() < deadline, launch.poll()
        time.sleep(0.2)
    job = slurm.run("squeue", "--noheader", "--format=%i", "--array").stdout.split()
    assert len(job) == 2
    requeued = slurm.run("scontrol", "requeue", job[1])
    assert requeued.returncode == 0, requeued.stderr
    _, said = launch.communicate(timeout=150)
    assert launch.returncode == 0, said
    logs = {int(file.parent.name): file.read_text() for file in trials.glob("[0-9]/log.txt")}
    assert set(re.findall(r"GPU (\S+)", "".join(logs.values()))) == {"0", "1"}
    assert any("attempt 2" in text for text in logs.values())
    assert call("status", "tiny", "--json", "--storage", storage).json()["counts"]["complete"] == 3

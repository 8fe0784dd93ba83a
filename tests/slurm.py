"""A real SLURM of our own for tests: one node on the loopback interface, with two GPUs that are none."""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "scontrol", "squeue")
START_SECONDS = 90

_CONFIGURATION = """\
ClusterName=hpo
SlurmctldHost=localhost(127.0.0.1)
SlurmctldPort={controller}
SlurmdPort={node}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
SlurmUser=root
SlurmdUser=root
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/pgid
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
GresTypes=gpu
MpiDefault=none
ReturnToService=2
SchedulerParameters=batch_sched_delay=0,sched_min_interval=0
NodeName=localhost NodeHostname={host} NodeAddr=127.0.0.1 CPUs=2 Gres=gpu:2
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


def missing() -> list[str]:
    """Programs that this machine lacks."""
    return [name for name in PROGRAMS if shutil.which(name) is None]


class Cluster:
    """munge, controller and one node. Only root can start them. `environment` is what SLURM's commands need."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="hpo-slurm-"))
        self._folder.chmod(0o755)
        for name in ("state", "spool"):
            (self._folder / name).mkdir()
        key = self._folder / "munge.key"
        key.write_bytes(os.urandom(1024))
        key.chmod(0o400)
        for i in range(2):  # character devices: SLURM refuses plain files
            subprocess.run(["mknod", str(self._folder / f"nvidia{i}"), "c", "1", "3"], check=True)
        (self._folder / "gres.conf").write_text(f"NodeName=localhost Name=gpu File={self._folder}/nvidia[0-1]\n")
        controller, node = _free_ports(2)
        text = _CONFIGURATION.format(
            folder=self._folder, controller=controller, node=node, host=socket.gethostname().partition(".")[0]
        )
        (self._folder / "slurm.conf").write_text(text)
        self.environment = {"SLURM_CONF": str(self._folder / "slurm.conf")}
        self._processes: list[subprocess.Popen[bytes]] = []
        munge = [f"--{word}={self._folder}/munge.{word.split('-')[0]}" for word in ("socket", "key-file", "pid-file")]
        munge += [f"--log-file={self._folder}/munge.log", f"--seed-file={self._folder}/munge.seed"]
        self._start("munged", "--foreground", "--force", *munge)
        self._wait(lambda: (self._folder / "munge.socket").exists(), "munged")
        self._start("slurmctld", "-D")
        self._start("slurmd", "-D", "-N", "localhost")
        self._wait(lambda: "idle" in self.run("sinfo", "--noheader", "--format=%t").stdout, "the node")

    def _start(self, *command: str) -> None:
        log = (self._folder / f"{command[0]}.out").open("wb")
        # without our mark: the cluster outlives single tests, and is nobody's left-over
        environment = {name: value for name, value in os.environ.items() if name != "PYTEST_RUN"} | self.environment
        with log:
            self._processes.append(subprocess.Popen(command, env=environment, stdout=log, stderr=log))

    def _wait(self, ready: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not ready():
            if time.monotonic() > deadline:
                said = {file.name: file.read_text(errors="replace")[-2000:] for file in self._folder.glob("*.out")}
                raise TimeoutError(f"{what} did not come up: {said}")
            time.sleep(0.1)

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """One of SLURM's commands."""
        return subprocess.run(command, env=os.environ | self.environment, capture_output=True, text=True, check=False)

    def remove(self) -> None:
        """Cancels all jobs, stops everything and removes the folder."""
        self.run("scancel", "--user=root", "--signal=KILL", "--full")
        self.run("scancel", "--user=root")
        for process in reversed(self._processes):
            process.terminate()
        for process in self._processes:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)


def _free_ports(count: int) -> list[int]:
    probes = [socket.socket() for _ in range(count)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    ports = [int(probe.getsockname()[1]) for probe in probes]
    for probe in probes:
        probe.close()
    return ports

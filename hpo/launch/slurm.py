"""Workers as tasks of one SLURM array job, all of which pull trials from the same study.

A worker that is told to leave with work left ends with 75, and its task is queued again unless it was cancelled; so is,
some times, one that was told before it could hear.
Partition, account and time limit come from sbatch's own variables, SBATCH_PARTITION, SBATCH_ACCOUNT, SBATCH_TIMELIMIT
(https://slurm.schedmd.com/sbatch.html, "Input environment variables").
"""

import logging
import re
import shlex
import subprocess
import sys
import time
from pathlib import Path

from hpo import gpus
from hpo.errors import UsageError
from hpo.launch import Plan, Wish, remote, remote_command
from hpo.settings import password_only_in_variable, store_keys_only_in_variables, worker_environment
from hpo.store import Store, has_password, without_password

log = logging.getLogger(__name__)

LOOK_SECONDS = 2.0  # between two looks at the study and the queue
BEFORE_LIMIT = 60  # seconds beyond the grace, in which a worker writes what it has before its time limit ends it

_SCRIPT = """\
#!/bin/bash
# Workers of the study {study}. Submitted by `hpo launch --on slurm`; `hpo stop {study}` has them leave.
#SBATCH --job-name=hpo-{study}
#SBATCH --array=0-{last}
#SBATCH --ntasks=1
#SBATCH --cpus-per-task={cpus}
{gres}#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --signal=B:TERM@{notice}
#SBATCH --output={output}
# bash waits for its child before it hears of a signal, unless it is told what to do with it
worker= told=
trap 'told=1; kill -TERM $worker 2>/dev/null' TERM
cd {folder} || exit 1
{worker} &
worker=$!
if [ -n "$told" ]; then kill -TERM "$worker"; fi
wait "$worker"
status=$?
while kill -0 "$worker" 2>/dev/null; do
    wait "$worker"
    status=$?
done
# 75: told to leave with work left; 143: told before it could hear, which under a time limit that is too short happens
# each time. By task: the job id of one of them is also that of the whole array. One that was cancelled, or that SLURM
# itself queues again, does not run any more
task="${{SLURM_ARRAY_JOB_ID}}_$SLURM_ARRAY_TASK_ID"
if [[ "$status" -eq 75 || ("$status" -eq 143 && "${{SLURM_RESTART_COUNT:-0}}" -lt 5) ]] &&
    [ "$(squeue --noheader --jobs "$task" --format %T)" = RUNNING ]; then
    scontrol requeue "$task"
fi
exit "$status"
"""


def plan(wish: Wish) -> Plan:
    """One array job. Every worker gets one GPU, unless none is wanted.

    Raises:
        UsageError: the database is a file, a secret would be kept with the job, or GPUs are chosen by number.
    """
    remote(wish, "slurm")
    _refuse_secrets(wish)
    if wish.gpus not in (gpus.AUTO, gpus.NONE):
        raise UsageError(f"--gpus {wish.gpus}: SLURM chooses the GPUs; accepted: auto (one for each worker), none")
    workers = wish.workers or 1
    script = _SCRIPT.format(
        study=wish.study,
        last=workers - 1,
        cpus=wish.threads * wish.slots_per_gpu,
        gres="" if wish.gpus == gpus.NONE else "#SBATCH --gres=gpu:1\n",
        notice=round(wish.times.grace) + BEFORE_LIMIT,
        output=_quoted_output(_logs(wish) / "slurm-%A_%a.log"),
        folder=shlex.quote(str(Path.cwd())),
        worker=shlex.join([sys.executable, "-m", "hpo.cli", *remote_command(wish)]),
    )
    return Plan(
        wish=wish,
        lines=(f"{workers} worker(s) as one array job of SLURM" + (", a GPU each" if wish.gpus == gpus.AUTO else ""),),
        script=script,
    )


def _refuse_secrets(wish: Wish) -> None:
    """Refuses secrets that only variables hold: SLURM would keep them, and without them no worker would come far."""
    kept = "and SLURM keeps the environment of a job. Unset"
    if password_only_in_variable() and not has_password(wish.storage):
        raise UsageError(
            f"PGPASSWORD holds the database's password, {kept} it, and name a file that the workers can read: "
            "PGPASSFILE, HPO_STORAGE_FILE or HPO_STORAGE_PASSWORD_FILE"
        )
    if store_keys_only_in_variables() and wish.artifacts.root is None:
        raise UsageError(
            f"AWS_SECRET_ACCESS_KEY holds a key of {wish.artifacts.address}, {kept} it, and name a file that the "
            "workers can read: AWS_SHARED_CREDENTIALS_FILE, or AWS_PROFILE for one of ~/.aws"
        )


def _logs(wish: Wish) -> Path:
    """The folder that takes what the workers say: beside the trials' files, where these are in a folder."""
    return (wish.artifacts.root or wish.cache.resolve() / "slurm") / wish.study


def _quoted_output(path: Path) -> str:
    """A path for ``#SBATCH --output``: sbatch takes away quotes, and reads % as a pattern."""
    folder = str(path.parent).replace("%", "%%")
    if re.search(r'["\n\\]', folder):
        raise UsageError(f"sbatch cannot write its output to {folder!r}; choose another folder with --artifacts")
    return f'"{folder}/{path.name}"'


def start(plan: Plan, store: Store) -> int:
    """Submits the job, and waits until the study has ended. Ctrl-C leaves the workers to themselves.

    Raises:
        UsageError: sbatch is missing or refuses the job.
    """
    wish = plan.wish
    job = submit(plan)
    logs = _logs(wish) / f"slurm-{job}_*.log"
    log.info("submitted as job %s; its workers write to %s", job, logs)
    try:
        return _wait(store, wish.study, job, logs)
    except KeyboardInterrupt:
        log.warning("the workers go on without this terminal; `hpo stop %s` has them leave", wish.study)
        return 130


def submit(plan: Plan) -> str:
    """Hands the script to sbatch, with the environment for the workers. Returns the job's id.

    Raises:
        UsageError: sbatch is missing or refuses the job.
    """
    wish = plan.wish
    _logs(wish).mkdir(parents=True, exist_ok=True)
    try:
        done = subprocess.run(
            ["sbatch", "--parsable", "--export=ALL"],
            input=plan.script,
            capture_output=True,
            text=True,
            env=worker_environment(without_password(wish.storage), wish.files),
            check=False,
        )
    except FileNotFoundError as error:
        raise UsageError("there is no sbatch here; launch from a node that submits jobs to SLURM") from error
    if done.returncode != 0:
        raise UsageError(f"sbatch refused the job: {done.stderr.strip()}")
    return done.stdout.strip().partition(";")[0]


def _wait(store: Store, study: str, job: str, logs: Path) -> int:
    """Until the study has ended, or failed, or nobody is left to work on it. Returns the exit code."""
    while True:
        queued = _queued(job)
        state = store.status(study).state
        if state == "failed":
            return 5
        if state == "ended" or (state == "stopped" and not queued):
            return 0
        if not queued:
            log.error("all workers of job %s left, and the study is %s; see %s", job, state, logs)
            return 1
        time.sleep(LOOK_SECONDS)


def _queued(job: str) -> bool:
    """Whether tasks of the job wait or run. True also when SLURM gives no answer, which is no reason to give up."""
    done = subprocess.run(["squeue", "--noheader", "--jobs", job], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        return "Invalid job id" not in done.stderr
    return bool(done.stdout.strip())

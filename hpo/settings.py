"""Where things lie and how long they may take. The only module that reads the environment."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

STORAGE = "sqlite:///.hpo/hpo.db"
ARTIFACTS = Path(".hpo/artifacts")
CACHE = Path(".hpo/cache")
SHELF = ".data"  # folder of the artifact store from which workers on other machines fetch arrays; no study is called so

# Names that may hold an address or a password of the database or of the artifact store, or say where one lies: no
# trial's process gets them. It needs none of our own variables either: what a trial is told stands in its TrialSpec.
_SECRET_PREFIXES = ("HPO_", "PG", "POSTGRES", "DATABASE_", "OPTUNA_STORAGE", "AWS_", "BOTO_")
# Of those, what may hold a secret itself: workers elsewhere do not get it, because a scheduler keeps a job's
# environment. What a worker is to know of the database it is told anew.
_KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN")
_NOT_ELSEWHERE = ("HPO_STORAGE", "HPO_DASHBOARD_TOKEN", "PGPASSWORD", "POSTGRES", "DATABASE_", "OPTUNA_STORAGE", *_KEYS)
_FILES_OF_KEYS = {"AWS_PROFILE", "AWS_SHARED_CREDENTIALS_FILE"}


@dataclass(frozen=True)
class Times:
    """Seconds that the supervisor works by; tests pass smaller ones.

    Attributes:
        lease: how long a claim lives without a renewal.
        renew: between two renewals of all leases of a worker.
        idle: between two looks for work when there is none.
        start: that a child has for its first TensorFlow operation.
        obey: that a child has to end in order when told to, before it is killed.
        grace: that running trials have to finish after SIGTERM.
        notice: between two looks whether there is something to say of the study to people elsewhere.
        deliver: that one try to say it may take.
        carry: between two looks at what the trials have written, for the artifact store.
    """

    lease: float = 60.0
    renew: float = 15.0
    idle: float = 1.0
    start: float = 120.0
    obey: float = 30.0
    grace: float = 30.0
    notice: float = 30.0
    deliver: float = 20.0
    carry: float = 5.0


def child_environment() -> dict[str, str]:
    """The environment of the fork server and of all trials: no database, no store, quiet, one source of threads."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(_SECRET_PREFIXES)}
    env.update(
        {
            "TZ": "UTC",
            "TF_CPP_MIN_LOG_LEVEL": env.get("TF_CPP_MIN_LOG_LEVEL", "2"),
            "KERAS_BACKEND": "tensorflow",
            # Measured: slower for models of this size, and its sums depend on the thread count.
            "TF_ENABLE_ONEDNN_OPTS": "0",
            # Without it the first trial of a slot takes the whole GPU.
            "TF_FORCE_GPU_ALLOW_GROWTH": "true",
            "PYTHONUNBUFFERED": "1",
        }
    )
    return env


def postgres_variable(name: str) -> str | None:
    """What PostgreSQL's own client takes from the environment: PGPASSWORD, PGOPTIONS and the like."""
    return os.environ.get(name)


def dashboard_token() -> str | None:
    """A token for the dashboard; by the environment or a file, never on the command line."""
    return os.environ.get("HPO_DASHBOARD_TOKEN")


def worker_environment(url: str, files: Mapping[str, Path]) -> dict[str, str]:
    """The environment for a program that starts workers elsewhere and keeps it: the database's address, no secret.

    By the environment, because everybody may read a command line.

    Args:
        url: without a password.
        files: that the address or its password came from, by the variables that name them; see `hpo.launch.Wish`.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_NOT_ELSEWHERE)}
    given = {name: str(path.absolute()) for name, path in files.items()}
    return {**kept, **given, **({} if "HPO_STORAGE_FILE" in given else {"HPO_STORAGE": url})}


def password_only_in_variable() -> bool:
    """Whether PGPASSWORD holds the database's password, and PGPASSFILE names no file that does."""
    return "PGPASSWORD" in os.environ and "PGPASSFILE" not in os.environ


def store_keys_only_in_variables() -> bool:
    """Whether variables hold the keys of a store in S3, and none names a file that does."""
    return "AWS_SECRET_ACCESS_KEY" in os.environ and not _FILES_OF_KEYS & os.environ.keys()


def variable(name: str) -> str | None:
    """A variable whose name a person chose; it begins with HPO_, so that no trial's process gets it."""
    return os.environ.get(name) or None


def notify_environment() -> dict[str, str]:
    """What HPO_NOTIFY_... say beside a study file's `[notify]`, by the names of its keys."""
    prefix = "HPO_NOTIFY_"
    return {name.removeprefix(prefix).lower(): value for name, value in os.environ.items() if name.startswith(prefix)}


def visible_gpus() -> str | None:
    """CUDA_VISIBLE_DEVICES as a scheduler or a person set it for this process; None where nobody did."""
    return os.environ.get("CUDA_VISIBLE_DEVICES")


def show_gpus(device: str) -> None:
    """Lets this process see one GPU, or none for "". In time only before TensorFlow executes its first operation."""
    os.environ["CUDA_VISIBLE_DEVICES"] = device


def no_telemetry() -> None:
    """Keeps onnxruntime from writing an id of this machine into the home folder. In time only before it is imported."""
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")


def cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1

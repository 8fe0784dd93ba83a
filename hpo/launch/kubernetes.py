"""Workers as one Indexed Job of Kubernetes, whose pods all pull trials from the same study.

A pod that was told to leave with work left (75), or that its node drove out, is replaced and counts as no failure. A
mistake in the study (2) or in its data (3) would come again in every pod, as would a failed study (5): it ends the job
(https://kubernetes.io/docs/concepts/workloads/controllers/job/, "Pod failure policy").

Each launch makes a job of its own: one that has ended does not begin again, and of one that runs hardly anything may
be changed. Kubernetes ends its name with five characters of its own choice.
"""

import hashlib
import logging
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import yaml

from hpo import gpus
from hpo.artifacts.folder import Folder
from hpo.errors import UsageError
from hpo.launch import Plan, Wish, remote, remote_command
from hpo.store import Store, redacted

log = logging.getLogger(__name__)

IMAGE = "hpo:latest"
SECRET = "hpo-storage"  # noqa: S105 - the name of a secret, not one
STORE_SECRET = "hpo-artifacts"  # noqa: S105 - the name of a secret, not one
VOLUME = "hpo-data"
DATA = Path("/var/lib/hpo")
USER = 10001
METRICS_PORT = 9464  # inside of each pod, on its loopback
PROBE = "import urllib.request as u; u.urlopen('http://127.0.0.1:{port}/healthz', timeout=3)"
BEFORE_KILL = 30  # seconds beyond the grace, in which a worker writes what it has
KEPT = 24 * 3600  # seconds that a job which has ended stays, with its pods and what they said
# Of a job's name, before what Kubernetes adds: five characters, and for each pod a dash and its number below 100,000.
# All that is the name of a host, which has 63 characters at most.
LONGEST = 63 - 5 - 6


def plan(wish: Wish) -> Plan:
    """One job. The manifest follows conventions that its first lines name; edit it as you need.

    Raises:
        UsageError: the database is a file, its address holds a password, or GPUs are chosen by number.
    """
    remote(wish, "kubernetes")
    if wish.gpus not in (gpus.AUTO, gpus.NONE):
        raise UsageError(f"--gpus {wish.gpus}: Kubernetes chooses the GPUs; accepted: auto (one for each pod), none")
    manifest = yaml.safe_dump(_job(wish), sort_keys=False, width=120)
    head = (
        f"# Workers of the study {wish.study}, by `hpo launch --on kubernetes`, for `kubectl create -f`.\n"
        f"# Needs: the image {IMAGE};\n"
        f"# the secret {SECRET}, whose key `url` holds the database's address;\n"
        f"# the volume claim {VOLUME}, with the folders `artifacts` and `cache` of the launch.\n"
    )
    if wish.artifacts.root is None:
        head += f"# the secret {STORE_SECRET}, whose keys `config` and `credentials` are AWS's files of those names.\n"
    lines = (
        f"{wish.workers or 1} worker(s) as one Indexed Job, a new one with each launch",
        f"  their database is what the secret {SECRET} says: it has to be {redacted(wish.storage)} as well",
    )
    return Plan(wish=wish, lines=lines, script=head + manifest)


def _job(wish: Wish) -> dict[str, Any]:
    workers = wish.workers or 1
    port = wish.metrics_port or METRICS_PORT
    stored = wish.artifacts.root is None
    artifacts = wish.artifacts if stored else Folder(DATA / "artifacts")
    here = Wish(**{**vars(wish), "artifacts": artifacts, "cache": DATA / "cache", "metrics_port": port})
    limits = {"cpu": str(wish.threads * wish.slots_per_gpu), "memory": "8Gi"}
    if wish.gpus == gpus.AUTO:
        limits["nvidia.com/gpu"] = "1"
    container: dict[str, Any] = {
        "name": "worker",
        "image": IMAGE,
        "args": remote_command(here),
        "env": [
            {"name": "HPO_STORAGE_FILE", "value": "/run/secrets/hpo/url"},
            {"name": "HOME", "value": "/tmp"},  # noqa: S108 - in the container, a volume of its own
        ],
        # says in `kubectl get pods` how it feels. No liveness probe: trials outlive a database that is away
        "readinessProbe": {
            "exec": {"command": ["python", "-c", PROBE.format(port=port)]},
            "initialDelaySeconds": 30,
            "periodSeconds": 30,
            "timeoutSeconds": 5,
        },
        "resources": {"limits": limits, "requests": limits},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
        "volumeMounts": [
            {"name": "data", "mountPath": str(DATA)},
            {"name": "storage", "mountPath": "/run/secrets/hpo", "readOnly": True},
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - in the container, a volume of its own
        ],
    }
    volumes: list[dict[str, Any]] = [
        {"name": "data", "persistentVolumeClaim": {"claimName": VOLUME}},
        {"name": "storage", "secret": {"secretName": SECRET, "defaultMode": 0o440}},
        {"name": "tmp", "emptyDir": {}},
    ]
    if stored:
        folder = "/run/secrets/artifacts"
        container["env"] += [
            {"name": "AWS_CONFIG_FILE", "value": f"{folder}/config"},
            {"name": "AWS_SHARED_CREDENTIALS_FILE", "value": f"{folder}/credentials"},
        ]
        container["volumeMounts"].append({"name": "artifacts", "mountPath": folder, "readOnly": True})
        volumes.append({"name": "artifacts", "secret": {"secretName": STORE_SECRET, "defaultMode": 0o440}})
    pod = {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": round(wish.times.grace) + BEFORE_KILL,
        "automountServiceAccountToken": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "fsGroup": USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [container],
        "volumes": volumes,
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"generateName": _stem(wish.study), "labels": {"app.kubernetes.io/name": "hpo"}},
        "spec": {
            "ttlSecondsAfterFinished": KEPT,
            "completionMode": "Indexed",
            "completions": workers,
            "parallelism": workers,
            "backoffLimitPerIndex": 3,
            "podReplacementPolicy": "Failed",
            "podFailurePolicy": {
                "rules": [
                    {"action": "FailJob", "onExitCodes": {"operator": "In", "values": [2, 3, 5]}},
                    {"action": "Ignore", "onExitCodes": {"operator": "In", "values": [75]}},
                    {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
                ]
            },
            "template": {"metadata": {"labels": {"app.kubernetes.io/name": "hpo"}}, "spec": pod},
        },
    }


def _stem(study: str) -> str:
    """What the names of a study's jobs begin with: letters, digits and dashes (RFC 1123), for each study its own."""
    own = hashlib.sha256(study.encode()).hexdigest()[:8]
    words = f"hpo-{re.sub(r'[^a-z0-9]+', '-', study.lower())}"
    return f"{words[: LONGEST - len(own) - 2].strip('-')}-{own}-"


def start(plan: Plan, store: Store) -> int:
    """Hands the manifest to kubectl. The pods work on without this process; returns once they are asked for.

    Raises:
        UsageError: kubectl is missing or refuses the manifest.
    """
    if shutil.which("kubectl") is None:
        raise UsageError(
            "there is no kubectl here; print the manifest with --dry-run and `kubectl create` it where there is one"
        )
    done = subprocess.run(
        ["kubectl", "create", "-f", "-"], input=plan.script, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise UsageError(f"kubectl refused the job: {done.stderr.strip()}")
    log.info("%s", done.stdout.strip())
    return 0

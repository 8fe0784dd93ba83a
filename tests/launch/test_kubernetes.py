"""The manifest for Kubernetes, against Kubernetes' own schemas. No cluster runs here."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from hpo.artifacts.address import open_artifacts
from hpo.artifacts.folder import Folder
from hpo.errors import UsageError
from hpo.launch import Wish, kubernetes
from hpo.settings import Times
from tests.s3 import CANARY, S3


def job(tmp_path: Path, **changes: Any) -> tuple[str, dict[str, Any]]:
    """The manifest as text and as values."""
    wishes = {"study": "Har_v1", "storage": "postgresql://hpo@db/hpo", "workers": 4, "threads": 2}
    folders = {"artifacts": Folder(tmp_path / "a"), "cache": tmp_path / "c"}
    script = kubernetes.plan(Wish(**{**wishes, **folders, **changes})).script
    return script, yaml.safe_load(script)


@pytest.mark.parametrize("gpus", ["auto", "none"])
def test_kubernetes_knows_every_key(tmp_path: Path, gpus: str) -> None:
    """The schema of the oldest version with a failure policy for each index takes it, unknown keys refused."""
    file = tmp_path / "job.yaml"
    file.write_text(job(tmp_path, gpus=gpus)[0])
    command = [sys.executable, "-m", "kubernetes_validate", "--strict", "-k", "1.33.0", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_comes_again_ends_the_job_and_what_is_nobodys_fault_does_not(tmp_path: Path) -> None:
    """Drained pods (75) and disrupted ones are replaced; mistakes (2, 3) and a failed study (5) end all."""
    spec = job(tmp_path)[1]["spec"]
    actions = {
        code: rule["action"]
        for rule in spec["podFailurePolicy"]["rules"]
        for code in rule.get("onExitCodes", {}).get("values", [])
    }
    assert actions == {2: "FailJob", 3: "FailJob", 5: "FailJob", 75: "Ignore"}
    assert {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]} in (
        spec["podFailurePolicy"]["rules"]
    )
    assert (spec["completions"], spec["parallelism"], spec["completionMode"]) == (4, 4, "Indexed")


def test_pods_have_no_rights_and_no_password(tmp_path: Path) -> None:
    """Not root, nothing to gain, a root file system that is read only; the database's address comes as a file."""
    script, manifest = job(tmp_path, times=Times(grace=100))
    pod = manifest["spec"]["template"]["spec"]
    container = pod["containers"][0]
    assert pod["securityContext"]["runAsNonRoot"]
    assert not pod["automountServiceAccountToken"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
    }
    assert "postgresql" not in script
    assert {"name": "HPO_STORAGE_FILE", "value": "/run/secrets/hpo/url"} in container["env"]
    assert pod["terminationGracePeriodSeconds"] > 100
    assert container["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert manifest["metadata"]["name"] == "hpo-har-v1"


def test_a_bucket_needs_a_secret_and_stands_in_the_command(tmp_path: Path, s3: S3) -> None:
    """Its address is an argument, endpoint and credentials are files of a secret, and stand nowhere else."""
    store = open_artifacts(s3.bucket())
    script, manifest = job(tmp_path, artifacts=store)
    file = tmp_path / "job.yaml"
    file.write_text(script)
    command = [sys.executable, "-m", "kubernetes_validate", "--strict", "-k", "1.33.0", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    pod = manifest["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert container["args"][container["args"].index("--artifacts") + 1] == store.address
    names = {volume["name"] for volume in pod["volumes"]}
    assert {mount["name"] for mount in container["volumeMounts"]} == names == {"data", "storage", "tmp", "artifacts"}
    (mount,) = [mount["mountPath"] for mount in container["volumeMounts"] if mount["name"] == "artifacts"]
    files = {each["name"]: each["value"] for each in container["env"] if each["name"].startswith("AWS_")}
    assert files == {"AWS_CONFIG_FILE": f"{mount}/config", "AWS_SHARED_CREDENTIALS_FILE": f"{mount}/credentials"}
    assert "# the secret hpo-artifacts, whose keys `config` and `credentials`" in script
    assert CANARY not in script
    assert str(s3.port) not in script


def test_a_file_as_database_is_refused(tmp_path: Path) -> None:
    """Pods share no file of this machine."""
    with pytest.raises(UsageError, match="--on kubernetes needs a database on a server"):
        job(tmp_path, storage="sqlite:///hpo.db")

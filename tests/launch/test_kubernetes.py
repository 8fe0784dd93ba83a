"""The manifest for Kubernetes, against Kubernetes' own schemas. No cluster runs here."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes_validate import ValidationError, validate

from hpo.artifacts.address import open_artifacts
from hpo.artifacts.folder import Folder
from hpo.errors import UsageError
from hpo.launch import Wish, kubernetes
from hpo.settings import Times
from hpo.store import Store
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
    manifest = job(tmp_path, gpus=gpus)[1]
    assert validate(manifest, "1.33.0", strict=True) == "1.33"
    with pytest.raises(ValidationError):
        validate({**manifest, "unknown": 1}, "1.33.0", strict=True)


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


@pytest.mark.parametrize("studies", [("Har_v1", "har-v1", "har.v1"), ("a" * 64 + "1", "a" * 64 + "2"), ("é", "è")])
def test_studies_share_no_job_and_a_launch_takes_no_ended_one(tmp_path: Path, studies: tuple[str, ...]) -> None:
    """Kubernetes makes a new name for each launch, from a beginning that is the study's own; a pod's host fits too."""
    stems = []
    for study in studies:
        manifest = job(tmp_path, study=study)[1]
        assert "name" not in manifest["metadata"]
        stems.append(manifest["metadata"]["generateName"])
        host = f"{stems[-1]}xxxxx-99999"
        assert re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", host), host
        assert manifest["spec"]["ttlSecondsAfterFinished"] > 0
    assert len(set(stems)) == len(studies)
    assert job(tmp_path)[1]["metadata"]["generateName"].startswith("hpo-har-v1-")


@pytest.mark.parametrize(("code", "said"), [(0, "job.batch/hpo-x created"), (1, "no such namespace")])
def test_the_manifest_that_is_printed_is_created(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, code: int, said: str
) -> None:
    """Created, because what has ended cannot be applied again; kubectl's answer is told. No cluster runs here."""
    program = tmp_path / "kubectl"
    program.write_text(
        f'#!/bin/bash\necho "$@" > {tmp_path}/words\ncat > {tmp_path}/input\necho {said} >&{code + 1}\nexit {code}\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    planned = kubernetes.plan(
        Wish(
            "s",
            "postgresql://hpo:canary@db/hpo",
            1,
            1,
            Folder(tmp_path),
            tmp_path,
            files={"HPO_STORAGE_FILE": tmp_path},
        )
    )
    caplog.set_level("INFO", "hpo")
    with Store(f"sqlite:///{tmp_path}/unused.db", create=True) as store:
        if code == 0:
            assert kubernetes.start(planned, store) == 0
            assert said in caplog.text
        else:
            with pytest.raises(UsageError, match=f"kubectl refused the job: {said}"):
                kubernetes.start(planned, store)
    assert (tmp_path / "words").read_text() == "create -f -\n"
    assert (tmp_path / "input").read_text() == planned.script
    assert "it has to be postgresql://hpo:***@db/hpo as well" in planned.lines[1]
    assert "canary" not in planned.script + str(planned.lines)


def test_a_bucket_needs_a_secret_and_stands_in_the_command(tmp_path: Path, s3: S3) -> None:
    """Its address is an argument, endpoint and credentials are files of a secret, and stand nowhere else."""
    store = open_artifacts(s3.bucket())
    script, manifest = job(tmp_path, artifacts=store)
    assert validate(manifest, "1.33.0", strict=True) == "1.33"
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

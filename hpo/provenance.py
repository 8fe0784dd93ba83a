"""What decides a training's last bits besides its spec: the code, the libraries' versions, the processor."""

import hashlib
import platform
import sys
from pathlib import Path

from hpo import models


def of(family: str) -> dict[str, str]:
    """What this process trains a family with.

    Returns: `family`, the SHA-256 of the source that defines the family; `code`, that of all other modules of hpo that
    this process has loaded, other families aside; `cpu`, the processor's name.
    """
    return {"family": models.source_sha256(family), "code": code_sha256(), "cpu": cpu()}


def code_sha256() -> str:
    """SHA-256 of the source of hpo's loaded modules, but for the families. Equal for all processes of one program."""
    digest = hashlib.sha256()
    for name, module in sorted(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if file and name.partition(".")[0] == "hpo" and not name.startswith("hpo.models."):
            digest.update(f"{name}\0".encode())
            digest.update(hashlib.sha256(Path(file).read_bytes()).digest())
    return digest.hexdigest()


def cpu() -> str:
    """The processor's name, as the system tells it."""
    table = Path("/proc/cpuinfo")
    if table.exists():
        for line in table.read_text().splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()

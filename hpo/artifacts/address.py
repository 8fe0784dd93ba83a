"""From what a person says to an artifact store."""

from pathlib import Path

from hpo.artifacts import Artifacts
from hpo.artifacts.folder import Folder
from hpo.errors import UsageError, require


def open_artifacts(address: str) -> Artifacts:
    """The store of an address. Asks it nothing yet.

    Args:
        address: a folder, or ``s3://BUCKET/PREFIX``.

    Raises:
        UsageError: it is neither, or boto3 is missing. StorageError: boto3 cannot be set up.
    """
    kind, mark, _ = address.partition("://")
    if not mark:
        return Folder(Path(address))
    if kind != "s3":
        raise UsageError(f"--artifacts {kind}://...: such a store is not known; accepted: a folder, s3://BUCKET/PREFIX")
    require("boto3", "s3", "An artifact store in S3")
    from hpo.artifacts.s3 import Bucket  # most studies have none

    return Bucket(address)

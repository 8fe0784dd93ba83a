"""A bucket of Amazon S3, or of any store that speaks like it (MinIO, Ceph, R2, ...), as artifact store.

Endpoint, region and credentials are found as boto3 finds them: in AWS_... variables, profiles and files. A file appears
whole or not at all, because S3 has no other way.
"""

import errno
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import boto3
import botocore.config
from boto3.exceptions import Boto3Error
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    FlexibleChecksumError,
    HTTPClientError,
    IncompleteReadError,
    ReadTimeoutError,
    ResponseStreamingError,
)
from botocore.exceptions import ConnectionError as BotoConnectionError
from optuna.artifacts import Boto3ArtifactStore
from optuna.artifacts.exceptions import ArtifactNotFound

from hpo import redact
from hpo.artifacts import Entry, StoreAway, safe, write_beside
from hpo.errors import StorageError, UsageError

ACCEPTED = "accepted: s3://BUCKET or s3://BUCKET/PREFIX; who may use it stands in AWS_... variables, profiles or files"
CONNECT_SECONDS, ANSWER_SECONDS = 5.0, 15.0
MOST_REMOVED = 1000  # that one request may name
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
# Of a connection or an answer; all else that botocore raises by itself is a mistake in how it is set up.
_AWAY = (BotoConnectionError, HTTPClientError, IncompleteReadError, ResponseStreamingError, FlexibleChecksumError)
# In fewer words than botocore, which repeats the whole request.
_KINDS = {
    EndpointConnectionError: "nobody listens",
    ConnectTimeoutError: f"no connection within {CONNECT_SECONDS:.0f} s",
    ReadTimeoutError: f"no answer within {ANSWER_SECONDS:.0f} s",
}
# Credentials that lie on this machine, so that reading them asks nobody.
_LOCAL = {"env", "shared-credentials-file", "config-file"}
# What is wrong with this machine's disk, and not with the store.
_HERE = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EIO, errno.ENOENT}
_BUSY = {"SlowDown", "RequestTimeout", "Throttling", "ThrottlingException", "TooManyRequests", "RequestTimeTooSkewed"}


class Bucket:
    """See `Artifacts`.

    Args:
        address: ``s3://BUCKET/PREFIX``.

    Raises:
        UsageError: it is no such address. StorageError: boto3 cannot be set up.
    """

    root = None

    def __init__(self, address: str) -> None:
        name, _, prefix = address.removeprefix("s3://").partition("/")
        prefix = prefix.strip("/")
        try:
            self._prefix = safe(prefix) + "/" if prefix else ""
        except StorageError:
            prefix = "?"
        if not _BUCKET.fullmatch(name) or prefix == "?":
            shown = re.sub(r"//[^/]*@", f"//{redact.HIDDEN}@", address)
            raise UsageError(f"--artifacts {shown}: no bucket has this address; {ACCEPTED}")
        self.address = f"s3://{name}/{self._prefix}".rstrip("/")
        self._bucket = name
        # one try: who calls tries again, and knows for how long
        config = botocore.config.Config(
            connect_timeout=CONNECT_SECONDS, read_timeout=ANSWER_SECONDS, retries={"total_max_attempts": 1}
        )
        with self._speaking("cannot use"):
            try:
                session = boto3.session.Session()
                self._client: Any = session.client("s3", config=config)
            except ValueError as error:  # an endpoint that is no URL
                raise StorageError(f"cannot use the artifact store {self.address}: {error}") from error
            credentials = session.get_credentials()
            if credentials is not None and credentials.method in _LOCAL:
                redact.remember(credentials.secret_key)
                redact.remember(credentials.token)
        # it would copy each file into memory first, for callers that go on with theirs
        self._store = Boto3ArtifactStore(name, self._client, avoid_buf_copy=True)

    def check(self) -> None:
        """See `Artifacts`."""
        key = f"{self._prefix}.{uuid4().hex}.tmp"
        with self._speaking("cannot use"):
            self._client.list_objects_v2(Bucket=self._bucket, Prefix=self._prefix, MaxKeys=1)
            self._client.put_object(Bucket=self._bucket, Key=key, Body=b"")
            self._store.remove(key)

    def entries(self, folder: str = "") -> list[Entry]:
        """See `Artifacts`. Objects whose key is no name of ours are left out."""
        inside = self._prefix + (f"{safe(folder)}/" if folder else "")
        found = []
        with self._speaking("cannot list"):
            pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=inside)
            for each in (each for page in pages for each in page.get("Contents", ())):
                name = each["Key"].removeprefix(self._prefix)
                if _is_safe(name):
                    found.append(Entry(name, each["Size"], each["LastModified"].timestamp()))
        return sorted(found)

    def get(self, name: str, target: Path) -> bool:
        """See `Artifacts`."""
        with self._speaking(f"cannot read {name} in"):
            try:
                with self._store.open_reader(self._key(name)) as body:
                    write_beside(body, target)
            except ArtifactNotFound:
                return False
            except OSError as error:
                if error.errno in _HERE:
                    raise StorageError(f"cannot write {target}: {error.strerror}") from error
                raise
        return True

    def put(self, source: Path, name: str) -> None:
        """See `Artifacts`."""
        with source.open("rb") as file, self._speaking(f"cannot write {name} to"):
            self._store.write(self._key(name), file)

    def remove(self, names: Iterable[str]) -> None:
        """See `Artifacts`."""
        for name in names:
            with self._speaking(f"cannot remove {name} in"):
                self._store.remove(self._key(name))

    def remove_folder(self, folder: str) -> None:
        """See `Artifacts`. Optuna's store removes one file for each request, S3 a thousand."""
        names = [entry.name for entry in self.entries(safe(folder))]
        with self._speaking(f"cannot remove {folder} in"):
            for first in range(0, len(names), MOST_REMOVED):
                keys = [{"Key": self._key(name)} for name in names[first : first + MOST_REMOVED]]
                done = self._client.delete_objects(Bucket=self._bucket, Delete={"Objects": keys, "Quiet": True})
                if left := done.get("Errors"):
                    raise StorageError(f"cannot remove {left[0]['Key']} in {self.address}: {left[0]['Message']}")

    def _key(self, name: str) -> str:
        return self._prefix + safe(name)

    @contextmanager
    def _speaking(self, what: str) -> Iterator[None]:
        """Turns what boto3 raises into errors that say what could not be done."""
        try:
            yield
        except ClientError as error:
            about = error.response.get("Error", {})
            status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
            code = about.get("Code", str(status))
            kind = StoreAway if status >= 500 or status == 429 or code in _BUSY else StorageError
            said = f"{about.get('Message', 'no reason given').rstrip('.')} ({code})"
            raise kind(f"{what} the artifact store {self.address}: {said}{_hint(code)}") from error
        except (*_AWAY, OSError) as error:
            where = self._client.meta.endpoint_url
            raise StoreAway(
                f"{what} the artifact store {self.address}: {_KINDS.get(type(error), error)} ({where})"
            ) from error
        except (BotoCoreError, Boto3Error) as error:
            raise StorageError(f"{what} the artifact store {self.address}: {error}{_hint('')}") from error


def _hint(code: str) -> str:
    """What to do about a refusal."""
    if code in ("NoSuchBucket", "404"):
        return ". Make the bucket first, or name another one with HPO_ARTIFACTS or --artifacts"
    return ". Look at AWS_ACCESS_KEY_ID, AWS_PROFILE and AWS_ENDPOINT_URL, and at the files that boto3 reads"


def _is_safe(name: str) -> bool:
    try:
        safe(name)
    except StorageError:
        return False
    return True

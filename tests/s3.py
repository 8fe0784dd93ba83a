"""A real S3 server on the loopback, which can be stopped, silenced and started again with all that it holds."""

import contextlib
import os
import socket
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import boto3
from moto.server import ThreadedMotoServer

CANARY = "canary8d1f"
ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": f"id{CANARY}",
    "AWS_SECRET_ACCESS_KEY": f"secret{CANARY}",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
    "MOTO_S3_DEFAULT_MAX_KEYS": "3",  # files of one answer, so that lists have pages
}


class S3:
    """The server. Its content lives in this process, and so outlives its port."""

    def __init__(self) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self._server: ThreadedMotoServer | None = None
        self.client: Any = boto3.client("s3", endpoint_url=self.url)  # takes a while to make
        self.start()

    @property
    def url(self) -> str:
        """What AWS_ENDPOINT_URL names."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Listens, if it does not."""
        if self._server is None:
            self._server = ThreadedMotoServer(ip_address="127.0.0.1", port=self.port, verbose=False)
            self._server.start()

    def stop(self) -> None:
        """Nobody listens any more."""
        if self._server is not None:
            self._server.stop()
            self._server = None

    @contextmanager
    def silent(self) -> Iterator[None]:
        """Connections are taken, and nothing is answered."""
        self.stop()
        with socket.create_server(("127.0.0.1", self.port), backlog=64):
            yield

    def bucket(self) -> str:
        """The address of a new folder in a new bucket."""
        name = f"b{uuid.uuid4().hex}"
        self.client.create_bucket(Bucket=name)
        return f"s3://{name}/some/where"

    @contextmanager
    def refusing(self) -> Iterator[None]:
        """Everybody's credentials are unknown."""
        self._check_credentials_after(b"0")
        try:
            yield
        finally:
            self._check_credentials_after(b"inf")

    def _check_credentials_after(self, requests: bytes) -> None:
        plain = {"Content-Type": "text/plain"}
        request = urllib.request.Request(f"{self.url}/moto-api/reset-auth", data=requests, headers=plain)  # noqa: S310 - our own server
        with contextlib.closing(urllib.request.urlopen(request)) as answer:  # noqa: S310 - the same
            answer.read()

"""SeaweedFS, a real S3 server: it checks signatures, and PyPI has it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

import boto3
import requests
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from tests.live import free_port

STARTS_WITHIN = 60
BUCKET = "pictures"
_PORTS = ("master.port", "volume.port", "filer.port", "s3.port")


class SeaweedFS:
    """A running server with one bucket, and one account that may use it."""

    credentials = {"AWS_ACCESS_KEY_ID": "easel", "AWS_SECRET_ACCESS_KEY": "a-secret-for-tests"}

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ports = {name: free_port() for port in _PORTS for name in (port, f"{port}.grpc")}
        self.url = f"http://127.0.0.1:{self.ports['s3.port']}"

    def __enter__(self) -> Self:
        access, secret = self.credentials.values()
        account = {
            "name": "easel",
            "credentials": [{"accessKey": access, "secretKey": secret}],
            "actions": ["Admin"],
        }
        config = self.folder / "s3.json"
        config.write_text(json.dumps({"identities": [account]}))
        (self.folder / "data").mkdir()
        self.log = (self.folder / "log").open("wb")
        self.process = subprocess.Popen(
            [
                Path(sys.executable).with_name("weed"), "server", "-filer", "-s3", "-iam=false",
                "-ip=127.0.0.1", "-ip.bind=127.0.0.1", f"-dir={self.folder / 'data'}",
                f"-s3.config={config}", "-s3.port.iceberg=0", "-s3.port.lance=0", "-volume.max=50",
                "-master.volumeSizeLimitMB=16", "-volume.preStopSeconds=0",
                *(f"-{kind}.localSocket={self.folder / kind}.sock" for kind in ("filer", "s3")),
                *(f"-{name}={port}" for name, port in self.ports.items()),
            ],
            cwd=self.folder, stdout=self.log, stderr=self.log,
        )  # fmt: skip
        try:
            self._wait()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.kill()
        self.process.wait()
        self.log.close()
        shutil.rmtree(self.folder / "data", ignore_errors=True)

    def client(self, **credentials: str) -> Any:
        """boto3's client; other credentials than the right ones are up to the caller."""
        known = {**self.credentials, **credentials}
        return boto3.client(
            "s3",
            endpoint_url=self.url,
            region_name="us-east-1",
            aws_access_key_id=known["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=known["AWS_SECRET_ACCESS_KEY"],
            config=Config(signature_version="s3v4", retries={"total_max_attempts": 1}),
        )

    def new_place(self) -> str:
        """`EASEL_STORAGE` for a prefix that nothing else uses."""
        return f"s3://{BUCKET}/{uuid4().hex}?endpoint_url={self.url}&region_name=us-east-1"

    def _wait(self) -> None:
        """Until it has a bucket and takes an object."""
        until = time.monotonic() + STARTS_WITHIN
        client = self.client()
        while True:
            try:
                requests.get(self.url, timeout=5)
                client.create_bucket(Bucket=BUCKET)
                client.put_object(Bucket=BUCKET, Key="ready", Body=b"yes")
                return
            except (requests.RequestException, ClientError, BotoCoreError) as error:
                if time.monotonic() > until or self.process.poll() is not None:
                    log = (self.folder / "log").read_text()[-2000:]
                    raise RuntimeError(f"SeaweedFS did not start: {log}") from error
                time.sleep(0.1)

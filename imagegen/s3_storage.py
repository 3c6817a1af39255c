"""S3, and what speaks like it, through django-storages.

Credentials are found as boto3 finds them: environment, shared files, the machine's role.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from storages.backends.s3 import S3Storage

CONNECT_SECONDS, READ_SECONDS = 5, 30
ATTEMPTS = 3
CONNECTIONS = 50
IN_MEMORY = 2 * 1024**2
"""Bytes of an object that are kept in memory while it is served; more go to a temporary file."""


class BucketStorage(S3Storage):  # type: ignore[misc]
    """Objects are private, are never written over, and have no public URL.

    No ACL is sent: without one an object is private, and buckets with ACLs switched off refuse any.
    """

    def __init__(self, **options: Any) -> None:
        addressing = {"addressing_style": options.get("addressing_style")}
        options.setdefault(
            "client_config",
            Config(
                signature_version="s3v4",
                s3=addressing,
                connect_timeout=CONNECT_SECONDS,
                read_timeout=READ_SECONDS,
                retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
                max_pool_connections=CONNECTIONS,
                request_checksum_calculation="when_required",  # other makers' servers do not all know them
                response_checksum_validation="when_required",
            ),
        )
        super().__init__(**options)
        # One connection for all threads, not one for each of hundreds: it takes 70 ms and 13 MB to make,
        # and what is called on it is safe to share.
        self._connections = SimpleNamespace()

    def get_default_settings(self) -> dict[str, Any]:
        defaults: dict[str, Any] = super().get_default_settings()
        return defaults | {
            "file_overwrite": False,
            "default_acl": None,
            "querystring_auth": True,
            "custom_domain": None,
            "max_memory_size": IN_MEMORY,
            "transfer_config": TransferConfig(use_threads=False),
        }

    def _open(self, name: str, mode: str = "rb") -> Any:
        """An object is fetched whole: what goes wrong is known before an answer begins."""
        file = super()._open(name, mode)
        return file.open() if "r" in mode else file

    def presign(self, name: str, *, seconds: int, content_type: str, disposition: str) -> str:
        """A URL under which anybody may fetch the object for so long, shown with these headers."""
        parameters = {
            "ResponseContentType": content_type,
            "ResponseContentDisposition": disposition,
            "ResponseCacheControl": f"private, max-age={seconds}",
        }
        return str(self.url(name, parameters=parameters, expire=seconds))

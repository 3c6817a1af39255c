"""One line that says where pictures lie -> what Django's STORAGES wants. See docs/storage.md.

    (empty)                                       the folder MEDIA_ROOT
    file:///srv/easel/pictures                    a folder
    s3://bucket/prefix?endpoint_url=https://…     S3, and what speaks like it
    package.module.Class                          another Django storage class

Imports no Django: the settings are read with it.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

S3_OPTIONS = {"endpoint_url", "region_name", "addressing_style"}
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,61}[A-Za-z0-9]")
_CLASS = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+")


def parse(line: str) -> dict[str, Any]:
    """An entry of STORAGES. Raises ValueError with the rule; it never repeats the line."""
    if not line:
        return _folder()
    if _CLASS.fullmatch(line):
        return {"BACKEND": line}
    url = urlsplit(line)
    if url.scheme == "file":
        return _folder(location=_path(url))
    if url.scheme == "s3":
        return _bucket(url)
    raise ValueError("must be file:///path, s3://bucket/prefix, or the dotted path of a storage class")


def _folder(**options: Any) -> dict[str, Any]:
    return {
        "BACKEND": "imagegen.folder_storage.FolderStorage",
        "OPTIONS": {"file_permissions_mode": 0o640, **options},
    }


def _path(url: SplitResult) -> str:
    path = unquote(url.path)
    if url.netloc or url.query or url.fragment or not path.startswith("/"):
        raise ValueError("names a folder as file:///path, with three slashes and nothing behind the path")
    return path


def _bucket(url: SplitResult) -> dict[str, Any]:
    if "@" in url.netloc:
        raise ValueError("takes no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
    if not _BUCKET.fullmatch(url.netloc):
        raise ValueError("names a bucket as s3://bucket or s3://bucket/prefix")
    options = dict(parse_qsl(url.query, keep_blank_values=True))
    if unknown := options.keys() - S3_OPTIONS:
        raise ValueError(f"has no option {min(unknown)!r}; there are {', '.join(sorted(S3_OPTIONS))}")
    endpoint = options.get("endpoint_url")
    if endpoint is not None and not re.match(r"https?://[^/@]+/?$", endpoint):
        raise ValueError("wants endpoint_url as http(s)://host or http(s)://host:port")
    return {
        "BACKEND": "imagegen.s3_storage.BucketStorage",
        "OPTIONS": {"bucket_name": url.netloc, "location": unquote(url.path).strip("/"), **options},
    }

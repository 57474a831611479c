"""How a store in a bucket is named: ``s3://bucket/prefix?option=value``.

An address says where a store lies and how to get there, never who may: credentials come from the environment or the
files of AWS, in each process for itself. So an address can be kept, shown, and sent to workers.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

__all__ = ["OPTIONS", "address_parts", "bucket_address", "is_bucket"]

SCHEME = "s3://"
OPTIONS = ("endpoint", "region", "profile", "virtual_hosted_style_request", "skip_signature", "request_payer")
"""What may stand in an address beside the bucket and the prefix. None of it is secret."""

SOURCES = (
    "Credentials come from the environment (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN) or "
    "AWS_PROFILE, never from here"
)


def is_bucket(path: object) -> bool:
    """Whether a path names a store in a bucket.

    Raises
    ------
    ValueError
        For a `pathlib.Path`, which cannot hold one.
    """
    if isinstance(path, str):
        return path.startswith(SCHEME)
    if isinstance(path, os.PathLike) and str(path).startswith("s3:/"):
        raise ValueError(f"{path} has lost a slash: give the address of a bucket as text, not as a Path")
    return False


def bucket_address(address: str, options: Mapping[str, Any] | None = None) -> str:
    """An address in its one spelling, with options beside those that it has.

    Raises
    ------
    ValueError
        When it is none, or holds credentials or options that are not known; what is secret is not repeated.

    >>> bucket_address("s3://site/a/b.zarr/", {"region": "eu-west-1"})
    's3://site/a/b.zarr?region=eu-west-1'
    """
    bucket, prefix, known = address_parts(address)
    known |= {name: str(value) for name, value in (options or {}).items()}
    _check_options(known)
    query = urlencode(sorted(known.items()), safe=":/")
    return f"{SCHEME}{bucket}" + (f"/{quote(prefix)}" if prefix else "") + (f"?{query}" if query else "")


def address_parts(address: str) -> tuple[str, str, dict[str, str]]:
    """Bucket, prefix and options."""
    split = urlsplit(address)
    options = dict(parse_qsl(split.query, keep_blank_values=True))
    if "@" in split.netloc or ":" in split.netloc:
        raise ValueError(f"an address of a bucket holds credentials or a port: wanted s3://BUCKET/PREFIX. {SOURCES}")
    _check_options(options)
    prefix = unquote(split.path).strip("/")
    sound = re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]+", split.netloc) and not split.fragment
    if not sound or any(part in ("", ".", "..") for part in (prefix.split("/") if prefix else ())):
        raise ValueError(f"{split.scheme}://{split.netloc}{split.path} is no address: wanted s3://BUCKET/PREFIX")
    return split.netloc, prefix, options


def _check_options(options: Mapping[str, str]) -> None:
    if strange := sorted(set(options) - set(OPTIONS)):
        raise ValueError(f"a store has no option {', '.join(strange)}; wanted {', '.join(OPTIONS)}. {SOURCES}")
    if "@" in options.get("endpoint", ""):
        raise ValueError(f"the endpoint of a store holds credentials: wanted https://HOST. {SOURCES}")

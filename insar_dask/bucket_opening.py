"""From an address to its bucket: opened once a process, with bounded retries and the credentials of who runs it."""

from __future__ import annotations

import os
from datetime import timedelta
from functools import lru_cache
from typing import Any

from insar_dask.aws_profile import ProfileCredentials, profile_region
from insar_dask.bucket_address import address_parts, bucket_address
from insar_dask.buckets import Bucket

__all__ = ["LINGER_SECONDS", "open_bucket"]

REQUEST_SECONDS = 30
RETRY_SECONDS = 60
MOST_RETRIES = 40
"""The seconds are the limit, not this: of 60 requests at once to a bucket that takes ten a second, some need more than
ten tries."""
LINGER_SECONDS = REQUEST_SECONDS + RETRY_SECONDS
"""Longest that a request which was begun may still reach the bucket: no attempt begins after the one, none lasts longer
than the other."""

RETRIES: Any = {
    "max_retries": MOST_RETRIES,
    "retry_timeout": timedelta(seconds=RETRY_SECONDS),
    "backoff": {"init_backoff": timedelta(milliseconds=100), "max_backoff": timedelta(seconds=10), "base": 2},
}


def open_bucket(address: str, read_only: bool = False) -> Bucket:
    """The store at an address; processes keep one of each, for its connections."""
    address = bucket_address(address)
    # another environment may be another user, and another process has no threads of ours
    known = tuple(sorted(item for item in os.environ.items() if item[0].startswith("AWS_")))
    bucket = _opened(address, known, os.getpid())
    return bucket.with_read_only(True) if read_only else bucket


@lru_cache(maxsize=32)
def _opened(address: str, _environment: tuple[tuple[str, str], ...], _process: int) -> Bucket:
    try:
        from obstore.store import S3Store
    except ImportError:
        raise ImportError(f"{address} needs obstore: pip install 'insar-dask[s3]'") from None
    bucket, prefix, options = address_parts(address)
    profile = options.pop("profile", None)
    region = options.pop("region", None) or profile_region(profile)
    endpoint = options.get("endpoint") or _environment_endpoint()
    client: Any = {"timeout": timedelta(seconds=REQUEST_SECONDS), "connect_timeout": timedelta(seconds=5)}
    if endpoint.startswith("http://"):
        client["allow_http"] = True
    config: Any = {**options, **({} if region is None else {"region": region})}
    credentials = None if "skip_signature" in options else ProfileCredentials.found(profile)
    store = S3Store(
        bucket,
        prefix=prefix or None,
        config=config,
        client_options=client,
        retry_config=RETRIES,
        credential_provider=credentials,
    )
    return Bucket(store, address)


def _environment_endpoint() -> str:
    names = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")
    return next((os.environ[name] for name in names if os.environ.get(name)), "")

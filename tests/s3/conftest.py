import uuid
from collections.abc import Iterator

import pytest
import xarray as xr

pytest.importorskip("moto", reason="moto is the S3 server of these tests: pip install 'insar-dask[test]'")
pytest.importorskip("obstore", reason="obstore speaks to it")

from tests.s3.faulty import Proxy, proxy_before
from tests.s3.runs import small_cube
from tests.s3.server import make_bucket, s3_server

KEY_ID, SECRET = "AKIDOFTESTS", "Zx9-hush-hush-0815"


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """An S3 server for all tests."""
    with s3_server() as url:
        yield url


@pytest.fixture
def proxy(server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    """What stands before the server, and how to get there."""
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    with proxy_before(server) as found:
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY_ID)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
        monkeypatch.setenv("AWS_REGION", "eu-west-1")
        monkeypatch.setenv("AWS_ENDPOINT_URL", found.url)
        yield found


@pytest.fixture
def address(server: str, proxy: Proxy) -> str:
    """Of a store in a bucket of its own, behind the proxy."""
    name = f"test-{uuid.uuid4().hex[:12]}"
    make_bucket(server, name)
    return f"s3://{name}/site.zarr"


@pytest.fixture(scope="session")
def cube() -> xr.Dataset:
    """512 points x 60 dates with few columns: each is an object a shard."""
    return small_cube()

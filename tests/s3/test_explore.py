"""The explorer of a store in a bucket: bytes of objects as a web server gives them, by this process's credentials."""

import http.client

import xarray as xr

import insar_dask as insar
from insar_dask.objects import get_bytes, open_store
from insar_dask.viewer.overview_jobs import prepare
from tests.s3.faulty import Proxy
from tests.viewer.serving import explorer


def asked(port: int, path: str, method: str = "GET", **headers: str) -> tuple[http.client.HTTPResponse, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request(method, f"/data.zarr/{path}", headers=headers)
    answer = connection.getresponse()
    data = answer.read()
    connection.close()
    return answer, data


def test_a_bucket_is_explored(address: str, proxy: Proxy, cube: xr.Dataset) -> None:
    insar.save(cube, address, "site/raw", quiet=True)
    assert prepare(address, quiet=True) == ""
    key = "site/raw/displacement/c/0/0"
    whole = get_bytes(open_store(address), key)
    assert whole is not None
    with explorer(address) as port:
        for name in ("explore/zarr.json", "site/explore/zarr.json", key):
            answer, data = asked(port, name)
            assert (answer.status, data) == (200, get_bytes(open_store(address), name))
        for wanted, part in (("0-0", whole[:1]), ("10-99", whole[10:100]), ("-16", whole[-16:]), ("50-", whole[50:])):
            answer, data = asked(port, key, Range=f"bytes={wanted}")
            assert (answer.status, data) == (206, part), wanted
            assert answer.headers["Content-Range"].endswith(f"/{len(whole)}")
        assert asked(port, key, Range=f"bytes={len(whole)}-")[0].status == 416
        head, nothing = asked(port, key, "HEAD")
        assert (head.status, head.headers["Content-Length"], nothing) == (200, str(len(whole)), b"")
        for hidden in ("jobs/lease", "site/none", "site/../jobs/lease", "site/%2e%2e/jobs/lease", "site//raw"):
            assert asked(port, hidden)[0].status == 404, hidden
            assert asked(port, hidden, Range="bytes=0-9")[0].status == 404, hidden
        assert asked(port, key, "POST")[0].status == 405
    proxy.fault = lambda method, _: 403 if method == "PUT" else None
    told = prepare(address, quiet=True)  # by who may read alone
    assert told.startswith("shown as it was when it was last explored") and "credentials do not allow it" in told

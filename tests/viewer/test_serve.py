import http.client
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from insar_dask.cube import CubeError
from insar_dask.objects import get_blocks
from insar_dask.viewer import export
from insar_dask.viewer.export import export_page
from insar_dask.viewer.page import POLICY
from insar_dask.viewer.serve import serve
from tests.viewer.serving import explorer

ARRAY = "/data.zarr/site/explore/0/velocity/c/0"


@pytest.fixture(scope="module")
def port(site: Path) -> Iterator[int]:
    outside = site.with_name("secret.txt")
    outside.write_text("secret")
    link = site / "site" / "link.txt"
    link.symlink_to(outside)
    (site / "site" / "folder").symlink_to(site.parent)
    with explorer(site) as found:
        yield found
    link.unlink()
    (site / "site" / "folder").unlink()


def asked(port: int, path: str, method: str = "GET", **headers: str) -> tuple[http.client.HTTPResponse, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.putrequest(method, path, skip_host="Host" in headers)
    for name, value in headers.items():
        connection.putheader(name.replace("_", "-"), value)
    connection.endheaders()
    answer = connection.getresponse()
    data = answer.read()
    connection.close()
    return answer, data


def test_the_page_and_the_store_are_answered_with_a_strict_policy(port: int, site: Path) -> None:
    for path in ("/", "/index.html", "/app.js", "/app.css", "/LICENSES.txt", ARRAY, "/data.zarr/explore/zarr.json"):
        answer, data = asked(port, path)
        assert answer.status == 200, path
        assert data
        assert answer.headers["Content-Security-Policy"] == POLICY
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert "Access-Control-Allow-Origin" not in answer.headers
    assert asked(port, ARRAY)[1] == (site / "site/explore/0/velocity/c/0").read_bytes()
    assert "unsafe" not in POLICY


@pytest.mark.parametrize(
    "path",
    [
        "/data.zarr/../secret.txt",
        "/data.zarr/site/../../secret.txt",
        "/data.zarr/%2e%2e/secret.txt",
        "/data.zarr/%2e%2e%2fsecret.txt",
        "/data.zarr/..%5csecret.txt",
        "/data.zarr//etc/passwd",
        "/data.zarr/%2fetc%2fpasswd",
        "//etc/passwd",
        "/../../etc/passwd",
        "/data.zarr/site/link.txt",
        "/data.zarr/site/folder/secret.txt",
        "/data.zarr/site",
        "/data.zarr/site/explore",
        "/data.zarr/",
        "/data.zarr",
        "/data.zarr/jobs/lock",
        "/data.zarr/site/../jobs/lock",
        "/data.zarr/nothing",
        "/data.zarr/a%00b",
        "/BUILD.json",
        "/serve.py",
    ],
)
def test_nothing_else_is_answered(port: int, path: str) -> None:
    answer, data = asked(port, path)
    assert answer.status in (301, 400, 403, 404), path
    assert answer.status != 301 or not answer.headers["Location"].startswith("//")
    assert b"secret" not in data
    assert b"root:" not in data


@pytest.mark.parametrize(
    "host", ["example.org", "127.0.0.1.example.org", "localhost.example.org", "0.0.0.0", "[::1]", ""]
)
def test_another_name_for_this_machine_is_not_answered(port: int, host: str) -> None:
    assert asked(port, "/", Host=host)[0].status in (400, 404)
    assert asked(port, ARRAY, Host=f"{host}:{port}")[0].status in (400, 404)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_its_own_names_are(port: int, host: str) -> None:
    assert asked(port, "/", Host=f"{host}:{port}")[0].status == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_it_is_read_only(port: int, method: str) -> None:
    assert asked(port, "/", method)[0].status == 405
    assert asked(port, ARRAY, method)[0].status == 405


def test_ranges_are_answered_as_zarr_asks_for_them(port: int, site: Path) -> None:
    whole = (site / "site/explore/0/velocity/c/0").read_bytes()
    for wanted, part in (("0-0", whole[:1]), ("10-99", whole[10:100]), ("-16", whole[-16:]), ("50-", whole[50:])):
        answer, data = asked(port, ARRAY, Range=f"bytes={wanted}")
        assert (answer.status, data) == (206, part), wanted
        assert answer.headers["Content-Range"].endswith(f"/{len(whole)}")
    assert asked(port, ARRAY, Range=f"bytes={len(whole)}-")[0].status == 416
    head, nothing = asked(port, ARRAY, "HEAD")
    assert (head.status, head.headers["Content-Length"], nothing) == (200, str(len(whole)), b"")


def test_what_is_unchanged_is_not_sent_again(port: int, site: Path) -> None:
    tag = asked(port, ARRAY)[0].headers["Etag"]
    assert asked(port, ARRAY, If_None_Match=tag)[0].status == 304
    path = site / "site/explore/0/velocity/c/0"
    os.utime(path, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns + 1))
    assert asked(port, ARRAY, If_None_Match=tag)[0].status == 200


def test_a_port_that_is_taken_is_refused(port: int, site: Path) -> None:
    with pytest.raises(OSError, match=f"port {port} of 127.0.0.1 cannot be had"):
        serve(site, port, show=False)


def test_an_export_holds_what_the_page_reads_and_no_more(site: Path, tmp_path: Path) -> None:
    page = export_page(site, tmp_path / "share")
    assert page == tmp_path / "share" / "index.html"
    data = tmp_path / "share" / "data.zarr"
    for key in (
        "explore/zarr.json",
        "site/explore/zarr.json",
        "site/raw/displacement/c/0/0",
        "site/parts/trend/zarr.json",
    ):
        assert (data / key).read_bytes() == (site / key).read_bytes()
    assert not (data / "jobs").exists()
    assert not (data / "site/raw/easting").exists()
    assert export_page(site, tmp_path / "share") == page
    for store, folder in ((data, page.parent), (site, site / "page")):
        with pytest.raises(CubeError, match="would lie in each other"):
            export_page(store, folder)
    assert (data / "explore/zarr.json").exists()


@pytest.mark.parametrize("files_written", [1, 2, 9])
def test_an_export_that_was_cut_off_is_made_anew(
    site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files_written: int
) -> None:
    """Killed after some files; and so once more, when a whole page is there, which stays."""
    share, left = tmp_path / "share", [files_written]

    def dying(store: Any, key: str) -> Any:
        left[0] -= 1
        if left[0] <= 0:
            raise KeyboardInterrupt
        return get_blocks(store, key)

    monkeypatch.setattr(export, "get_blocks", dying)
    with pytest.raises(KeyboardInterrupt):
        export_page(site, share)
    assert not (share / "index.html").exists()  # nobody takes it for whole
    (share / "notes.txt").write_text("mine")
    monkeypatch.undo()
    whole = export_page(site, tmp_path / "whole").parent
    export_page(site, share)
    (share / "notes.txt").unlink()
    assert files_of(share) == files_of(whole)
    monkeypatch.setattr(export, "get_blocks", dying)
    left[0] = files_written
    with pytest.raises(KeyboardInterrupt):
        export_page(site, share)
    assert {name: data for name, data in files_of(share).items() if ".part/" not in name} == files_of(whole)


def test_nothing_is_written_behind_a_link(site: Path, tmp_path: Path) -> None:
    share, theirs = export_page(site, tmp_path / "share").parent, tmp_path / "theirs"
    theirs.mkdir()
    shutil.rmtree(share / "data.zarr")
    (share / "data.zarr").symlink_to(theirs)
    with pytest.raises(CubeError, match="is a link"):
        export_page(site, share)
    assert list(theirs.iterdir()) == []
    (share / "data.zarr").unlink()
    (tmp_path / "theirs.txt").write_text("theirs")
    for name in ("index.html.part", "app.js", f"{export.MARK}.part"):
        (share / name).unlink(missing_ok=True)
        (share / name).symlink_to(tmp_path / "theirs.txt")
    export_page(site, share)
    assert (tmp_path / "theirs.txt").read_text() == "theirs" and not (share / "app.js").is_symlink()


def test_an_export_that_was_cut_off_in_its_mark_is_made_anew(site: Path, tmp_path: Path) -> None:
    (tmp_path / "share").mkdir()
    (tmp_path / "share" / f"{export.MARK}.part").write_text("A pa")
    assert export_page(site, tmp_path / "share").is_file()


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_an_overview_that_names_other_places_is_not_followed(site: Path, tmp_path: Path) -> None:
    data = export_page(site, tmp_path / "share").with_name("data.zarr")
    document = json.loads((data / "explore/zarr.json").read_text())
    for name in ("../site/explore", "/etc", "site/./explore", "site\\explore"):
        document["attributes"]["products"][0]["group"] = name
        (data / "explore/zarr.json").write_text(json.dumps(document))
        with pytest.raises(CubeError, match="is no place in it"):
            export_page(data, tmp_path / "copy")


def test_an_export_of_a_store_elsewhere_names_that_place_alone(site: Path, tmp_path: Path) -> None:
    text = export_page(site, tmp_path / "share", "https://example.org:8443/a/site.zarr").read_text()
    assert "connect-src 'self' https://example.org:8443\"" in text
    assert '<meta name="store" content="https://example.org:8443/a/site.zarr">' in text
    assert not (tmp_path / "share/data.zarr").exists()


@pytest.mark.parametrize(
    "address", ["site.zarr", "ftp://a/b", "https://", "https://a/b; script-src *", "https://a/b'x"]
)
def test_an_address_that_is_none_is_refused(site: Path, tmp_path: Path, address: str) -> None:
    with pytest.raises(ValueError, match="no address on a web server"):
        export_page(site, tmp_path / "share", address)
    assert not (tmp_path / "share").exists()


def test_a_folder_with_something_else_is_left_alone(site: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(CubeError, match="holds something else"):
        export_page(site, tmp_path)

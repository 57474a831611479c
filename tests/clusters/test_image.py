"""The image is really built, on a Debian without Python that is laid out here, and the demo runs in it.

Some minutes, 6 GB of disk and the packages' downloads: `make image-test` runs it.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SUITE = "bookworm"
AUTHORITIES = Path("/etc/ssl/certs/ca-certificates.crt")
"""Whom this host trusts: a proxy on the way to the packages may be among them, whom a bare Debian does not know."""

pytestmark = pytest.mark.timeout(3600)


class Buildah:
    """Buildah with a store of its own, without daemon and namespaces."""

    def __init__(self, folder: Path) -> None:
        self.command = ["buildah", "--root", str(folder / "storage"), "--runroot", str(folder / "run")]
        self.environment = {**os.environ, "STORAGE_DRIVER": "vfs", "BUILDAH_ISOLATION": "chroot"}

    def __call__(self, *arguments: str | Path) -> str:
        done = subprocess.run(
            [*self.command, *map(str, arguments)], capture_output=True, text=True, check=False, env=self.environment
        )
        assert done.returncode == 0, f"buildah {arguments[0]}: {done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        return done.stdout.strip()


def mirror() -> str:
    """Where this host has its packages from."""
    told = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(SITE)"], check=True, capture_output=True, text=True
    )
    return next(line for line in told.stdout.splitlines() if line.rstrip("/").endswith("/debian"))


@pytest.fixture(scope="module")
def buildah(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Buildah]:
    lacking = [command for command in ("buildah", "debootstrap", "git") if shutil.which(command) is None]
    if lacking or os.geteuid():
        pytest.skip(f"wants root and {', '.join(lacking)}: apt-get install buildah debootstrap git")
    folder = tmp_path_factory.mktemp("image")
    build = Buildah(folder)
    base = folder / "base"
    subprocess.run(["debootstrap", "--variant=minbase", SUITE, base, mirror()], check=True, capture_output=True)
    container = build("from", "scratch")
    build("add", "--quiet", container, base, "/")
    build("commit", "--quiet", "--rm", container, "localhost/debian")
    shutil.rmtree(base)
    yield build
    build("rm", "--all")
    build("rmi", "--all", "--force")
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def image(buildah: Buildah, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The image, of what git keeps and nothing else."""
    context, trusted = tmp_path_factory.mktemp("context"), tmp_path_factory.mktemp("trusted")
    kept = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for name in filter(None, kept.split("\0")):
        if (ROOT / name).is_file():
            (context / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, context / name)
    shutil.copy(AUTHORITIES, trusted / "ca.pem")
    arguments = ["--build-arg", "BASE=localhost/debian", "--build-arg", "PIP_CERT=/trusted/ca.pem"]
    file = context / "deploy" / "image" / "Dockerfile"
    buildah(
        "bud",
        "--network",
        "host",
        "-v",
        f"{trusted}:/trusted:ro",
        *arguments,
        "-f",
        file,
        "-t",
        "localhost/insar",
        context,
    )
    return "localhost/insar"


def test_the_demo_runs_in_the_image_as_an_ordinary_user(buildah: Buildah, image: str, tmp_path: Path) -> None:
    container, data = buildah("from", image), tmp_path / "data"
    data.mkdir()
    os.chown(data, 1000, 1000)
    inside = ("run", "--network", "host", "-v", f"{data}:/data", container, "--")
    assert buildah(*inside, "id", "-u") == "1000"
    told = buildah(*inside, "insar-dask", "--cluster", "workers=2", "demo", "--quiet", "--out", "/data/demo")
    assert "0 rows rejected" in told
    assert buildah(*inside, "insar-dask", "verify", "/data/demo/cube.zarr").endswith("holds the bytes of its receipt")
    written = [path for path in data.rglob("*") if path.is_file()]
    assert {path.suffix for path in written} >= {".html", ".tif", ".parquet", ".png"}
    assert {path.stat().st_uid for path in written} == {1000}


def test_the_image_has_what_deployments_start(buildah: Buildah, image: str) -> None:
    container = buildah("from", image)
    for verb in ("scheduler", "worker"):
        assert "tls-ca-file" in buildah("run", container, "--", "dask", verb, "--help")
    buildah("run", container, "--", "python", "-c", "import bokeh, dask_jobqueue, obstore, prometheus_client")

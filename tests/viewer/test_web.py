import hashlib
import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pytest

from insar_dask.report.colours import pattern_colours
from insar_dask.viewer.page import page_folder

WEB = Path(__file__).parents[2] / "insar_dask" / "viewer" / "web"
STATIC = page_folder()
FREE = {"MIT", "ISC", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause"}


def record() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((STATIC / "BUILD.json").read_text())
    return found


def node() -> str:
    found = shutil.which("node")
    if found is None:
        pytest.skip("needs node: apt-get install nodejs")
    return found


def test_the_modules_of_the_page(tmp_path: Path) -> None:
    def table(name: str) -> list[list[int]]:
        rows = [matplotlib.colormaps[name](i)[:3] for i in range(256)]
        return np.rint(255 * np.array(rows)).astype(int).tolist()  # type: ignore[no-any-return]

    tables = tmp_path / "tables.json"
    patterns = [pattern_colours(n) for n in range(1, 9)]
    tables.write_text(json.dumps({"RdBu": table("RdBu"), "viridis": table("viridis"), "patterns": patterns}))
    command = [node(), "--test", "test/"]
    environment = os.environ | {"COLOUR_TABLES": str(tables)}
    done = subprocess.run(command, cwd=WEB, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-4000:]
    assert "# skipped 0" in done.stdout
    assert int(done.stdout.partition("# pass ")[2].split()[0]) >= 11


def test_the_page_is_small_and_as_it_was_built() -> None:
    for name, about in record()["files"].items():
        data = (STATIC / name).read_bytes()
        assert (len(data), hashlib.sha256(data).hexdigest()) == (about["bytes"], about["sha256"]), name
    assert record()["files"]["app.js"]["bytes"] <= 200_000
    assert (STATIC / "index.html").read_bytes() == (WEB / "src/index.html").read_bytes()
    assert (STATIC / "app.css").read_text().endswith((WEB / "src/app.css").read_text())


def test_what_the_page_is_built_of_is_free() -> None:
    packages = record()["packages"]
    assert {package["name"] for package in packages} == {"zarrita", "@zarrita/storage", "uplot", "fzstd"}
    assert {package["license"] for package in packages} <= FREE
    licences = (STATIC / "LICENSES.txt").read_text()
    locked = json.loads((WEB / "package-lock.json").read_text())["packages"]
    for package in packages:
        assert f"{package['name']} {package['version']} ({package['license']})" in licences
        assert locked[f"node_modules/{package['name']}"]["version"] == package["version"]


def test_text_stands_out_from_its_ground() -> None:
    style = (STATIC / "app.css").read_text()
    light, dark = (
        dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", part))
        for part in re.findall(r":root \{(.*?)\n\s*\}", style, re.S)
    )
    assert set(light) == set(dark)
    for colours in (light, dark):
        for text, ground in (
            *((ink, where) for ink in ("ink", "soft", "faint") for where in ("panel", "ground", "field")),
            *(("accent-ink", "accent"), ("warn", "panel")),
        ):
            bright, dim = sorted((luminance(colours[text]), luminance(colours[ground])), reverse=True)
            assert (bright + 0.05) / (dim + 0.05) >= 4.5, (text, ground)


def luminance(colour: str) -> float:
    """Of WCAG 2."""
    parts = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def test_no_script_is_made_of_text() -> None:
    script = (STATIC / "app.js").read_text(encoding="utf-8")
    page = (STATIC / "index.html").read_text(encoding="utf-8")
    for risky in ("eval(", "new Function", "innerHTML=", "innerHTML =", "document.write", "insertAdjacentHTML"):
        assert risky not in script, risky
    assert "<script>" not in page
    assert " style=" not in page


def test_the_same_sources_give_the_same_bytes(tmp_path: Path) -> None:
    if not (WEB / "node_modules").exists():
        pytest.skip("needs the page's packages: make viewer")
    subprocess.run([node(), "build.mjs", str(tmp_path)], cwd=WEB, check=True)
    for name in (*record()["files"], "BUILD.json"):
        assert (tmp_path / name).read_bytes() == (STATIC / name).read_bytes(), name

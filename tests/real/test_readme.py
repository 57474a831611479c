"""The README's script, word for word, on the real product that it names."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

README = Path(__file__).parents[2] / "README.md"


def test_the_script_of_the_readme_runs_as_it_stands(real_data: Path, tmp_path: Path) -> None:
    (script,) = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    shutil.copy(real_data / "egms" / "EGMS_L2b_022_0845_IW2_VV_2020_2024_1.zip", tmp_path)
    (tmp_path / "script.py").write_text(script)
    done = subprocess.run(
        [sys.executable, "-W", "error", "script.py"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "mm/yr, pattern by pattern" in done.stdout
    assert (tmp_path / "point.png").stat().st_size > 10_000


def test_every_module_at_the_top_is_listed() -> None:
    (listed,) = re.findall(r"## Where things are\n+```\n(.*?)```", README.read_text(), re.DOTALL)
    package = README.with_name("insar_dask")
    modules = {path.name for path in package.glob("[!_]*.py")}
    folders = {f"{path.parent.name}/" for path in package.glob("*/__init__.py")}
    assert {name for name in modules | folders if not re.search(rf"(^|\W){name}", listed)} == set()

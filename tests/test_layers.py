"""The rules of the house that import-linter cannot say."""

import importlib
import pkgutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

import insar_dask
import insar_kernels

ROOT = Path(__file__).parents[1]


def modules(package: object) -> list[str]:
    name, path = package.__name__, package.__path__  # type: ignore[attr-defined]
    return [found.name for found in pkgutil.walk_packages(path, f"{name}.")]


@cache
def loaded_by(statement: str) -> set[str]:
    """Modules that a process has after a statement; once for all that are asked after."""
    code = f"import sys\n{statement}\nprint(*sys.modules)"
    return set(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split())


@pytest.mark.parametrize("heavy", ["torch", "sklearn", "statsmodels", "cupy", "distributed", "matplotlib"])
def test_import_is_light(heavy: str) -> None:
    assert heavy not in loaded_by("import insar_dask")


@pytest.mark.parametrize("heavy", ["xarray", "pandas", "pyarrow", "dask", "distributed"])
def test_reading_a_product_file_into_a_store_loads_neither_frames_nor_xarray(heavy: str) -> None:
    assert heavy not in loaded_by("import insar_dask.jobs.steps.ingest")


def test_forecasting_without_neural_networks_loads_no_torch() -> None:
    assert "torch" not in loaded_by(
        "import insar_dask.forecast, insar_dask.forecast.protocol, insar_dask.forecast.gaussian"
    )


def test_public_names_survive_the_import_of_every_module() -> None:
    for name in modules(insar_dask) + modules(insar_kernels):
        importlib.import_module(name)
    for name in insar_dask.__all__:
        assert callable(getattr(insar_dask, name)), f"insar_dask.{name} was rebound by a module of its name"


def test_no_module_bears_the_name_of_a_public_function() -> None:
    last = {name.rpartition(".")[2] for name in modules(insar_dask) + modules(insar_kernels)}
    assert not last & {*insar_dask.__all__, *insar_kernels.__all__}


def test_no_room_for_leftovers() -> None:
    last = {name.rpartition(".")[2] for name in modules(insar_dask) + modules(insar_kernels)}
    assert not last & {"utils", "util", "common", "base", "helpers", "misc"}


def test_kernels_is_a_source_root_and_no_package() -> None:
    assert not (ROOT / "kernels" / "__init__.py").exists()


def test_every_public_name_has_its_home() -> None:
    assert sorted(insar_dask._HOMES) == sorted(insar_dask.__all__)
    assert all(name in dir(insar_dask) for name in insar_dask.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        insar_dask.nonsense  # noqa: B018

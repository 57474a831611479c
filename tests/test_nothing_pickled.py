"""No code comes out of a store, a checkpoint or an archive: nothing is unpickled, and nothing is unpacked to a path."""

import ast
import io
import json
import pickle
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import insar_dask as insar
from insar_dask.forecast import model_folder
from insar_dask.forecast.model_folder import read_folder, write_folder
from insar_dask.jobs.receipts import STATES, Ledger
from insar_dask.jobs.seals import unpack
from insar_dask.objects import open_store, put_bytes

ROOT = Path(__file__).parents[1]
REFUSED = {"pickle": {"load", "loads", "Unpickler"}, "cloudpickle": {"load", "loads"}, "marshal": {"load", "loads"}}
NEVER_IMPORTED = {"joblib", "shelve", "dill", "marshal", "cloudpickle"}
NEVER_CALLED = {"extractall", "extract", "unpack_archive", "read_pickle"}
BUILTINS = {"eval", "exec"}  # networks have an eval of their own


class Trap:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.path,)


def calls(tree: ast.AST) -> Iterator[tuple[ast.Call, str, str]]:
    """Calls, what they are called on, and their names."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            on = node.func.value.id if isinstance(node.func.value, ast.Name) else "?"
            yield node, on, node.func.attr
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            yield node, "", node.func.id


def unsafe(tree: ast.AST) -> list[str]:
    """What of a module could run what it reads."""
    found = []
    for node, on, name in calls(tree):
        told = {word.arg: ast.unparse(word.value) for word in node.keywords}
        if name in REFUSED.get(on, ()) or name in NEVER_CALLED or (on == "" and name in BUILTINS):
            found.append(ast.unparse(node))
        if (on, name) == ("torch", "load") and told.get("weights_only") != "True":
            found.append(ast.unparse(node))
        if told.get("allow_pickle", "False") != "False":
            found.append(ast.unparse(node))
    for node in ast.walk(tree):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        found += [name for name in names if name.partition(".")[0] in NEVER_IMPORTED]
    return found


def test_no_module_runs_what_it_reads() -> None:
    files = [*(ROOT / "insar_dask").rglob("*.py"), *(ROOT / "kernels").rglob("*.py")]
    found = {str(path): unsafe(ast.parse(path.read_text(encoding="utf-8"))) for path in files}
    assert {path: calls for path, calls in found.items() if calls} == {}
    assert unsafe(ast.parse("import pickle\npickle.loads(b)")) and unsafe(ast.parse("torch.load(f)"))
    assert unsafe(ast.parse("np.load(f, allow_pickle=True)")) and unsafe(ast.parse("archive.extractall()"))


def test_a_state_that_holds_an_object_is_refused(tmp_path: Path) -> None:
    packed = io.BytesIO()
    np.savez(packed, allow_pickle=True, weights=np.array([Trap(tmp_path / "sprung")], object))
    with pytest.raises(ValueError, match="holds Python objects, which are not unpickled"):
        unpack(packed.getvalue())
    ledger = Ledger(open_store(tmp_path / "a.zarr"))
    put_bytes(ledger.store, f"{STATES}/{'0' * 64}.npz", packed.getvalue())
    with pytest.raises(FileNotFoundError, match="missing or damaged"):
        ledger.read_state("0" * 64)
    with pytest.raises(FileNotFoundError, match="missing or damaged"):
        ledger.read_state("../../../etc/hostname")
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("codec", ["pickle", "numcodecs.pickle"])
def test_an_array_that_wants_to_be_unpickled_is_refused(codec: str, tmp_path: Path, small_scene: xr.Dataset) -> None:
    store = tmp_path / "a.zarr"
    insar.save(small_scene.isel(point=slice(300)), store, "site/raw", quiet=True)
    document = store / "site/raw/coherence/zarr.json"
    told = json.loads(document.read_text())
    told["codecs"] = [{"name": codec, "configuration": {}}]
    document.write_text(json.dumps(told))
    for chunk in (store / "site/raw/coherence/c").iterdir():
        chunk.write_bytes(pickle.dumps(Trap(tmp_path / "sprung")))
    with pytest.raises((ValueError, KeyError, TypeError)):
        insar.open_cube(store).compute()
    assert not (tmp_path / "sprung").exists()


def test_a_card_that_names_a_file_elsewhere_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    write_folder(folder, {}, "# a model", {"a": np.zeros(2)})
    card = json.loads((folder / "card.json").read_text())
    del card["seal"]
    (folder / card["weights"]).rename(tmp_path / card["weights"])
    card["weights"] = f"../{card['weights']}"
    (folder / "card.json").write_text(json.dumps({**card, "seal": model_folder._seal(card)}))
    with pytest.raises(ValueError, match="no file of its folder"):
        read_folder(folder)

"""Interferograms to displacement, motion, a forecast and a report.

usage: interferograms.py [ifgramStack.h5 [FOLDER]]      without a stack: a valley with a bowl that sinks, drawn

`interferograms.toml` beside this says which pairs are used, what is corrected, and how they are inverted.
"""

import sys
import tomllib
from pathlib import Path

import h5py
import numpy as np

import insar_dask as insar
from insar_dask.config import parse_config
from insar_dask.pipeline import Outcome
from insar_dask.synthetic import pair_cube

END = ("first", "second")


def main(
    stack: str | None = None, folder: str = "interferograms", rows: int = 40, columns: int = 50, dates: int = 80
) -> None:
    out = Path(folder)
    out.mkdir(exist_ok=True)
    path = made_up(out / "ifgramStack.h5", rows, columns, dates) if stack is None else Path(stack)
    wanted = tomllib.loads(Path(__file__).with_suffix(".toml").read_text())
    wanted["source"]["files"] = [str(path)]
    wanted["store"]["path"] = str(out / "site.zarr")

    (outcome,) = insar.run(parse_config(wanted), quiet=True)  # what is done already is not done again

    print("\n".join([*outcome.summary, str(outcome.report)]))
    if stack is None:
        compare(outcome)


def made_up(path: Path, rows: int, columns: int, dates: int) -> Path:
    """A stack as MintPy lays it out: orbits, cycles that were lost, two bad pairs, and some that are too long."""
    pairs = pair_cube(
        rows, columns, dates, longest=60, velocity=30, season_size=2, height_error=0, ramps=4, unwrapping=0.005,
        missing=0.01, atmosphere=2, decorrelation=1, baseline=30,
    )  # fmt: skip
    phase = pairs["phase"].values.copy()
    phase[:, [30, 61]] += np.random.default_rng(0).normal(0, 4, (rows * columns, 2)).astype(np.float32)
    shape = rows, columns, pairs.sizes["pair"]
    days = [np.char.replace(pairs[end].values.astype("datetime64[D]").astype(str), "-", "") for end in END]
    grid = pairs["grid"].attrs
    text = {
        "FILE_TYPE": "ifgramStack", "UNIT": "radian", "LENGTH": rows, "WIDTH": columns, "EPSG": 32644,
        "X_FIRST": grid["x_first"] - grid["x_step"] / 2, "X_STEP": grid["x_step"], "X_UNIT": "meters",
        "Y_FIRST": grid["y_first"] - grid["y_step"] / 2, "Y_STEP": grid["y_step"], "Y_UNIT": "meters",
        "WAVELENGTH": pairs.attrs["wavelength"], "ORBIT_DIRECTION": "DESCENDING", "PROCESSOR": "isce",
    }  # fmt: skip
    with h5py.File(path, "w") as file:
        file["unwrapPhase"] = np.nan_to_num(phase).reshape(shape).transpose(2, 0, 1)  # 0 is no data
        file["coherence"] = pairs["coherence"].values.reshape(shape).transpose(2, 0, 1)
        file["date"] = np.stack(days, axis=1).astype("S8")
        file["bperp"] = pairs["bperp"].values
        file["dropIfgram"] = np.ones(shape[2], bool)
        file.attrs.update({name: str(value) for name, value in text.items()})
    np.save(path.with_suffix(".npy"), pairs["true_velocity"].values.reshape(rows, columns))
    return path


def compare(outcome: Outcome) -> None:
    """How far the velocities are from those that were drawn, against the place that stands still."""
    cube = insar.open_cube(outcome.store)
    found = insar.to_grid(insar.motion(cube))["velocity"].compute().values
    truth = np.load(Path(outcome.store).with_name("ifgramStack.npy"))
    error = found - truth
    error -= np.nanmedian(error)
    print(f"velocities are {np.sqrt(np.nanmean(error**2)):.1f} mm/yr off what was drawn, of up to {-truth.min():.0f}")


if __name__ == "__main__":
    main(*sys.argv[1:3])

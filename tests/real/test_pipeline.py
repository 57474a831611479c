"""The whole run on each of four real products: what comes out agrees with figures found beforehand."""

from pathlib import Path
from typing import Any

import pytest

import insar_dask as insar
from insar_dask.config import parse_config
from insar_dask.jobs.progress.status import damaged
from insar_dask.outcomes import Outcome

# RMSE in mm over all leads; every third origin of the last fifth of the record
FLOORS = {
    "EGMS_L3_E45N17_100km_U_2020_2024_1": {
        "persistence": 2.58,
        "harmonic": 2.39,
        "harmonic_ar1": 2.21,
        "harmonic_ridge": 2.07,
        "gaussian_process": 2.106,
    },
    "EGMS_L3_E45N17_100km_E_2020_2024_1": {
        "persistence": 3.15,
        "harmonic": 2.87,
        "harmonic_ar1": 2.67,
        "harmonic_ridge": 2.56,
        "gaussian_process": 2.556,
    },
    "EGMS_L2b_022_0845_IW2_VV_2020_2024_1": {
        "persistence": 4.82,
        "harmonic": 4.12,
        "harmonic_ar1": 4.02,
        "harmonic_ridge": 3.93,
        "gaussian_process": 3.909,
    },
    "EGMS_L2b_117_0227_IW2_VV_2020_2024_1": {
        "persistence": 4.93,
        "harmonic": 4.11,
        "harmonic_ar1": 4.03,
        "harmonic_ridge": 3.96,
        "gaussian_process": 3.900,
    },
}
METHODS = list(FLOORS["EGMS_L3_E45N17_100km_U_2020_2024_1"])
"""Kriging takes 50 s of a core to learn a product, and is held against floors of its own in `tests/benchmarks`."""

POINTS = {"_L3_": 522, "_022_": 11_590, "_117_": 11_759}


@pytest.fixture(scope="module")
def outcomes(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Outcome]:
    folder = tmp_path_factory.mktemp("real")
    config = parse_config(
        {
            "source": {"files": [str(real_data / "egms" / "*.zip")]},
            "store": {"path": str(folder / "cube.zarr")},
            "forecast": {"as_published": False, "methods": METHODS},
        }
    )
    return {outcome.product: outcome for outcome in insar.run(config, quiet=True)}


@pytest.mark.slow
@pytest.mark.parametrize("product", FLOORS)
def test_every_point_arrives(product: str, outcomes: dict[str, Outcome]) -> None:
    wanted = next(points for part, points in POINTS.items() if part in product)
    raw = insar.open_cube(outcomes[product].store, f"{product}/raw")
    assert raw.sizes["point"] == wanted
    assert outcomes[product].summary[0] == f"{wanted:,} points read, 0 rows rejected"
    assert outcomes[product].report.stat().st_size > 100_000


@pytest.mark.slow
@pytest.mark.parametrize("product", FLOORS)
def test_scores_agree_with_the_floors(product: str, outcomes: dict[str, Outcome]) -> None:
    from insar_dask.jobs.engine import Engine

    scores: dict[str, Any] = Engine(outcomes[product].store).ledger.read_note(f"scores/{product}") or {}
    for method, floor in FLOORS[product].items():
        found = scores["tables"]["honest"][method]["rmse_all"]
        most = 1.02 if method == "gaussian_process" else 1.03
        least = 0.0 if method == "gaussian_process" else 0.97
        assert least * floor <= found <= most * floor, f"{method}: {found:.3f}, floor {floor}"
    best = min(FLOORS[product].values())
    assert scores["tables"]["honest"][scores["default"]]["rmse_all"] <= 1.03 * best


@pytest.mark.slow
def test_the_store_holds_what_its_receipts_say(outcomes: dict[str, Outcome]) -> None:
    (store,) = {outcome.store for outcome in outcomes.values()}
    assert damaged(store) == {}

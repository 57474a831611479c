"""EGMS prints its own motion parameters beside the series: the oracle, on every point of four real products."""

import zipfile

import numpy as np
import pandas as pd
import pytest

from insar_dask.kinematics import motion
from insar_dask.readers.egms import read_egms

PRINTED = {
    "velocity": "mean_velocity",
    "velocity_std": "mean_velocity_std",
    "acceleration": "acceleration",
    "acceleration_std": "acceleration_std",
    "seasonality": "seasonality",
    "seasonality_std": "seasonality_std",
    "rmse": "rmse_ts",
}
PRODUCTS = {
    "EGMS_L2b_022_0845_IW2_VV_2020_2024_1.zip": 11_590,
    "EGMS_L2b_117_0227_IW2_VV_2020_2024_1.zip": 11_759,
    "EGMS_L3_E45N17_100km_E_2020_2024_1.zip": 522,
    "EGMS_L3_E45N17_100km_U_2020_2024_1.zip": 522,
}


def bar(product: str, parameter: str) -> float:
    """Half a printed digit is 0.05 (0.005 for the acceleration); the rest is what the provider's print leaves open."""
    if parameter == "acceleration":
        return 0.011
    return 0.105 if parameter == "velocity" and "L2b" in product else 0.06


@pytest.mark.parametrize("product", PRODUCTS)
def test_every_point_has_the_printed_parameters(real_data, product):
    path = real_data / "egms" / product
    fit = motion(read_egms(path).compute())
    with zipfile.ZipFile(path) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(".csv")]
        printed = pd.read_csv(archive.open(name), usecols=["pid", *PRINTED.values()], dtype={"pid": str})
    printed = printed.set_index("pid").loc[fit["point_id"].values.astype(str)]
    assert fit.sizes["point"] == PRODUCTS[product] == len(printed)
    for parameter, column in PRINTED.items():
        difference = np.abs(fit[parameter].values - printed[column].to_numpy())
        assert difference.max() <= bar(product, parameter), parameter
    assert (fit["n_dates"] == fit["n_dates"].max()).all()

"""Trend, season and residual of every point, by Holt-Winters and by STL, and what Holt-Winters expects to come.

usage: decompose.py [PRODUCT.zip]      without a product: a synthetic burst
"""

import sys

import insar_dask as insar
from insar_dask.synthetic import scene


def main(product: str | None = None, n_points: int = 2000) -> None:
    cube = scene("l2b", n_points=n_points) if product is None else insar.read_egms(product)
    regular = insar.regularise(cube, every="12D")

    parts = insar.holt_winters(regular, period=30).compute()  # 30 dates of 12 days: a year
    for name, found in (("Holt-Winters", parts), ("STL", insar.stl(regular, period=30).compute())):
        shares = insar.component_shares(insar.component_variances(found))["share"].sel(group="all")
        print(f"{name}: " + ", ".join(f"{float(share):.0%} {share['component'].values!s}" for share in shares))

    most = int(parts["season"].std("time").argmax("point"))
    forecast = insar.holt_winters_forecast(parts, steps=6).isel(point=most, origin=0)
    print(f"\nmost seasonal point, {parts['point_id'].values[most]!s}: mm with 90 % intervals")
    for lead in range(forecast.sizes["lead"]):
        at = forecast.isel(lead=lead)
        date, mean, low, high = (at[name].values for name in ("time", "displacement", "lower", "upper"))
        print(f"{str(date)[:10]} {mean:8.1f}   {low:.1f} to {high:.1f}")

    middle = str(regular["time"].values[regular.sizes["time"] // 2])[:10]
    known = insar.holt_winters(regular, period=30, until=middle).attrs  # lazy: nothing is computed for this
    days = known["sees_future_after_fit"]
    print(f"\nfitted until {known['fitted_until']}, a later value sees {days} days ahead: regularise filled gaps")


if __name__ == "__main__":
    main(*sys.argv[1:])

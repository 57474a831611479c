"""Moving ground as polygons: found on maps of motion, told by evidence, followed over the years.

In the order of use: `area_maps` and `honest_errors`, `find_areas` by a `Rule` (or outlines of yours, `read_areas` and
`judge_areas`), `histories`, `recent_rates`, `rates_in_space` and `exceedances` for what else is known of each,
`first_ids` and `carry_ids` over vintages, `inventory` and `growth`, and `write_areas`. `insar_dask.save_areas` does it
of a store.
"""

from insar_dask.detect.areas import Areas
from insar_dask.detect.counting import growth, inventory
from insar_dask.detect.errors import honest_errors
from insar_dask.detect.evidence import exceedances, histories
from insar_dask.detect.finding import find_areas
from insar_dask.detect.given import judge_areas, read_areas
from insar_dask.detect.mapping import area_maps
from insar_dask.detect.rates import rates_in_space, recent_rates
from insar_dask.detect.rules import Rule
from insar_dask.detect.vintages import carry_ids, first_ids, match_areas
from insar_dask.detect.writing import write_areas

__all__ = [
    "Areas",
    "Rule",
    "area_maps",
    "carry_ids",
    "exceedances",
    "find_areas",
    "first_ids",
    "growth",
    "histories",
    "honest_errors",
    "inventory",
    "judge_areas",
    "match_areas",
    "rates_in_space",
    "read_areas",
    "recent_rates",
    "write_areas",
]

"""Wherever the work runs, it leaves the same bytes."""

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import insar_dask as insar
from insar_dask.jobs.engine import Engine
from insar_dask.jobs.holding.lock import owned
from insar_dask.jobs.steps.ingest import ingest
from insar_dask.synthetic import scene, write_egms
from tests.conftest import stored_bytes
from tests.jobs.site_run import PREPARE
from tests.sessions.conftest import Certify


def prepared(store: Path, product: Path, where: AbstractContextManager[Any]) -> dict[str, bytes]:
    with owned(store), where as client:
        engine = Engine(store, client, quiet=True)
        ingest(engine, str(product), "site", {}, 128)
        engine.run(PREPARE)
    return stored_bytes(store)


def test_threads_and_a_cluster_over_tls_leave_the_bytes_of_this_process(certify: Certify, tmp_path: Path) -> None:
    product = tmp_path / "EGMS_L2b_022_0845_IW2_VV_2020_2024_1.csv"
    write_egms(product, scene("l2b", n_points=400, n_dates=60, seed=6))
    alone = prepared(tmp_path / "alone.zarr", product, nullcontext(None))
    assert prepared(tmp_path / "threads.zarr", product, insar.session(threads=3)) == alone
    assert prepared(tmp_path / "tls.zarr", product, insar.session(workers=1, tls=certify())) == alone

import os

import pytest
from distributed.system import MEMORY_LIMIT

import insar_dask as insar
from insar_dask.jobs.devices import DEVICE, device_of
from insar_dask.sessions import gpus, opening
from insar_dask.sessions.local import gpu_workers


def test_each_worker_sees_one_gpu_alone() -> None:
    """On any machine: what is told to a driver is not looked at by it before something computes there."""
    with (
        gpu_workers(["2", "GPU-5d4e"], 1, "auto", "127.0.0.1", "127.0.0.1:0", None) as cluster,
        cluster.get_client() as client,
    ):
        client.wait_for_workers(2, timeout=60)
        names = "CUDA_VISIBLE_DEVICES", "CUPY_GPU_MEMORY_LIMIT"
        seen = client.run(lambda: tuple(os.environ[name] for name in names))
        assert sorted(seen.values()) == [("2", "50%"), ("GPU-5d4e", "50%")]
        limits = {worker["memory_limit"] for worker in client.scheduler_info()["workers"].values()}
        assert limits == {MEMORY_LIMIT // 2}
        offered = client.run(lambda dask_worker: dask_worker.state.total_resources)
        assert list(offered.values()) == [{"GPU": 1.0}, {"GPU": 1.0}]


def test_a_session_decides_what_its_runs_compute_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(DEVICE, raising=False)
    assert device_of(None) == "cpu"
    monkeypatch.setattr(opening, "usable_gpus", lambda wanted: ["2"])
    with insar.session(gpus=1) as client:
        assert list(client.nthreads().values()) == [gpus.threads_of_gpu(1)]
        assert device_of(client) == "gpu"
        with insar.session(address=client.scheduler.address) as other:
            assert device_of(other) == "gpu"
        monkeypatch.setenv(DEVICE, "cpu")
        assert device_of(client) == "cpu"
    monkeypatch.delenv(DEVICE)
    with insar.session(threads=1) as client:
        assert device_of(client) == "cpu"
        monkeypatch.setenv(DEVICE, "gpu")
        assert device_of(client) == "gpu"


def test_a_gpu_has_its_share_of_the_cores_for_reading_and_writing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpus, "usable_cpus", lambda: 16)
    assert [gpus.threads_of_gpu(n) for n in (1, 4, 8, 16)] == [8, 4, 2, 2]


def test_gpus_go_by_the_names_that_this_process_was_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3, 5")
    assert gpus._names(2) == ["3", "5"]
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    assert gpus._names(2) == ["0", "1"]


def test_a_machine_without_a_usable_gpu_is_told_what_was_tried() -> None:
    count, said = gpus._tried()
    if count:
        with pytest.raises(ValueError, match=f"wanted at most {count}"), insar.session(gpus=count + 1):
            pass
        return
    with pytest.raises(OSError, match="no GPU is usable here") as raised, insar.session(gpus="all"):
        pass
    assert said in str(raised.value)
    assert "insar-dask[gpu12]" in str(raised.value)

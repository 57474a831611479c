"""Which processors multiply in bfloat16, and that every network asks."""

from pathlib import Path

import pytest
import torch

from insar_dask import forecast
from insar_dask.forecast import bfloat16
from insar_dask.forecast.bfloat16 import in_bfloat16, is_quick

MAY_SAY_SO = {"bfloat16.py", "memory.py"}
"""Files that may name torch's own: the one that decides, and the one that predicts for another device."""


def starts_lstm_in_bfloat16() -> bool:
    """On x86, oneDNN has this kernel from AVX-512 on, and torch takes no other."""
    cells = torch.nn.LSTM(2, 2)
    try:
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
            cells(torch.zeros(1, 1, 2))
    except RuntimeError as error:
        if "primitive descriptor for the LSTM" not in str(error):
            raise
        return False
    return True


@pytest.mark.skipif(torch.backends.cpu.get_cpu_capability() not in ("AVX2", "AVX512"), reason="no such x86 processor")
def test_a_processor_is_quick_where_onednn_has_kernels() -> None:
    assert is_quick("cpu") == starts_lstm_in_bfloat16() == (torch.backends.cpu.get_cpu_capability() == "AVX512")


def test_gpus_are_quick_and_torch_without_onednn_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.ops, "mkldnn", object())
    assert is_quick.__wrapped__("cuda") and not is_quick.__wrapped__("cpu")


@pytest.mark.parametrize(("quick", "wanted"), [(True, True), (True, False), (False, True)])
def test_products_are_made_in_bfloat16_where_wanted_and_quick(
    monkeypatch: pytest.MonkeyPatch, quick: bool, wanted: bool
) -> None:
    monkeypatch.setattr(bfloat16, "is_quick", lambda _: quick)
    with in_bfloat16(torch.device("cpu"), wanted):
        product = torch.eye(2) @ torch.eye(2)
    assert (product.dtype == torch.bfloat16) == (quick and wanted)


def test_no_network_goes_by_another_way() -> None:
    (folder,) = forecast.__path__
    found = {path.name for path in Path(folder).rglob("*.py") if "torch.autocast" in path.read_text()}
    assert found == MAY_SAY_SO

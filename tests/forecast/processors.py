"""What the processor that the tests run on lacks."""

import pytest
import torch


def multiplies_lstm_in_bfloat16() -> bool:
    """oneDNN has this kernel from AVX-512 on, and torch takes no other."""
    cells = torch.nn.LSTM(2, 2)
    try:
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
            cells(torch.zeros(1, 1, 2))
    except RuntimeError as error:
        if "primitive descriptor for the LSTM" not in str(error):
            raise
        return False
    return True


needs_bfloat16_lstm = pytest.mark.skipif(
    not multiplies_lstm_in_bfloat16(), reason="oneDNN has no LSTM in bfloat16 for this processor: it has no AVX-512"
)

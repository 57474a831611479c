"""Batches of random numbers, and networks small enough for tests."""

import torch

TWO = {"encoder_layers": 2, "decoder_layers": 2}
SMALL = {
    "spacetimeformer": {"points": 4, "width": 12, "hidden": 24, "heads": 2, "head_width": 8} | TWO,
    "fast": {"known": 3, "width": 16, "hidden": 32, "heads": 2, "head_width": 8} | TWO,
    "lstm": {"width": 16, "layers": 2},
    "transformer": {"width": 16, "hidden": 32, "heads": 2, "layers": 2},
}
"""Sizes of small networks; all read `batch(times=TIMES[name])`."""

TIMES = {"spacetimeformer": 3, "fast": 5, "lstm": 3, "transformer": 3}
"""Calendar features each network reads by default."""


def batch(groups=3, points=4, context=24, horizon=6, times=3, known=3, seed=0, missing=0.2, absent=()):
    """Random batch; ``absent`` lists (group, point)."""
    noise = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(*shape, generator=noise)

    given = torch.rand(groups, points, context, generator=noise) >= missing
    present = torch.ones(groups, points, dtype=torch.bool)
    for place in absent:
        present[place] = False
    given &= present[..., None]
    return {
        "values": normal(groups, points, context) * given,
        "given": given,
        "present": present,
        "context_time": normal(groups, context, times),
        "target_time": normal(groups, horizon, times),
        "places": 300 * normal(groups, points, 2),
        "pattern": torch.randint(0, 9, (groups, points), generator=noise),
        "known": normal(groups, points, known),
        "baseline": normal(groups, points, horizon),
        "targets": normal(groups, points, horizon),
        "scored": torch.rand(groups, points, horizon, generator=noise) >= missing,
    }

"""What east and up of tracks, and moving areas, take: seconds of one core by stage."""

from __future__ import annotations

from collections.abc import Sequence

from insar_dask.costs import Rate, Size, Work

__all__ = ["areas_work", "meeting_work"]

OF_TRACKS = Rate(0.4, shard=0.07, values=0.08)
"""Of all tracks together: 2 x 2,000 x 90, 2 x 40,000 x 150 and 2 x 120,000 x 200, in 0.7, 4.5 and 6.5 s."""

OF_AREAS = {
    "errors": Rate(0.1, shard=0.09, values=0.08),
    "survey": Rate(0.03, shard=0.05, points=3.6),
    "find": Rate(0.03, shard=0.05, points=3.6),
    "cards": Rate(0.33, shard=0.05, values=0.085, points=3.6),
    "report": Rate(1.5, shard=0.15, values=0.18),
}
"""Of a product: 5,000 x 100, 100,000 x 210 and 300,000 x 100 of ``bowls``, with 2, 3 and 8 areas of 1.5 to 74 km2, in
3.7, 16.6 and 22.1 s; more areas take more. With other work on both cores, where ``prepare`` took 5 % less than said."""


def meeting_work(tracks: Sequence[Size], shards: int) -> Work:
    """What it takes to bring tracks together in so many shards of cells."""
    shared = sum(OF_TRACKS.parts(size)[1] for size in tracks)
    return {"east-up": (OF_TRACKS.once, shared, shards)}


def areas_work(sizes: Sequence[Size], tiles: int) -> Work:
    """What it takes to find the areas of products over so many tiles, and to draw their pages, as one process does."""
    found: dict[str, tuple[float, float, int]] = {}
    for stage, rate in OF_AREAS.items():
        own, shared = (sum(part) for part in zip(*(rate.parts(size) for size in sizes), strict=True))
        at_once = sum(size.shards for size in sizes) if stage == "errors" else tiles
        found[stage] = (own + shared, 0.0, 1) if stage == "report" else (own, shared, max(at_once, 1))
    return found

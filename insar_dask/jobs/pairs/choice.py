"""Which pairs of a stored cube are inverted: what was known, within limits, in one network, and not contradicted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from insar_dask.cube import CubeError
from insar_dask.inversion.choosing import Choice, choose_pairs, components_of, n_components, reject_pairs
from insar_dask.inversion.pairs import complete_by, known_pairs, timeline
from insar_dask.inversion.residuals import residual_rms
from insar_dask.jobs.pairs.corrections import Corrections
from insar_dask.jobs.pairs.passes import PairStack
from insar_dask.jobs.recipe import Step

__all__ = ["choose_stored", "places_of", "without_contradictions"]

Float64 = npt.NDArray[np.float64]


def choose_stored(
    stack: PairStack, wanted: Corrections, solving: Mapping[str, Any], note: dict[str, Any]
) -> tuple[PairStack, dict[str, Any]]:
    """Pairs that were complete on the day ``as_of``, and within the limits; and the options of these alone.

    Raises
    ------
    CubeError
        When no pair is left, or fewer than a point needs; when the network falls apart and may not.
    """
    own = dict(solving)
    if own.get("as_of") is not None:
        stack, own = _known_then(stack, own)
    stack = _enough(_within(stack, wanted, note), own)
    return _joined(stack, wanted, note), own


def without_contradictions(stack: PairStack, typical: Float64, note: dict[str, Any]) -> PairStack:
    """What one round of rejection leaves; pairs are referred by their typical phase."""
    prepare = stack.step(typical)
    sums = stack.sums((prepare, Step("sum_residuals", prepare.result, "residuals")), "residuals")
    rms = residual_rms(sums)
    choice = reject_pairs(stack.used, rms)
    told = (float(value) if np.isfinite(value) else None for value in rms)
    note["residuals"] = dict(zip(map(str, stack.places), told, strict=True))
    _tell(note, choice)
    return stack.with_pairs(choice.kept)


def places_of(kept: Sequence[int], n_pairs: int) -> list[int]:
    """Places of pairs, each once; a mask of all pairs would be taken for the places 0 and 1."""
    places = np.asarray(kept)
    if places.dtype.kind not in "iu" or not places.size or np.unique(places).size < places.size:
        raise ValueError("kept takes places of pairs, each once, such as choose_pairs(pairs).kept.nonzero()[0]")
    if places.min() < 0 or places.max() >= n_pairs:
        raise ValueError(f"kept goes from {places.min()} to {places.max()}, wanted 0 to {n_pairs - 1}")
    return [int(place) for place in places]


def _within(stack: PairStack, wanted: Corrections, note: dict[str, Any]) -> PairStack:
    """The pairs within the limits."""
    if wanted.limits is None:
        return stack
    limits: dict[str, Any] = dict(wanted.limits)
    used, quality = stack.used, None
    if limits.get("min_coherence") is not None and "coherence" in used:
        whole = stack.coherence()
        quality = whole if stack.kept is None else whole[stack.kept]
    choice = choose_pairs(used, coherence=quality, **limits)
    _tell(note, choice)
    return stack.with_pairs(choice.kept)


def _enough(stack: PairStack, solving: Mapping[str, Any]) -> PairStack:
    """Refuse fewer pairs than a point needs: no point at all would have a series."""
    n_pairs, least = len(stack.places), int(solving.get("min_pairs", 10))
    if n_pairs < least:
        raise CubeError(
            f"{stack.product}: {n_pairs} pairs of {stack.pairs.sizes['pair']} are left and min_pairs is {least}, so no "
            "point would have a series: widen the limits of pairs, or lower min_pairs"
        )
    return stack


def _joined(stack: PairStack, wanted: Corrections, note: dict[str, Any]) -> PairStack:
    """Refuse a network in several parts, where that is wanted; say where it comes apart."""
    line = timeline(stack.used)
    note["parts"] = n_components(line)
    if wanted.disconnected == "bridge" or note["parts"] == 1:
        return stack
    parts, days = components_of(line), line.dates.astype("datetime64[D]")
    at = int(np.argmax(parts[1:] != parts[:-1])) + 1
    raise CubeError(
        f"{stack.product}: the network falls into {note['parts']} parts, no chain of pairs joins {days[at - 1]} and "
        f"{days[at]}: read pairs that do (longer ones, and raise max_days), or let the method bridge what is between "
        "with disconnected='bridge' (in a configuration under [inversion], after `insar-dask invert` --bridge; "
        "method = 'nsbas' does it by a model)"
    )


def _tell(note: dict[str, Any], choice: Choice) -> None:
    for name in ("reasons", "held"):
        note[name] = {**note.get(name, {}), **getattr(choice, name)}


def _known_then(stack: PairStack, options: dict[str, Any]) -> tuple[PairStack, dict[str, Any]]:
    """Pairs that were complete on a day, and options of those alone."""
    known_pairs(stack.used, options["as_of"])
    early = complete_by(stack.used, options["as_of"])
    own = dict(options)
    if own.get("tree_weights") is not None:
        own["tree_weights"] = np.asarray(own["tree_weights"])[early].tolist()
    if own.get("covariance") is not None:
        own["covariance"] = np.asarray(own["covariance"])[early][:, early].tolist()
    return stack.with_pairs(early), own

"""Whether a stage of a product was made of what is there now: receipts have in their keys what their shards came of."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

from insar_dask.jobs.engine import Engine
from insar_dask.jobs.makers import maker_of
from insar_dask.jobs.progress.job_errors import LackingError
from insar_dask.jobs.receipts import Receipt
from insar_dask.jobs.recipe import key_of
from insar_dask.jobs.seals import parsed
from insar_dask.objects import get_bytes

__all__ = ["data_of", "is_current", "is_of_other_data", "require_current", "scores_of"]

SOURCES: dict[str, tuple[set[str], tuple[str, ...]]] = {
    "regular": ({"regularise"}, ("raw",)),
    "smooth": ({"savgol"}, ("raw",)),
    "cumulative": ({"cumulative_displacement"}, ("raw",)),
    "products": ({"motion"}, ("raw",)),
    "patterns": ({"label_patterns"}, ("smooth", "products")),
    "parts": ({"holt_winters", "stl"}, ("smooth", "regular")),
    "variances": ({"component_variances"}, ("smooth", "regular")),
    "forecast": ({"forecast_block"}, ("raw",)),
    "outlook": ({"outlook_block"}, ("raw",)),
    "predicted": ({"forecast_block"}, ("raw",)),
}
"""Stage -> the steps that may end its recipe, and the stages that it may have been made of."""

FIRST = {"forecast": "`insar-dask evaluate`, then ", "outlook": "`insar-dask evaluate`, then "}
"""What goes before the verb that makes a stage, where that stands on what others learned of its source."""


def require_current(engine: Engine, group: str) -> dict[int, Receipt]:
    """As `Engine.require`, of a stage that was made of the product's displacement as it is stored now.

    What somebody saved under the name of a stage, without the recipe of one, is taken as it is.

    Raises
    ------
    LackingError
        When shards are not done, or were made of others than are there: the cure is named.
    """
    done, (product, _, stage) = engine.require(group), group.rpartition("/")
    recipe = _steps_of(engine, group)
    makers, sources = SOURCES.get(stage, (set(), ()))
    if not recipe or recipe[-1].get("function") not in makers:
        return done
    source = next((one for one in sources if _came_of(recipe, done, engine.ledger.done(f"{product}/{one}"))), None)
    if source is None:
        told = f"{group} was made of other data than {product}/{' or '.join(sources)} holds now"
        raise LackingError(f"{told}: {FIRST.get(stage, '')}{maker_of(engine.store, group)} makes it again")
    require_current(engine, f"{product}/{source}")
    return done


def is_current(engine: Engine, group: str, tell: Callable[[str], object] = lambda _: None) -> bool:
    """Whether a group is there, whole, and made of what is stored now; ``tell`` gets why one that is there is not."""
    if get_bytes(engine.store, f"{group}/zarr.json") is None:
        return False
    try:
        require_current(engine, group)
    except LackingError as error:
        tell(str(error))
        return False
    return True


def data_of(engine: Engine, group: str) -> str:
    """What a group holds, in a word that changes with any of its values; LackingError where it is not whole."""
    done = engine.require(group)
    return hashlib.sha256("".join(done[index].checksum for index in sorted(done)).encode()).hexdigest()[:16]


def is_of_other_data(engine: Engine, note: Mapping[str, Any], product: str) -> bool:
    """Whether a note was made of other displacement than a product holds now.

    Notes of before this was asked for do not say what they are of, and are taken as they are.
    """
    return note.get("data") not in (None, data_of(engine, f"{product}/raw"))


def scores_of(engine: Engine, product: str) -> tuple[dict[str, Any] | None, str]:
    """The scores of a product, or None and why: it has none, or they are those of other data than are stored now."""
    note = engine.ledger.read_note(f"scores/{product}")
    if note is None:
        return None, "it was not evaluated; run `insar-dask evaluate`"
    if is_of_other_data(engine, note, product):
        return None, "it was evaluated on other data than it holds now; run `insar-dask evaluate` again"
    return (None, str(note["absent"])) if "absent" in note else (note, "")


def _steps_of(engine: Engine, group: str) -> list[dict[str, Any]]:
    """The steps that a group says it was made by; none where it does not say."""
    document = parsed(get_bytes(engine.store, f"{group}/zarr.json") or b"{}")
    recipe: list[dict[str, Any]] = document.get("attributes", {}).get("recipe", [])
    return recipe


def _came_of(recipe: list[dict[str, Any]], made: Mapping[int, Receipt], inputs: Mapping[int, Receipt]) -> bool:
    return all(i in inputs and receipt.key == key_of(recipe, inputs[i].checksum) for i, receipt in made.items())

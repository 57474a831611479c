"""What networks of a Forecaster are trained by: how their inputs are cut, their sizes, and how the training goes."""

from __future__ import annotations

import inspect
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Self, TypeVar

from insar_dask.forecast.training.job import Training
from insar_dask.settings import share, whole

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

__all__ = ["NetworkSettings", "check_sizes"]

Shape = TypeVar("Shape", bound="DataclassInstance")


@dataclass(frozen=True)
class NetworkSettings(Generic[Shape]):
    """What networks to train, and how; JSON-able by `to_dict`. Each kind of network has a class of its own."""

    network: ClassVar[str]
    """One of `insar_dask.forecast.models.MODELS`."""
    given: ClassVar[Collection[str]]
    """Sizes of that network that its inputs give."""

    shape: Shape
    """A dataclass with ``length`` and ``context`` among its fields."""
    sizes: Mapping[str, Any] = field(default_factory=dict)
    """Of the network, where they are not its usual ones."""
    training: Training = field(default_factory=Training)

    @classmethod
    def of(
        cls,
        context: int,
        group: int | None,
        random_state: int,
        sizes: Mapping[str, Any] | None,
        training: Mapping[str, Any] | None,
        **shape: Any,
    ) -> Self:
        """Settings from the parameters of a Forecaster; ``shape`` is more of how inputs are cut.

        Raises
        ------
        ValueError
            For a name or a number that cannot be meant.
        """
        check_sizes(cls.network, cls.given, sizes or {})
        usual = cls._usual()
        if group is not None:
            shape["length"] = group
        return replace(
            usual,
            shape=replace(usual.shape, context=context, **shape),
            sizes=dict(sizes or {}),
            training=replace(usual.training, seed=random_state, **(training or {})),
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {"shape": asdict(self.shape), "sizes": dict(self.sizes), "training": asdict(self.training)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Rebuild what `to_dict` gave."""
        shape = type(cls._usual().shape)
        return cls(shape(**data["shape"]), dict(data["sizes"]), Training(**data["training"]))

    @classmethod
    def _usual(cls) -> Self:
        return cls()  # type: ignore[call-arg]  # each kind has its usual shape


def check_sizes(network: str, given: Collection[str], sizes: Mapping[str, Any]) -> None:
    """Refuse sizes that a network does not have, or that it is ``given`` by its inputs.

    Raises
    ------
    ValueError
        Naming what there is.
    """
    from insar_dask.forecast.models import network_class

    asked = inspect.signature(network_class(network)).parameters
    if unknown := set(sizes) - (asked.keys() - given):
        has = ", ".join(sorted(asked.keys() - given))
        raise ValueError(f"sizes has no {', '.join(sorted(unknown))}; it has {has}")
    for name, size in sizes.items():
        usual = asked[name].default
        if isinstance(usual, bool | str):
            if type(size) is not type(usual):
                raise ValueError(f"sizes: {name} is {size!r}; wanted a value such as {usual!r}")
        elif isinstance(usual, int):
            whole(name, size)
        else:
            share(name, size, zero=True)

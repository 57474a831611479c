"""Scikit-learn's contract for the parameters of an estimator, without importing scikit-learn, which takes a second."""

from __future__ import annotations

import inspect
from typing import Any, Self

__all__ = ["Parameters"]


class Parameters:
    """An estimator whose ``__init__`` stores its arguments and does nothing else; `sklearn.base.clone` can copy it."""

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Parameters by name; ``deep`` changes nothing, none of them is an estimator."""
        return {name: getattr(self, name) for name in _names(type(self))}

    def set_params(self, **params: Any) -> Self:
        """Change parameters; what was learned stays until the next fit.

        Raises
        ------
        ValueError
            For an unknown name.
        """
        known = _names(type(self))
        for name, value in params.items():
            if name not in known:
                raise ValueError(f"{type(self).__name__} has no parameter {name!r}; it has {', '.join(known)}")
            setattr(self, name, value)
        return self

    def __repr__(self) -> str:
        """The call that makes it: parameters that are not at their default."""
        defaults = inspect.signature(type(self)).parameters
        given = {name: value for name, value in self.get_params().items() if value != defaults[name].default}
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in given.items())})"

    def __sklearn_tags__(self) -> Any:
        """What `sklearn.utils.validation.check_is_fitted` asks first."""
        from sklearn.utils import Tags, TargetTags

        return Tags(estimator_type=None, target_tags=TargetTags(required=False))


def _names(kind: type) -> list[str]:
    return list(inspect.signature(kind).parameters)

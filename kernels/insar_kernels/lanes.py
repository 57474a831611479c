"""Sixteen numbers at once: a loop written for one series works on `WIDTH` of them, each in a lane of its own.

``load(array, i)`` is row i of an array (rows, lanes), ``store`` replaces it; what lies between is arithmetic. In
compiled code a row is one vector register: LLVM would have to prove that no two arrays overlap before it made such code
of inner loops over the lanes, and cannot. In plain Python a row is whatever array lies there, of NumPy or CuPy and of
any number of lanes, so that the same function is the whole-array body too. No lane ever sees another, so the results
of a series do not depend on its neighbours. Numba does not see when this file changes: clear its cache then.
"""

# mypy: allow-untyped-calls
from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import types
from numba.core import cgutils
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import lower_builtin, models, register_model

from insar_kernels.dispatch import namespace

__all__ = ["WIDTH", "aligned", "choose", "load", "root", "spread", "store"]

WIDTH = 16
"""Lanes of compiled code: the float32 numbers of one AVX-512 register; elsewhere LLVM splits them."""

ir = cgutils.ir  # type: ignore[attr-defined]
VECTOR = ir.VectorType(ir.FloatType(), WIDTH)


def aligned(n_rows: int) -> npt.NDArray[np.float32]:
    """Rows for `WIDTH` lanes in zeroed memory that starts on a cache line: a row across two costs twice as much."""
    memory = np.zeros(n_rows * WIDTH + 16, np.float32)
    start = -memory.ctypes.data % 64 // 4
    return memory[start : start + n_rows * WIDTH].reshape(n_rows, WIDTH)


def load(array: Any, i: Any) -> Any:
    """Row ``i``."""
    return array[i]


def store(array: Any, i: Any, x: Any) -> None:
    """Replace row ``i``."""
    array[i] = x


def spread(x: Any) -> Any:
    """The same number in each lane."""
    return np.float32(x)


def root(x: Any) -> Any:
    """Square root."""
    return np.sqrt(x)


def choose(a: Any, b: Any, x: Any, y: Any) -> Any:
    """``x`` in the lanes where a < b, else ``y``."""
    less = a < b
    return namespace(less).where(less, x, y)


class Lanes(types.Type):
    """Numba's view of a row."""

    def __init__(self) -> None:
        super().__init__(name="Lanes")


LANES = Lanes()


@register_model(Lanes)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, VECTOR)


def _define(symbol: Any, kinds: tuple[Any, ...], result: Any, code: Callable[..., Any]) -> None:
    """Tell Numba what ``symbol`` does to arguments of these kinds; an array stands for any."""

    def generic(self: Any, args: Any, kws: Any) -> Any:
        if len(args) != len(kinds) or kws:
            return None
        for arg, kind in zip(args, kinds, strict=True):
            if (kind is LANES) != (arg is LANES) or (kind is types.Array) != isinstance(arg, types.Array):
                return None
        return signature(result, *(arg if kind is types.Array else kind for arg, kind in zip(args, kinds, strict=True)))

    infer_global(symbol)(type(f"Lanes_{symbol.__name__}", (AbstractTemplate,), {"key": symbol, "generic": generic}))
    lower_builtin(symbol, *(Lanes if kind is LANES else kind for kind in kinds))(code)


def _instruction(name: str) -> Callable[..., Any]:
    def code(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return getattr(builder, name)(*args)

    return code


def _place(context: Any, builder: Any, kind: Any, array: Any, i: Any) -> Any:
    data = context.make_array(kind)(context, builder, array).data
    first = builder.gep(data, [builder.mul(i, ir.Constant(i.type, WIDTH))])
    return builder.bitcast(first, VECTOR.as_pointer())


def _load(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    return builder.load(_place(context, builder, sig.args[0], *args), align=4)


def _store(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    builder.store(args[2], _place(context, builder, sig.args[0], *args[:2]), align=4)
    return context.get_dummy_value()


def _spread(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    nothing, first = ir.Constant(VECTOR, ir.Undefined), ir.Constant(ir.IntType(32), 0)
    everywhere = ir.Constant(ir.VectorType(ir.IntType(32), WIDTH), [0] * WIDTH)
    return builder.shuffle_vector(builder.insert_element(nothing, args[0], first), nothing, everywhere)


def _root(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    kind = ir.FunctionType(VECTOR, [VECTOR])
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, f"llvm.sqrt.v{WIDTH}f32"), args)


def _choose(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    return builder.select(builder.fcmp_ordered("<", args[0], args[1]), args[2], args[3])


_define(operator.add, (LANES, LANES), LANES, _instruction("fadd"))
_define(operator.sub, (LANES, LANES), LANES, _instruction("fsub"))
_define(operator.mul, (LANES, LANES), LANES, _instruction("fmul"))
_define(operator.truediv, (LANES, LANES), LANES, _instruction("fdiv"))
_define(operator.neg, (LANES,), LANES, _instruction("fneg"))
_define(load, (types.Array, types.intp), LANES, _load)
_define(store, (types.Array, types.intp, LANES), types.void, _store)
_define(spread, (types.float32,), LANES, _spread)
_define(root, (LANES,), LANES, _root)
_define(choose, (LANES, LANES, LANES, LANES), LANES, _choose)

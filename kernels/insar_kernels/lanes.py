"""Sixteen numbers at once: a loop written for one series works on `WIDTH` of them, each in a lane of its own.

Rows of float64 have half as many lanes.

``load(array, i)`` is row i of an array (rows, lanes), ``store`` replaces it; what lies between is arithmetic. In
compiled code a row is one vector register: LLVM would have to prove that no two arrays overlap before it made such code
of inner loops over the lanes, and cannot. In plain Python a row is whatever array lies there, of any number of lanes,
so that the same function works on whole arrays too; on a GPU it is one number (`insar_kernels.gpu.compiling`). No lane
ever sees another, so the results of a series do not depend on its neighbours. Numba does not see when this file
changes: clear its cache then.
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

CACHE_LINE = 64
"""Bytes of a row."""

ir = cgutils.ir  # type: ignore[attr-defined]


def aligned(n_rows: int, dtype: Any = np.float32) -> npt.NDArray[Any]:
    """Rows of lanes in zeroed memory that starts on a cache line: a row across two costs twice as much."""
    width = CACHE_LINE // np.dtype(dtype).itemsize
    memory = np.zeros((n_rows + 1) * width, dtype)
    start = -memory.ctypes.data % CACHE_LINE // memory.itemsize
    return memory[start : start + n_rows * width].reshape(n_rows, width)


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

    def __init__(self, element: Any) -> None:
        super().__init__(name=f"Lanes({element})")
        self.bytes = element.bitwidth // 8
        self.width = CACHE_LINE // self.bytes
        self.vector = ir.VectorType({4: ir.FloatType(), 8: ir.DoubleType()}[self.bytes], self.width)


KINDS: dict[Any, Lanes] = {element: Lanes(element) for element in (types.float32, types.float64)}


@register_model(Lanes)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, kind.vector)


def _define(symbol: Any, kinds: tuple[Any, ...], result: Any, code: Callable[..., Any]) -> None:
    """Tell Numba what ``symbol`` does to arguments of these kinds; an array stands for any, `Lanes` for its row."""

    def generic(self: Any, args: Any, kws: Any) -> Any:
        if len(args) != len(kinds) or kws:
            return None
        row = next((found for arg in args if (found := _row_of(arg))), KINDS[types.float32])
        for arg, kind in zip(args, kinds, strict=True):
            if (kind is Lanes) != isinstance(arg, Lanes) or (kind is types.Array) != isinstance(arg, types.Array):
                return None
            if kind in (Lanes, types.Array) and _row_of(arg) is not row:
                return None
        wanted = {Lanes: row}
        known = (arg if kind is types.Array else wanted.get(kind, kind) for arg, kind in zip(args, kinds, strict=True))
        return signature(wanted.get(result, result), *known)

    infer_global(symbol)(type(f"Lanes_{symbol.__name__}", (AbstractTemplate,), {"key": symbol, "generic": generic}))
    lower_builtin(symbol, *kinds)(code)


def _row_of(kind: Any) -> Any:
    """What a row is, or a row of an array; None for anything else."""
    return kind if isinstance(kind, Lanes) else KINDS.get(getattr(kind, "dtype", None))


def _instruction(name: str) -> Callable[..., Any]:
    def code(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return getattr(builder, name)(*args)

    return code


def _place(context: Any, builder: Any, kind: Any, array: Any, i: Any) -> Any:
    data = context.make_array(kind)(context, builder, array).data
    row = KINDS[kind.dtype]
    first = builder.gep(data, [builder.mul(i, ir.Constant(i.type, row.width))])
    return builder.bitcast(first, row.vector.as_pointer())


def _load(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    return builder.load(_place(context, builder, sig.args[0], *args), align=sig.return_type.bytes)


def _store(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    builder.store(args[2], _place(context, builder, sig.args[0], *args[:2]), align=sig.args[2].bytes)
    return context.get_dummy_value()


def _spread(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    row = sig.return_type
    nothing, first = ir.Constant(row.vector, ir.Undefined), ir.Constant(ir.IntType(32), 0)
    everywhere = ir.Constant(ir.VectorType(ir.IntType(32), row.width), [0] * row.width)
    return builder.shuffle_vector(builder.insert_element(nothing, args[0], first), nothing, everywhere)


def _root(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    row = sig.return_type
    kind = ir.FunctionType(row.vector, [row.vector])
    name = f"llvm.sqrt.v{row.width}f{8 * row.bytes}"
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), args)


def _choose(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    return builder.select(builder.fcmp_ordered("<", args[0], args[1]), args[2], args[3])


_define(operator.add, (Lanes, Lanes), Lanes, _instruction("fadd"))
_define(operator.sub, (Lanes, Lanes), Lanes, _instruction("fsub"))
_define(operator.mul, (Lanes, Lanes), Lanes, _instruction("fmul"))
_define(operator.truediv, (Lanes, Lanes), Lanes, _instruction("fdiv"))
_define(operator.neg, (Lanes,), Lanes, _instruction("fneg"))
_define(load, (types.Array, types.intp), Lanes, _load)
_define(store, (types.Array, types.intp, Lanes), types.void, _store)
_define(spread, (types.float32,), Lanes, _spread)
_define(root, (Lanes,), Lanes, _root)
_define(choose, (Lanes, Lanes, Lanes, Lanes), Lanes, _choose)

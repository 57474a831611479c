"""Per-point mathematics of ground-motion time series on plain arrays ``(..., time)``: Numba bodies and their twins."""

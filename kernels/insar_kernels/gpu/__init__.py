"""Bodies of kernels for a GPU: what one of its threads does at one place of an array.

``running.py`` runs a body at every place; the others are named after what they hold. Kernels come here by way of
`insar_kernels.dispatch.namespace`, with arrays of CuPy alone.
"""

"""Matrices of samples × features as xarray and dask hold them: labels, chunks, blocks, groups."""

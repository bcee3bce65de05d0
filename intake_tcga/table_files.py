"""Matrices as Parquet, TSV and CSV, for tools that read tables."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Hashable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import xarray as xr

from intake_tcga.arrays.matrices import find_matrix
from intake_tcga.columns import columns_along, names_along
from intake_tcga.errors import MissingDependencyError, OptionError
from intake_tcga.streaming import Blocks, blocks_of, check_target, replaced


def write_table(
    ds: xr.Dataset | xr.DataArray,
    path: str | os.PathLike[str],
    *,
    variable: Hashable | None = None,
    rows: Literal["feature", "sample"] = "sample",
    coords: Sequence[str] = (),
) -> Path:
    """Write the matrix as Parquet, TSV or CSV, as the path's ending says, for tools that read tables.

    Parameters
    ----------
    ds : xarray.Dataset or xarray.DataArray
        With one matrix of samples × features.
    path : str or path
        Ends in ``.parquet``, ``.tsv``, ``.csv``, ``.tsv.gz`` or ``.csv.gz``; one that exists is replaced, once the
        new one is complete.
    variable : str, optional
        Which variable, where there are several such.
    rows : {"sample", "feature"}
        What a line is. ``"feature"`` is what DESeq2 and edgeR read, and needs the matrix in memory.
    coords : sequence of str
        Coordinates of the lines to write as columns before the values, such as ``group`` or ``symbol``.

    Returns
    -------
    pathlib.Path
        The file. Its first column is named after the dimension of the lines and holds their names; the head names
        the columns. Numbers are written with all their digits (pandas before 4 reads the last
        of them by ``float_precision="round_trip"``); what is missing is empty (null in Parquet).
        pandas reads it by ``read_csv(path, index_col=0)`` or ``read_parquet(path).set_index("sample")``.

    Raises
    ------
    OptionError
        When the ending is none of these, the path is a URL, a folder, or in no folder that can be written to, there
        is no such variable or several, a coordinate is not along the lines, or two columns would have the same name.
    MissingDependencyError
        When pyarrow is not installed and the path ends in ``.parquet``.

    Examples
    --------
    >>> ds = xr.Dataset({"counts": (("sample", "feature"), [[1, 0], [0, 2]])}, {"feature": ["TP53", "MYC"]})
    >>> print(write_table(ds, "counts.csv").read_text())
    sample,TP53,MYC
    0,1,0
    1,0,2
    <BLANKLINE>
    """
    ending = "".join(Path(path).suffixes[-2:] if Path(path).suffix == ".gz" else Path(path).suffixes[-1:])
    if ending not in {".parquet", ".tsv", ".csv", ".tsv.gz", ".csv.gz"}:
        raise OptionError(
            f"{Path(path).name} does not end in .parquet, .tsv, .csv, .tsv.gz or .csv.gz; rename it so."
        )
    if rows not in {"sample", "feature"}:
        raise OptionError(f"rows={rows!r} is not one of sample, feature.")
    check_target(ds, path)
    matrix = find_matrix(ds, variable)
    line, across = (matrix.sample, matrix.feature) if rows == "sample" else (matrix.feature, matrix.sample)
    known = [
        str(name) for name in matrix.dataset.coords if matrix.dataset[name].dims == (line,) and name != line
    ]
    if unknown := [name for name in coords if name not in known]:
        raise OptionError(
            f"coords={unknown[0]!r} is not a coordinate along {line}; those there are: {', '.join(known) or 'none'}."
        )
    columns = columns_along(matrix.dataset.drop_vars(set(known) - set(coords)), line)
    before = {str(line): names_along(matrix.dataset, line)} | {name: columns[name] for name in coords}
    head = [*before, *names_along(matrix.dataset, across).tolist()]
    if twice := [name for name, times in Counter(head).items() if times > 1]:
        raise OptionError(
            f"Two columns would be named {twice[0]!r}; make names unique, e.g. with aggregate_genes."
        )
    values = matrix.array.variable
    separator = "\t" if ".tsv" in ending else ","

    def write(part: Path) -> None:
        lines: AbstractContextManager[tuple[list[Blocks], Any]] = nullcontext(([_turned(values)], None))
        if rows == "sample":
            lines = blocks_of([values], part)
        with lines as ([blocks], _):
            if ending == ".parquet":
                _write_parquet(part, head, before, blocks, values.dtype)
            else:
                _write_text(part, head, before, blocks, separator, ending)

    return replaced(path, write)


def _turned(variable: xr.Variable) -> Iterator[npt.NDArray[Any]]:
    """Read all samples and give the features, in one block."""
    yield np.asarray(variable.values).T


def _write_text(
    path: Path,
    head: list[str],
    before: dict[str, npt.NDArray[Any]],
    blocks: Iterator[npt.NDArray[Any]],
    separator: str,
    ending: str,
) -> None:
    import pandas as pd

    compression: Literal["gzip"] | None = "gzip" if ending.endswith(".gz") else None
    start = 0
    pd.DataFrame(columns=pd.Index(head)).to_csv(path, sep=separator, index=False, compression=compression)
    for block in blocks:
        lines = slice(start, start + len(block))
        start += len(block)
        frame = pd.DataFrame({name: column[lines] for name, column in before.items()})
        frame = pd.concat([frame, pd.DataFrame(block, columns=pd.Index(head[len(before) :]))], axis=1)
        # Members of a gzip file may follow one another: readers see one text.
        frame.to_csv(path, sep=separator, index=False, header=False, mode="a", compression=compression)


def _write_parquet(
    path: Path,
    head: list[str],
    before: dict[str, npt.NDArray[Any]],
    blocks: Iterator[npt.NDArray[Any]],
    dtype: np.dtype[Any],
) -> None:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise MissingDependencyError(
            "Parquet files need pyarrow; install it with: pip install 'intake-tcga[archs4]'"
        ) from error
    known = {name: pa.array(column, from_pandas=True) for name, column in before.items()}
    fields = [pa.field(name, column.type) for name, column in known.items()]
    fields += [pa.field(name, pa.from_numpy_dtype(dtype)) for name in head[len(before) :]]
    schema = pa.schema(fields)
    start = 0
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for block in blocks:
            arrays = [column.slice(start, len(block)) for column in known.values()]
            arrays += [pa.array(column, from_pandas=True) for column in np.ascontiguousarray(block.T)]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))
            start += len(block)

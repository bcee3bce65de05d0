"""Where expression data are saved to: a file whose ending says how, checked before anything is read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from intake_tcga.errors import IntakeTcgaError, OptionError

if TYPE_CHECKING:
    import xarray as xr

_TABLES = (".parquet", ".tsv", ".csv", ".tsv.gz", ".csv.gz")


@dataclass(frozen=True)
class Output:
    """A file that can be written, as far as one can tell before."""

    path: Path
    write: Callable[[xr.Dataset, Path], Path]

    def save(self, ds: xr.Dataset, progress: bool | None) -> None:
        """Write samples × features, with progress for what is read meanwhile, and say what was written."""
        from intake_tcga.progress import Progress

        try:
            with Progress(self.path.name, show=progress) as shown:
                path = self.write(_counted(ds, shown) if shown.shown else ds, self.path)
        except IntakeTcgaError:
            raise
        except OSError as error:
            raise click.ClickException(
                f"{self.path} cannot be written: {error.strerror or error}."
            ) from error
        click.echo(f"{path}: {ds.sizes['sample']:,} samples × {ds.sizes['feature']:,} features")


def _checked(_context: click.Context, _parameter: click.Parameter, value: str) -> Output:
    """Refuse endings that nothing writes, and places where nothing can be written."""
    from intake_tcga.streaming import check_place

    path = Path(value).expanduser()
    writer = _writer(path.name)
    if writer is None:
        raise click.BadParameter(
            f"{value} has no ending that says how to write it; use .h5ad, .zarr, {', '.join(_TABLES)}."
        )
    try:
        check_place(path, folder=path.suffix == ".zarr")
    except OptionError as error:  # the command line is right: it is the place that is not
        raise click.ClickException(str(error)) from None
    return Output(path, writer)


out_option = click.option(
    "-o",
    "--out",
    required=True,
    metavar="FILE",
    callback=_checked,
    help="Where to: .h5ad, .zarr, .parquet, .tsv or .csv (.gz).",
)


def _writer(name: str) -> Callable[[xr.Dataset, Path], Path] | None:
    from intake_tcga.export import write_h5ad, write_table, write_zarr

    if name.endswith(".h5ad"):
        return write_h5ad
    if name.endswith(".zarr"):
        return write_zarr
    return write_table if name.endswith(_TABLES) else None


def _counted(ds: xr.Dataset, progress: Any) -> xr.Dataset:
    """Return the Dataset with a matrix that tells how many of its bytes were computed, block by block."""
    import numpy as np

    from intake_tcga.arrays.matrices import find_matrix
    from intake_tcga.arrays.sample_blocks import lazy_rows

    matrix = find_matrix(ds)
    values = lazy_rows(matrix.array.variable)
    if isinstance(values, np.ndarray):
        return ds
    progress.total = values.nbytes

    def count(block: Any, block_id: Any = None) -> Any:
        progress.at(str(block_id), block.nbytes)
        return block

    counted = values.map_blocks(count, dtype=values.dtype, meta=values._meta)
    return matrix.replaced(counted, matrix.name, matrix.array.attrs)

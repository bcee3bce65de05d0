"""The matrices that pictures show: found by name or dimensions, in comparable units, with their samples' groups."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from intake_tcga.arrays.grouping import is_missing
from intake_tcga.arrays.matrices import find_matrix
from intake_tcga.errors import OptionError
from intake_tcga.normalization import normalize
from intake_tcga.plots.canvas import UNKNOWN, shown_names
from intake_tcga.plots.moments import Moments, moments
from intake_tcga.tables import human_size

Floats = npt.NDArray[np.float64]

_LARGEST = 2**30  # bytes of a matrix that is held in memory for a picture


@dataclass(frozen=True, slots=True, eq=False)
class Expression:
    """Samples × features in units that can be compared between samples."""

    array: xr.DataArray
    """One sample a row; nothing of it is read yet, unless it was before."""

    unit: str
    """What its values are."""

    groups: npt.NDArray[np.object_] | None
    """The group of each sample; None where none is known."""

    @property
    def n_samples(self) -> int:
        """Number of rows."""
        return int(self.array.shape[0])

    def moments(self) -> Moments:
        """Return what is known of each feature, in two passes over the samples."""
        return moments(self.array)

    def load(self, features: npt.NDArray[np.intp]) -> Floats:
        """Read some features of all samples.

        Raises
        ------
        OptionError
            They take more memory than a picture is worth.
        """
        need = 8 * self.n_samples * len(features)
        if need > _LARGEST:
            raise OptionError(
                f"{self.n_samples:,} samples × {len(features):,} features take {human_size(need)}, more than the "
                f"{human_size(_LARGEST)} that a picture may; choose fewer of either."
            )
        chosen = self.array.isel({self.array.dims[1]: features})
        return np.asarray(chosen.to_numpy(), dtype=np.float64)

    def group_names(self) -> npt.NDArray[np.object_]:
        """Return the group of each sample, one for all where none is known."""
        return np.full(self.n_samples, "all", object) if self.groups is None else self.groups


def expression(
    data: xr.Dataset | xr.DataArray,
    variable: Hashable | None = None,
    *,
    colour: str | None = None,
    prefer: Iterable[str] = ("real",),
) -> Expression:
    """Find the matrix that a picture shows; counts become log2(1 + counts per million).

    Parameters
    ----------
    data : xarray.Dataset or xarray.DataArray
        One matrix of samples × features, or several with one of those preferred among them.
    variable : str, optional
        Which matrix.
    colour : str, optional
        The coordinate of samples that groups them; by default ``group`` (``synthetic_group``, ``raw_group``).
    prefer : iterable of str
        The variables to take where there are several.

    Raises
    ------
    OptionError
        There is no such matrix or several; the message says what to select.
    """
    if variable is None and isinstance(data, xr.Dataset):
        variable = next((name for name in prefer if name in data.data_vars), None)
    matrix = find_matrix(data, variable)
    groups = groups_of(matrix.dataset, matrix.sample, colour)
    if not is_counts(matrix.array):
        return Expression(matrix.array, unit_of(matrix.dataset, matrix.name), groups)
    # Without what is known of samples: normalizing gives them coordinates, whose names may be taken.
    array = matrix.array
    features = [name for name in array.coords if array[name].dims == (matrix.feature,)]
    bare = array.drop_vars([name for name in array.coords if name not in (matrix.sample, *features)]).rename(
        "counts"
    )
    return Expression(normalize(bare, "log_cpm"), "log2(counts per million + 1)", groups)


def is_counts(array: xr.DataArray) -> bool:
    """Tell whether a matrix holds counts: whole numbers, those a cohort calls raw, or those in reads."""
    return array.dtype.kind in "iu" or array.attrs.get("units") == "reads" or array.name == "raw"


def unit_of(ds: xr.Dataset, name: Hashable) -> str:
    """Return what a variable's values are: its own unit, else how a cohort's real and synthetic values were made."""
    if units := ds[name].attrs.get("units"):
        return str(units)
    for made in ("transform", "scale") if name in ("real", "synthetic") else ():
        if made in ds.coords and ds[made].ndim == 0:
            return str(ds[made].values.item())  # dask arrays have no item()
    return ""


def labelled(what: str, unit: str) -> str:
    """Return an axis label with its unit."""
    return f"{what} [{unit}]" if unit else what


def groups_of(ds: xr.Dataset, sample: Hashable, colour: str | None) -> npt.NDArray[np.object_] | None:
    """Return the group of each sample as text, or None where no group is known.

    Raises
    ------
    OptionError
        The coordinate that was asked for does not exist along the samples.
    """
    along = [str(name) for name in ds.coords if ds[name].dims == (sample,) and name != sample]
    if colour is not None and colour not in along:
        raise OptionError(
            f"{colour!r} is not a coordinate of {sample}; there are {', '.join(along) or 'none'}."
        )
    name = colour or f"{str(sample).removesuffix('sample')}group"
    if name not in along:
        return None
    labels = [UNKNOWN if is_missing(value) else str(value) for value in ds[name].to_numpy().tolist()]
    names = shown_names(Counter(labels))
    return None if set(labels) == {UNKNOWN} else np.array([names[label] for label in labels], dtype=object)


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """The real and the synthetic samples of one normalization and model, with the same features."""

    real: Expression
    synthetic: Expression

    @classmethod
    def of(cls, ds: xr.Dataset) -> Pair:
        """Find both.

        Raises
        ------
        OptionError
            One is not there, or more than one normalization, model or augmentation is left.
        """
        if not isinstance(ds, xr.Dataset):
            raise OptionError(
                f"A {type(ds).__name__} was given; give a cohort's Dataset, with real and synthetic."
            )
        if missing := [name for name in ("real", "synthetic") if name not in ds.data_vars]:
            raise OptionError(
                f"This Dataset has no {' and no '.join(missing)} samples to compare; open a cohort whole, "
                f"or keep both variables."
            )
        pair = cls(expression(ds, "real"), expression(ds, "synthetic"))
        if pair.real.array.shape[1] != pair.synthetic.array.shape[1]:
            raise OptionError(
                f"real has {pair.real.array.shape[1]} features and synthetic {pair.synthetic.array.shape[1]}; "
                f"compare those of one cohort."
            )
        return pair

    def moments(self) -> tuple[Moments, Moments]:
        """Return what is known of each feature among the real samples, and among the synthetic ones."""
        return self.real.moments(), self.synthetic.moments()


def feature_names(array: xr.DataArray) -> list[str]:
    """Return the features' symbols where they have some, else their labels, else their numbers."""
    dim = array.dims[1]
    labels: list[Any] = array[dim].to_numpy().tolist()
    if "symbol" not in array.coords or array["symbol"].dims != (dim,):
        return [str(label) for label in labels]
    symbols = array["symbol"].to_numpy().tolist()
    return [str(one if is_missing(symbol) else symbol) for symbol, one in zip(symbols, labels, strict=True)]

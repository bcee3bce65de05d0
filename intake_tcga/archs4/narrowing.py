"""Which samples an entry of a catalog shows: what can be written in YAML of a search, series, accessions, a draw."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from intake_tcga.archs4.conditions import as_text, by_field
from intake_tcga.archs4.matrix_blocks import narrowed
from intake_tcga.archs4.samples import Samples
from intake_tcga.archs4.search import find
from intake_tcga.archs4.selection import drawn, of_series, with_accessions

if TYPE_CHECKING:
    import xarray as xr


@dataclass(frozen=True)
class Narrowing:
    """Some of a file's samples: each option narrows what those before it left."""

    series: str | Sequence[str] | None = None
    """Members of any of these series, ``"GSE64016"``."""

    samples: str | Sequence[str] | None = None
    """These accessions, in this order."""

    search: str | Sequence[str] | None = None
    """Terms, as for ``ds.archs4.search``."""

    fields: str | Sequence[str] | None = None
    """Where the terms are looked for."""

    regex: bool = True
    """Whether terms are regular expressions."""

    match: Literal["all", "any"] = "all"
    """Whether all terms must be found, or any."""

    single_cell: bool | None = None
    """False for samples that are no single cells, True for those that are."""

    threshold: float = 0.5
    """The probability from which on a sample counts as a single cell."""

    where: Mapping[str, Any] = field(default_factory=dict)
    """Conditions by field, as ``ds.archs4.search`` takes them."""

    draw: int | None = None
    """This many of what is left, at random."""

    seed: int = 1
    """Of the draw."""

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """Name the options."""
        return tuple(one.name for one in fields(cls))

    @property
    def chosen(self) -> dict[str, Any]:
        """The options that are not as they are for all samples."""
        none = Narrowing()
        return {name: value for name in self.names() if (value := getattr(self, name)) != getattr(none, name)}

    @staticmethod
    def saved_where(where: Any) -> dict[str, Any]:
        """Return conditions as a catalog can have them, where tuples would come back as lists.

        Raises
        ------
        OptionError
            They are no mapping, or have a pattern or a function.
        """
        return {field: as_text(wanted, field) for field, wanted in by_field(where).items()}

    def of(self, ds: xr.Dataset) -> xr.Dataset:
        """Return the samples that are meant, lazily.

        Raises
        ------
        OptionError, NameNotFoundError
            An option cannot be, or names what does not exist; see :mod:`intake_tcga.archs4.selection`.
        """
        for wanted, rows in self._steps():
            if wanted:
                ds = narrowed(ds, rows(Samples(ds)))
        return ds

    def _steps(self) -> list[tuple[bool, Callable[[Samples], npt.NDArray[np.intp]]]]:
        searched = self.search is not None or self.single_cell is not None or bool(self.where)
        return [
            (self.series is not None, lambda samples: of_series(samples, self.series or [])),
            (self.samples is not None, lambda samples: with_accessions(samples, self.samples or [])),
            (searched, self._found),
            (
                self.draw is not None,
                lambda samples: drawn(samples, self.draw or 0, seed=self.seed, option="draw"),
            ),
        ]

    def _found(self, samples: Samples) -> npt.NDArray[np.intp]:
        return find(
            samples,
            self.search,
            self.fields,
            regex=self.regex,
            match=self.match,
            single_cell=self.single_cell,
            threshold=self.threshold,
            conditions=self.where,
        )

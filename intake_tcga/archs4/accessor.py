"""``ds.archs4``: find samples by what is written about them, on any Dataset of ARCHS4."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
import xarray as xr

from intake_tcga.archs4 import search as searching
from intake_tcga.archs4 import selection
from intake_tcga.archs4.link import rows_of
from intake_tcga.archs4.matrix_blocks import narrowed
from intake_tcga.archs4.samples import Samples
from intake_tcga.arrays.feature_groups import join_features
from intake_tcga.arrays.grouping import How
from intake_tcga.arrays.matrices import find_matrix
from intake_tcga.errors import OptionError
from intake_tcga.facts import html_facts, text_facts

if TYPE_CHECKING:
    import pandas as pd


@xr.register_dataset_accessor("archs4")  # type: ignore[no-untyped-call]
class Archs4Accessor:
    """Samples found by what is written about them: each result is a Dataset again, as lazy as before.

    Works on whole and narrowed Datasets, and on those that no longer know their file (loaded, concatenated, reopened
    from Zarr), whose own coordinates are searched.

    Parameters
    ----------
    dataset
        A Dataset with a dimension ``sample``.

    Examples
    --------
    >>> from intake_tcga.archs4.access import open_archs4
    >>> ds = open_archs4(sample_archs4)
    >>> lung = ds.archs4.search("lung", single_cell=False)
    >>> lung.archs4.draw(2, seed=1).sizes["sample"]
    2
    >>> ds.archs4.search("no such tissue").sizes["sample"]
    0
    >>> ds.close()
    """

    def __init__(self, dataset: xr.Dataset) -> None:
        self._dataset = dataset

    def search(
        self,
        terms: searching.Terms = None,
        fields: str | Iterable[str] | None = None,
        *,
        regex: bool = True,
        match: searching.Match = "all",
        single_cell: bool | None = None,
        threshold: float = 0.5,
        metadata_only: bool = False,
        **conditions: Any,
    ) -> Any:
        """Narrow to the samples whose metadata say something.

        Parameters
        ----------
        terms : str, re.Pattern or several, optional
            Regular expressions, with the meaning that Python's :mod:`re` gives them, found anywhere in a field and in
            either case. A compiled one keeps its own flags.
        fields : str or iterable of str, optional
            Where terms are looked for; by default ``geo_accession``, ``series_id``, ``characteristics_ch1``,
            ``extract_protocol_ch1``, ``source_name_ch1`` and ``title``, as far as there are such.
        regex : bool
            False to find terms as they stand.
        match : {"all", "any"}
            Whether all terms must be found, each in any field, or any of them.
        single_cell : bool, optional
            False for samples whose ``singlecellprobability`` is below ``threshold``, True for the rest, None for all.
        threshold : float
            From 0 to 1.
        metadata_only : bool
            True for a table instead of a Dataset.
        **conditions
            Field = what it must be, all of them. A text (the same text, in either case; of ``series_id`` one series
            of perhaps several); a number; a list or set (any of them); a compiled pattern (found anywhere); a
            comparison: ``(">=", 1e6)`` or ``">= 1e6"``; a range, bounds included: ``("2016-01-01", None)`` or
            ``"2016..2017"``; a function of the value. ``"!= liver"`` is any other text, and of ``series_id``,
            ``"!= GSE64016"`` whatever is not in that series. In a column of dates, dates compare as dates, however they
            are written: ``"2016"`` and ``2016`` are that year.

        Returns
        -------
        xarray.Dataset or pandas.DataFrame
            The samples found, in the order they were in; with none found, a Dataset of no samples with all its
            coordinates. With ``metadata_only``, a row a sample, labelled with its accession, and the fields that were
            looked at.

        Raises
        ------
        NameNotFoundError
            When there is no such field; the message lists those there are.
        OptionError
            When an expression is none (it says where it goes wrong), or an option has a value that it cannot have.
        FileFormatError, TransferError
            When a field cannot be read.

        Notes
        -----
        A field is decoded the first time it is looked at, and kept beside the cache's other files, so that later
        searches, also of other processes, take a fraction of a second for a million samples.

        Examples
        --------
        >>> from intake_tcga.archs4.access import open_archs4
        >>> ds = open_archs4(sample_archs4)
        >>> ds.archs4.search(geo_accession=ds["sample"].values[:2].tolist()).sizes["sample"]
        2
        >>> ds.close()
        """
        samples = Samples(self._dataset)
        where = searching.searched_fields(samples, fields)
        found = searching.find(
            samples,
            terms,
            where,
            regex=regex,
            match=match,
            single_cell=single_cell,
            threshold=threshold,
            conditions=conditions,
        )
        return self._narrowed(found, (*where, *conditions) if metadata_only else None)

    def series(self, series: str | Iterable[str], *, metadata_only: bool = False) -> Any:
        """Narrow to the members of one series or several, also those that are in further ones.

        Parameters
        ----------
        series : str or iterable of str
            ``"GSE64016"``, or several: members of any.
        metadata_only : bool
            True for a table of all fields instead of a Dataset.

        Returns
        -------
        xarray.Dataset or pandas.DataFrame
            In the order they were in; with no members, of no samples.

        Raises
        ------
        OptionError
            When one is no series.
        """
        found = selection.of_series(Samples(self._dataset), series)
        return self._narrowed(found, self.fields() if metadata_only else None)

    def samples(
        self,
        accessions: str | Iterable[str],
        *,
        missing: Literal["raise", "ignore"] = "raise",
        metadata_only: bool = False,
    ) -> Any:
        """Select samples by their accessions.

        Parameters
        ----------
        accessions : str or iterable of str
            ``"GSM1158284"``, or several; they may repeat.
        missing : {"raise", "ignore"}
            What to do about those that there are not: raise, or warn and leave them out.
        metadata_only : bool
            True for a table of all fields instead of a Dataset.

        Returns
        -------
        xarray.Dataset or pandas.DataFrame
            In the order of ``accessions``.

        Raises
        ------
        NameNotFoundError
            When some do not exist; the message names them.
        OptionError
            When one is no accession of a sample.
        """
        found = selection.with_accessions(Samples(self._dataset), accessions, missing)
        return self._narrowed(found, self.fields() if metadata_only else None)

    def draw(
        self,
        n: int,
        *,
        seed: int = 1,
        single_cell: bool | None = None,
        threshold: float = 0.5,
        metadata_only: bool = False,
    ) -> Any:
        """Draw samples at random, without replacement.

        Parameters
        ----------
        n : int
            How many.
        seed : int
            Another seed, another draw. What is drawn depends on it and on the accessions drawn from alone: neither on
            their order, nor on any other random numbers, of which it changes none. A smaller draw is the beginning
            of a larger one.
        single_cell : bool, optional
            False to draw from samples whose ``singlecellprobability`` is below ``threshold``, True from the rest.
        threshold : float
            From 0 to 1.
        metadata_only : bool
            True for a table of all fields instead of a Dataset.

        Returns
        -------
        xarray.Dataset or pandas.DataFrame
            In the order of the draw.

        Raises
        ------
        OptionError
            When there are fewer than ``n``.
        """
        found = selection.drawn(
            Samples(self._dataset), n, seed=seed, single_cell=single_cell, threshold=threshold
        )
        return self._narrowed(found, self.fields() if metadata_only else None)

    def metadata(self, fields: str | Iterable[str] | None = None) -> pd.DataFrame:
        """Return fields of all samples of this Dataset as a table.

        Parameters
        ----------
        fields : str or iterable of str, optional
            Which, in that order; by default all, which takes a while for a million samples.

        Returns
        -------
        pandas.DataFrame
            A row a sample, labelled with its accession; a column a field.

        Raises
        ------
        NameNotFoundError
            When there is no such field; the message lists those there are.
        """
        wanted = self.fields() if fields is None else [fields] if isinstance(fields, str) else fields
        return Samples(self._dataset).frame(wanted)

    def fields(self) -> tuple[str, ...]:
        """Return the fields of the samples: those that can be searched."""
        return Samples(self._dataset).fields

    def versions(self) -> pd.DataFrame:
        """Return the releases of ARCHS4 that are known, newest first; see :func:`intake_tcga.list_archs4`."""
        from intake_tcga.archs4.access import list_archs4

        return list_archs4()

    def tree(self) -> str:
        """List what is in the file that this Dataset shows: groups and datasets, with shapes, types and chunks.

        Returns
        -------
        str
            One line an object.

        Raises
        ------
        OptionError
            When the Dataset no longer knows its file.
        """
        from intake_tcga.archs4.listing import tree

        linked = rows_of(self._dataset)
        if linked is None:
            raise OptionError(
                "This Dataset no longer knows a file (it was loaded, joined or saved meanwhile); open the file again."
            )
        return tree(linked[0].file)

    def counts_by_symbol(self, how: How = "sum") -> xr.Dataset:
        """Join the genes that have the same symbol; those without one keep their Ensembl id.

        Parameters
        ----------
        how : {"sum", "mean", "max", "min"}
            What the values of genes of one symbol become.

        Returns
        -------
        xarray.Dataset
            One feature a symbol, in the order in which they first occur; lazy, block by block of samples. The same as
            ``aggregate_genes(ds, by="symbol", how=how)``. For work gene by gene over many samples, save it in chunks
            that suit that (``.to_zarr``) and open it again.

        Raises
        ------
        NameNotFoundError
            When features have no symbols, as in files of transcripts.
        OptionError
            When ``how`` is none of these.
        """
        matrix = find_matrix(self._dataset)
        return join_features(matrix, "symbol", how)

    def _facts(self) -> dict[str, Any]:
        """Return what there is to call."""
        return {
            "search(terms, fields, field=…)": "samples whose metadata say something",
            "series(…)  samples(…)": "those of a series, those of these accessions",
            "draw(n, seed=…)": "some at random",
            "metadata(fields)": "a table of what is written about them",
            "counts_by_symbol()": "genes of one symbol joined",
            "tree()  versions()": "what is in the file, which files there are",
            "fields": self.fields(),
        }

    @property
    def _head(self) -> str:
        linked = rows_of(self._dataset)
        where = f" of {linked[0].file.path}" if linked else ""
        return f"archs4: {Samples(self._dataset).size:,} samples{where}"

    def __repr__(self) -> str:
        return text_facts(f"<{self._head}>", self._facts())

    def _repr_html_(self) -> str:
        return html_facts(self._head, self._facts())

    def _narrowed(self, found: npt.NDArray[np.intp], table: Iterable[str] | None) -> Any:
        """Return the samples found as a Dataset, or some of their fields as a table."""
        some = narrowed(self._dataset, found)
        return some if table is None else Samples(some).frame(dict.fromkeys(table))

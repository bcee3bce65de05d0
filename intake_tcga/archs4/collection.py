"""ARCHS4's files by name: every adapter is one call into this."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from intake_tcga.archs4.access import download_archs4, known_of, list_archs4, open_archs4
from intake_tcga.archs4.narrowing import Narrowing
from intake_tcga.archs4.releases import Release, find_release
from intake_tcga.archs4.version_service import known_releases, refresh_releases
from intake_tcga.cache.store import VerifiedFileCache
from intake_tcga.errors import IntakeTcgaError
from intake_tcga.facets import check_facets, matcher
from intake_tcga.option_names import check_option_names
from intake_tcga.tables import html_table, human_size

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd
    import xarray as xr

_SHOWN = ("file", "samples", "features", "size", "Ensembl", "cached")


@dataclass(frozen=True, repr=False)
class Archs4Collection:
    """The published files of ARCHS4, and how to reach them.

    A value that costs nothing to make and pickles; nothing is asked of a server until a file is opened.

    Examples
    --------
    >>> Archs4Collection().names()[:2]
    ['human_gene_v2.5', 'mouse_gene_v2.5']
    """

    storage_options: Mapping[str, Any] = field(default_factory=dict)
    """Options of fsspec for the files' URLs."""

    offline: bool | str | None = None
    """Never open a socket. None follows ``INTAKE_TCGA_OFFLINE``."""

    cache_storage: str | Sequence[str] | None = None
    """The cache's folder, or read-only folders followed by the writable one. None follows the environment."""

    verify: Literal["stamp", "always"] = "stamp"
    """Hash a cached file when it changed since it was verified (``stamp``), or at every opening (``always``)."""

    progress: bool | None = None
    """Show progress; None shows it on a terminal or in a notebook."""

    @classmethod
    def of(cls, **options: Any) -> Archs4Collection:
        """Make a collection; an option that does not exist is an error that names those that do."""
        known = [one.name for one in fields(cls)]
        check_option_names(options, known)
        return cls(**options)

    def __getstate__(self) -> dict[str, Any]:
        # Where the cache is, is another machine's own affair.
        return {name: value for name, value in self.__dict__.items() if name != "cache"}

    @cached_property
    def cache(self) -> VerifiedFileCache:
        """The verified cache under this collection."""
        return VerifiedFileCache.at(
            self.cache_storage, verify=self.verify, offline=self.offline, progress=self.progress
        )

    @property
    def releases(self) -> tuple[Release, ...]:
        """The releases that are known without asking anybody."""
        return known_releases(self.cache)

    def names(self) -> list[str]:
        """List the releases by name, newest first."""
        return [release.name for release in self.releases]

    def release(self, name: str) -> Release:
        """Return what is known of a release.

        Raises
        ------
        NameNotFoundError
            There is none of that name; the message has the nearest.
        """
        return find_release(name, self.releases)

    def refresh(self) -> None:
        """Ask ARCHS4's version service which files there are, and remember the answer."""
        refresh_releases(cache=self.cache)

    def open(
        self,
        source: str | os.PathLike[str],
        *,
        chunks: Any = None,
        download: bool = False,
        narrowing: Narrowing | None = None,
    ) -> xr.Dataset:
        """Open a release, a path or a URL lazily; see :func:`~intake_tcga.archs4.access.open_archs4`.

        Parameters
        ----------
        source, chunks, download
            As there.
        narrowing : Narrowing, optional
            Only some of its samples.
        """
        ds = open_archs4(
            source,
            chunks=chunks,
            download=download,
            cache=self.cache,
            storage_options=self.storage_options,
        )
        if narrowing is None:
            return ds
        try:
            return narrowing.of(ds)
        except BaseException:
            ds.close()
            raise

    def download(self, name: str, *, force: bool = False) -> Path:
        """Return the path of a release's verified file, downloading it if it is not in the cache."""
        return download_archs4(name, force=force, cache=self.cache, storage_options=self.storage_options)

    def known(self, source: str | os.PathLike[str]) -> dict[str, Any]:
        """Return what is known of a file without asking anybody; as ``archs4.access.known_of`` does."""
        return known_of(source, cache=self.cache)

    def table(self) -> pd.DataFrame:
        """Return one row a release; see :func:`~intake_tcga.archs4.access.list_archs4`."""
        return list_archs4(cache=self.cache)

    def search(self, text: str | re.Pattern[str] | None = None, **facets: Any) -> list[str]:
        """Return the names of the releases that have a text in any field, and match every facet.

        Raises
        ------
        OptionError
            A facet does not exist; the message lists those that do.
        """
        rows = _rows(self.table())
        check_facets(facets, list(rows[0]))
        matches = matcher(text, facets)
        return [str(row["name"]) for row in rows if matches(row)]

    @property
    def summary(self) -> str:
        """One line that says what there is."""
        return f"{len(self.releases)} files of human and mouse RNA-seq, genes and transcripts"

    def html(self, names: Sequence[str] | None = None) -> str:
        """Return an HTML table of the releases, or of some of them; what goes wrong is said in it."""
        from html import escape

        try:
            table = self.table()
        except IntakeTcgaError as error:  # a notebook's display is no place for a traceback
            return f"<p>{escape(str(error))}</p>"
        rows = [row for row in _rows(table) if names is None or row["name"] in names]
        return html_table(_SHOWN, [_cells(row) for row in rows], right={"samples", "features", "size"})

    def __repr__(self) -> str:
        return f"<Archs4Collection of {self.summary}>"

    def _repr_html_(self) -> str:
        return self.html()


def _rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Return a table's rows in plain values, with None for what is not known."""
    known = table.astype(object).where(table.notna(), None)
    return [{str(name): value for name, value in row.items()} for row in known.to_dict("records")]


def _cells(row: Mapping[str, Any]) -> list[str]:
    counts = ["" if row[name] is None else f"{row[name]:,}" for name in ("samples", "features")]
    size = "" if row["bytes"] is None else human_size(int(row["bytes"]))
    return [row["name"], *counts, size, str(row["ensembl"] or ""), "yes" if row["cached"] else ""]

"""The cohorts of one manifest: named, searched, fetched and opened. Every adapter is one call into this."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from intake_tcga._version import __version__
from intake_tcga.cache.store import VerifiedFileCache
from intake_tcga.cohorts.bundles import BUNDLES
from intake_tcga.cohorts.locations import how_to_open, is_data_file
from intake_tcga.cohorts.manifest import Cohort, Manifest, names_a_file
from intake_tcga.cohorts.manifest_copies import load_manifest
from intake_tcga.cohorts.selection import Narrowing, check
from intake_tcga.cohorts.table import cohort_row, cohort_table, search_cohorts
from intake_tcga.errors import (
    FileFormatError,
    IntakeTcgaError,
    IntegrityError,
    NameNotFoundError,
    OptionError,
    UnsupportedVersionError,
)
from intake_tcga.flags import flag
from intake_tcga.remote import RemoteFile, redact

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

_Opened = TypeVar("_Opened", "xr.Dataset", "xr.DataTree")


@dataclass(frozen=True, repr=False)
class CohortCollection:
    """The cohorts of one manifest, and how to reach them.

    A value that costs nothing to make and pickles: the manifest is read (once) when a cohort is first asked
    for, a cohort's file is fetched when the cohort is first opened. Two processes with equal collections see the
    same cohorts, and share downloads through the cache.

    Examples
    --------
    >>> from intake_tcga.cohorts.sample import sample_collection
    >>> sample = sample_collection()
    >>> sample.names()
    ['PRAD']
    >>> sample.cohort("PRAD").cancer_name
    'Prostate Adenocarcinoma'
    """

    urlpath: str | None = None
    """A published bundle (``mirna``, ``rnaseq``) or the URL of a manifest; None is the modality's own bundle."""

    modality: str | None = None
    """``mirna`` or ``rnaseq``; a manifest of another modality is refused. None accepts either."""

    version: str | None = None
    """Pin: the manifest version to use, from the copies kept on disk. None is what the URL serves."""

    storage_options: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """Options of fsspec, for the URL's protocol or keyed by protocol. May hold credentials: never shown."""

    offline: bool | str | None = None
    """Never open a socket. None follows ``INTAKE_TCGA_OFFLINE``."""

    allow_other_hosts: bool = False
    """Follow data URLs of the manifest that leave its own scheme and host; also in words (``"yes"``, ``"false"``)."""

    cache_storage: str | Sequence[str] | None = None
    """The cache's folder, or read-only folders followed by the writable one. None follows the environment."""

    verify: Literal["stamp", "always"] = "stamp"
    """Hash a cached file when it changed since it was verified (``stamp``), or at every opening (``always``)."""

    progress: bool | None = None
    """Show progress bars; None shows them on a terminal or in a notebook."""

    def __post_init__(self) -> None:
        if self.urlpath is not None and not str(self.urlpath).strip():
            raise OptionError(
                "urlpath is empty: give mirna, rnaseq or the URL of a manifest. "
                "(In a catalog, is the environment variable set that it is read from?)"
            )
        object.__setattr__(self, "allow_other_hosts", flag(self.allow_other_hosts, "allow_other_hosts"))
        if self.version is not None and not isinstance(self.version, str):
            raise OptionError(  # YAML takes 1.0 for a number, and 1.10 for 1.1
                f"version must be a text, not {self.version!r}; quote it: '{self.version}'."
            )
        if not isinstance(self.storage_options, Mapping):
            raise OptionError(
                f"storage_options must be a mapping of fsspec's options, not a {type(self.storage_options).__name__}."
            )

    @classmethod
    def of(cls, **options: Any) -> CohortCollection:
        """Make a collection; an option that does not exist is an error that names those that do."""
        known = [field.name for field in fields(cls)]
        if unknown := [name for name in options if name not in known]:
            near = difflib.get_close_matches(
                unknown[0], [*known, "normalization", "model", "off_aug", "chunks"], n=1
            )
            hint = f"; did you mean {near[0]!r}?" if near else "."
            raise OptionError(f"There is no option {unknown[0]!r}{hint} There are: {', '.join(known)}.")
        return cls(**options)

    @cached_property
    def cache(self) -> VerifiedFileCache:
        """The verified cache under this collection."""
        return VerifiedFileCache.at(
            self.cache_storage, verify=self.verify, offline=self.offline, progress=self.progress
        )

    def __getstate__(self) -> dict[str, Any]:
        # Where the cache is, is another machine's own affair; what the manifest said is not.
        return {name: value for name, value in self.__dict__.items() if name != "cache"}

    @cached_property
    def manifest(self) -> Manifest:
        """The manifest, read and validated at first use."""
        return self.load()

    def refresh(self) -> Manifest:
        """Ask the server for the manifest again, and use what it answers from now on."""
        self.__dict__["manifest"] = manifest = self.load(refresh=True)
        return manifest

    def load(self, *, refresh: bool = False) -> Manifest:
        """Read the manifest anew; ``refresh=True`` asks the server even where a kept copy would do."""
        if is_data_file(self.urlpath):
            raise OptionError(f"{self.place} is a data file, not a manifest. {how_to_open(self.urlpath)}")
        if self.urlpath is not None and Path(self.urlpath).is_dir():
            raise OptionError(
                f"{self.urlpath} is a folder; give its manifest, e.g. {Path(self.urlpath) / 'manifest.json'}."
            )
        return load_manifest(
            self.urlpath or self.modality or "mirna",
            modality=self.modality,
            cache=self.cache,
            storage_options=self.storage_options,
            refresh=refresh,
            allow_other_hosts=self.allow_other_hosts,
            version=self.version,
        )

    def cohort(self, name: str) -> Cohort:
        """Find a cohort by its full name, or by its code where only one has it."""
        # Asking for a manifest would be in vain; only somebody's own may have cohorts of such names.
        if names_a_file(name) and (self._is_published or Path(name).is_file()):
            raise NameNotFoundError(
                f"{redact(str(name))!r} is no cohort's name but a path. {how_to_open(name)}"
            )
        return self.manifest.find(name)

    @property
    def _is_published(self) -> bool:
        return self.urlpath is None or any(self.urlpath in {b.name, b.url} for b in BUNDLES.values())

    def names(self, *, short: bool = True) -> list[str]:
        """List the cohorts in the manifest's order: codes (full names where a code is not unique), or full names."""
        return self.manifest.keys() if short else [cohort.name for cohort in self.manifest.cohorts]

    def table(self) -> pd.DataFrame:
        """Return one row a cohort: names, groups, sizes, digest, models, and whether its file is cached."""
        return cohort_table(self.manifest, self.is_cached)

    @property
    def summary(self) -> str:
        """One line that says which manifest this is, without credentials, and without reading it."""
        if "manifest" not in self.__dict__:
            return f"{self.place}, manifest not read yet"
        count = len(self.manifest.cohorts)
        return f"{self.place}, {count} cohort{'s' * (count != 1)}, manifest version {self.manifest.version}"

    @property
    def place(self) -> str:
        """The bundle's name or the manifest's URL, without credentials."""
        return redact(self.urlpath or self.modality or "mirna")

    def __repr__(self) -> str:
        return f"<CohortCollection of {self.summary}>"

    def html(self, names: Sequence[str] | None = None) -> str:
        """Return the table of some cohorts (all by default) for notebooks; what goes wrong is said in it."""
        from html import escape

        from intake_tcga.cohorts.table import html

        try:
            table = self.table()
            wanted = None if names is None else {self.cohort(name).name for name in names}
            return html(table if wanted is None else table[table["name"].isin(wanted)])
        except IntakeTcgaError as error:  # a notebook's display is no place for a traceback
            return f"<p>{escape(str(error))}</p>"

    def _repr_html_(self) -> str:
        return self.html()

    def search(self, text: str | re.Pattern[str] | None = None, **facets: Any) -> list[Cohort]:
        """Find the cohorts that match a text and every facet; see :func:`~intake_tcga.cohorts.table.search_cohorts`."""
        return search_cohorts(self.manifest.cohorts, text, is_cached=self.is_cached, **facets)

    def remote_file(self, name: str) -> RemoteFile:
        """Tell where a cohort's file is, and the size and digest it must have."""
        return self.manifest.remote_file(self.cohort(name))

    def is_cached(self, cohort: Cohort) -> bool:
        """Tell whether a copy of the cohort's file is on disk, without hashing it."""
        return self.cache.find(self.manifest.remote_file(cohort)) is not None

    def known(self, name: str) -> dict[str, Any]:
        """Return a cohort's row of the table, or nothing where the manifest was not read yet: it is not read for it."""
        if "manifest" not in self.__dict__:
            return {}
        cohort = self.cohort(name)
        return cohort_row(self.manifest, cohort, cached=self.is_cached(cohort))

    def fetch(self, name: str, *, force: bool = False) -> Path:
        """Return the local path of a cohort's file, verified; downloads it if no valid copy is on disk.

        Parameters
        ----------
        name : str
            Full name or code.
        force : bool
            Download even if a copy is there; the old one stays until the new one is verified.
        """
        return self.cache.fetch(self.remote_file(name), storage_options=self.storage_options, force=force)

    def prefetch(
        self, names: Sequence[str] | None = None, *, threads: int = 4, force: bool = False
    ) -> dict[str, Path]:
        """Fetch several cohorts (all by default), ``threads`` at a time; failures are reported together at the end.

        Returns
        -------
        dict
            Local path of each cohort, by the names that were given.
        """
        check_threads(threads)
        if isinstance(names, str):
            names = [names]
        files = self._remote_files(self.names() if names is None else names)
        paths = self.cache.prefetch(
            list(files.values()), storage_options=self.storage_options, threads=threads, force=force
        )
        return {name: paths[file] for name, file in files.items()}

    def _remote_files(self, names: Sequence[str]) -> dict[str, RemoteFile]:
        """Find the files of all names, and report all names that do not exist together."""
        files, problems = {}, []
        for name in dict.fromkeys(names):
            try:
                files[name] = self.remote_file(name)
            except NameNotFoundError as error:
                problems.append(error)
        if len(problems) > 1:
            raise NameNotFoundError("\n".join(map(str, problems)))
        if problems:
            raise problems[0]
        return files

    def verify_files(self, names: Sequence[str] | None = None) -> dict[str, str]:
        """Hash the cached files now, whatever is remembered of them; no network.

        Returns
        -------
        dict
            By name: ``"verified"``, ``"not cached"``, or the sentence that says what is wrong.
        """
        return {name: self._verified(name) for name in (self.names() if names is None else names)}

    def _verified(self, name: str) -> str:
        file = self.remote_file(name)
        if self.cache.find(file) is None:
            return "not cached"
        try:
            self.cache.verify(file)
        except IntegrityError as error:
            return str(error)
        return "verified"

    def open(
        self,
        name: str,
        *,
        normalization: Narrowing = None,
        model: Narrowing = None,
        off_aug: Narrowing = None,
        chunks: Any = None,
        force: bool = False,
    ) -> xr.Dataset:
        """Open a cohort as a lazy Dataset: dims and variables as in the data model, with provenance in attrs.

        Parameters
        ----------
        name : str
            Full name or code.
        normalization, model, off_aug : str, sequence of str, or None
            Narrow the Dataset: a label selects it, several keep them in the order given.
        chunks : optional
            As in :func:`xarray.open_dataset`: ``{}`` gives dask chunks that follow the file's own.
        force : bool
            Download the file again first.

        Raises
        ------
        NameNotFoundError, OptionError
            The name or an option is wrong; the message lists the right ones.
        TransferError, IntegrityError, CacheError
            The file could not be fetched and verified.
        FileFormatError
            The file is not what a cohort file is.
        """
        from intake_tcga.cohorts.dataset import open_dataset

        cohort = self.cohort(name)
        if cohort.states_labels:  # else only the file can tell
            check(
                {"normalization": normalization, "model": model, "off_aug": off_aug},
                {"normalization": cohort.normalizations, "model": cohort.models, "off_aug": cohort.off_augs},
            )
        return self._opened(
            cohort,
            lambda path: open_dataset(
                path, chunks=chunks, normalization=normalization, model=model, off_aug=off_aug
            ),
            force=force,
        )

    def open_tree(self, name: str, *, chunks: Any = None, force: bool = False) -> xr.DataTree:
        """Open a cohort as a lazy DataTree that mirrors the file's groups; parameters as in :meth:`open`."""
        from intake_tcga.cohorts.tree import open_tree

        return self._opened(self.cohort(name), lambda path: open_tree(path, chunks=chunks), force=force)

    def _opened(self, cohort: Cohort, open_file: Callable[[Path], _Opened], *, force: bool) -> _Opened:
        """Fetch a cohort's file and open it, with its provenance; a file that does not open is explained."""
        file = self.manifest.remote_file(cohort)
        path = self.cache.fetch(file, storage_options=self.storage_options, force=force)
        try:
            opened = open_file(path)
        except UnsupportedVersionError:
            raise
        except FileFormatError as error:
            raise self._explained(error, file) from error
        # In place: a copy would not close the file, nor learn what its sample labels turn out to be.
        opened.attrs.update(self._provenance(file))
        return opened

    def _provenance(self, file: RemoteFile) -> dict[str, str]:
        return {
            "intake_tcga:source_url": file.shown_url,
            "intake_tcga:digest": str(file.digest),
            "intake_tcga:manifest_version": self.manifest.version,
            "intake_tcga:package_version": __version__,
        }

    def _explained(self, error: FileFormatError, file: RemoteFile) -> FileFormatError:
        """Tell a file that was damaged here, which another download mends, from one that was published so."""
        try:
            self.cache.verify(file)
        except (IntegrityError, NameNotFoundError, OSError):
            return FileFormatError(
                f"{error} Its digest no longer matches the manifest's, so opening it again downloads it anew "
                "(offline, it is refused)."
            )
        return FileFormatError(
            f"{error} Its digest matches the manifest's, so it was published like this: report it to the publisher."
        )


def check_threads(threads: int) -> None:
    """Refuse numbers of files at a time that cannot be."""
    if isinstance(threads, bool) or not isinstance(threads, int) or threads < 1:
        raise OptionError(f"threads={threads!r} is not possible; give 1 or more files at a time.")

"""Intake V1: ``driver: tcga`` (the cohorts of a manifest) and ``driver: tcga_cohort`` (one cohort).

Each method is one call into :class:`~intake_tcga.cohorts.collection.CohortCollection`; what is here is only what
intake needs to hear. Both classes keep intake's way of pickling and re-making sources: from the arguments they
were made with.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from intake.catalog.base import Catalog
from intake.catalog.local import LocalCatalogEntry, UserParameter
from intake.source.base import DataSource, Schema

from intake_tcga.cohorts.collection import CohortCollection
from intake_tcga.cohorts.manifest import Cohort
from intake_tcga.cohorts.sample import catalogs_folder
from intake_tcga.cohorts.selection import Narrowing
from intake_tcga.errors import IntakeTcgaError, NameNotFoundError, OptionError
from intake_tcga.remote import redact, without_credentials

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr
    from intake.readers.entry import Catalog as CatalogV2

_COLLECTION_OPTIONS = (
    "urlpath",
    "modality",
    "version",
    "storage_options",
    "offline",
    "allow_other_hosts",
    "cache_storage",
    "verify",
    "progress",
)
_INTAKES_OWN_METADATA = ("catalog_dir", "cache")  # what intake adds to an entry's metadata when it opens it


class CohortSource(DataSource):  # type: ignore[misc]
    """One cohort as an intake source: ``read()``, ``to_dask()``, ``discover()``, ``local_path()``, ``yaml()``.

    Making one costs nothing; the manifest and the file are fetched by the first method that needs them. Calling
    a source gives another one with other options: ``source(normalization="TC")``. Sources pickle; on a worker of
    ``dask.distributed`` a source fetches for itself.

    Parameters
    ----------
    cohort : str
        Full name, or code where only one cohort has it.
    urlpath : str, optional
        ``mirna``, ``rnaseq``, or the URL of a manifest (anything fsspec opens). None is the modality's own bundle.
    modality, version, storage_options, offline, allow_other_hosts, cache_storage, verify, progress
        As in :class:`~intake_tcga.cohorts.collection.CohortCollection`.
    normalization, model, off_aug : str, sequence of str, or None
        Narrow the Dataset: a label selects it, several keep them.
    chunks : optional
        Dask chunks of :meth:`to_dask`; None is ``{}``, the file's own.
    metadata : dict, optional
        Kept with the entry.

    Examples
    --------
    >>> import intake
    >>> source = intake.open_tcga_cohort("PRAD", urlpath=sample_manifest, offline=True)
    >>> source(normalization="TC").to_dask()["real"].dims
    ('sample', 'feature')
    """

    name = "tcga_cohort"
    container = "xarray"
    version = "1"
    partition_access = False

    def __init__(
        self,
        cohort: str,
        urlpath: str | None = None,
        modality: str | None = None,
        version: str | None = None,
        storage_options: Mapping[str, Any] | None = None,
        offline: bool | None = None,
        allow_other_hosts: bool = False,
        cache_storage: str | Sequence[str] | None = None,
        verify: str = "stamp",
        progress: bool | None = None,
        normalization: Narrowing = None,
        model: Narrowing = None,
        off_aug: Narrowing = None,
        chunks: Any = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(storage_options=dict(storage_options or {}), metadata=metadata)
        self.name = cohort
        self.cohort = cohort
        self.collection = _collection(locals())
        self.narrowing: dict[str, Narrowing] = {
            "normalization": normalization,
            "model": model,
            "off_aug": off_aug,
        }
        self.chunks = chunks

    def read(self) -> xr.Dataset:
        """Return the cohort's Dataset in memory."""
        from intake_tcga.cohorts.dataset import in_memory

        with self._open(chunks=None) as dataset:
            return in_memory(dataset)

    def to_dask(self) -> xr.Dataset:
        """Return the cohort's Dataset with dask arrays, chunked as ``chunks`` says (by default as the file is)."""
        return self._open(chunks={} if self.chunks is None else self.chunks)

    def to_datatree(self) -> xr.DataTree:
        """Return a lazy DataTree that mirrors the groups of the cohort's file."""
        return self.collection.open_tree(self.cohort, chunks=self.chunks)

    def local_path(self) -> str:
        """Return the path of the cohort's verified file on this machine."""
        return str(self.collection.fetch(self.cohort))

    def to_v2(self) -> CatalogV2:
        """Return an intake V2 catalog with this cohort alone."""
        from intake_tcga.readers import to_v2

        options: dict[str, Any] = {"chunks": self.chunks, **self.narrowing}
        return to_v2(self.collection, names=[self.cohort], **options)

    def read_partition(self, i: int) -> xr.Dataset:
        """Return partition 0, the whole cohort; a cohort has no other."""
        if i != 0:
            raise OptionError(
                f"Cohort {self.cohort!r} has one partition, not {i + 1}; use to_dask() for its chunks."
            )
        return self.read()

    def _get_partition(self, _: int) -> xr.Dataset:
        return self.read()

    def _get_schema(self) -> Schema:
        with self._open(chunks=None) as dataset:
            real = dataset["real"]
            return Schema(
                dtype=str(real.dtype),
                shape=real.shape,
                npartitions=1,
                extra_metadata={
                    "dims": {str(dim): size for dim, size in dataset.sizes.items()},
                    "data_vars": {str(name): list(map(str, v.dims)) for name, v in dataset.data_vars.items()},
                    "coords": sorted(map(str, dataset.coords)),
                },
            )

    def _open(self, *, chunks: Any) -> xr.Dataset:
        return self.collection.open(
            self.cohort,
            chunks=chunks,
            normalization=self.narrowing["normalization"],
            model=self.narrowing["model"],
            off_aug=self.narrowing["off_aug"],
        )

    def __setstate__(self, state: dict[str, Any]) -> None:
        # Intake pickles positional arguments as a list, and then finds a tuple and a list unequal.
        super().__setstate__({**state, "args": tuple(state["args"])})

    def _close(self) -> None:
        """Nothing is held: each Dataset owns its file handle and closes it."""
        self._schema = None

    def _yaml(self) -> dict[str, Any]:
        arguments = {
            **self._captured_init_kwargs,
            **dict(zip(("cohort",), self._captured_init_args, strict=False)),
        }
        return _entry_as_dict(self.name, "tcga_cohort", arguments, self.description, self.metadata)

    def yaml(self) -> str:
        """Return a catalog's YAML with one entry that reopens this source; credentials are left out."""
        return _yaml_text(self._yaml())

    def __repr__(self) -> str:
        chosen = ", ".join(f"{key}={value!r}" for key, value in self.narrowing.items() if value is not None)
        return f"<tcga_cohort {self.cohort}{': ' + chosen if chosen else ''} of {self.collection.summary}>"

    _ipython_display_ = None  # intake's hides _repr_html_ from notebooks

    def _repr_html_(self) -> str:
        return _html(self.collection, [self.cohort])


class CohortCatalog(Catalog):  # type: ignore[misc]
    """The cohorts of a manifest as an intake catalog.

    Making one opens no socket and reads nothing; the manifest is read once, when an entry or the list of them is
    asked for. Entries answer to their code (``BRCA``; their full name where a code is not unique) and to their
    full name; an entry whose name is also a method's (``cat.name``) is reached as ``cat["name"]``.

    Parameters
    ----------
    urlpath : str, optional
        ``mirna``, ``rnaseq``, or the URL of a manifest (anything fsspec opens). None is the modality's own bundle.
    modality, version, storage_options, offline, allow_other_hosts, cache_storage, verify, progress
        As in :class:`~intake_tcga.cohorts.collection.CohortCollection`.
    cohorts : sequence of str, optional
        Full names of the cohorts to show; None shows all. :meth:`search` and :meth:`filter` set it.
    **kwargs
        Of :class:`intake.catalog.Catalog`: ``name``, ``description``, ``metadata``, …

    Examples
    --------
    >>> import intake
    >>> cat = intake.open_tcga(sample_manifest, offline=True)
    >>> list(cat)
    ['PRAD']
    >>> cat.PRAD.to_dask().sizes["feature"]
    120
    >>> list(cat.search("prostate", n_samples=lambda n: n > 50))
    ['PRAD']
    """

    name = "tcga"
    container = "catalog"

    def __init__(
        self,
        urlpath: str | None = None,
        modality: str | None = None,
        version: str | None = None,
        storage_options: Mapping[str, Any] | None = None,
        offline: bool | None = None,
        allow_other_hosts: bool = False,
        cache_storage: str | Sequence[str] | None = None,
        verify: str = "stamp",
        progress: bool | None = None,
        cohorts: Sequence[str] | None = None,
        **kwargs: Any,
    ) -> None:
        self.collection = _collection(locals())
        self._subset = None if cohorts is None else tuple(cohorts)
        kwargs["name"] = kwargs.get("name") or "tcga"
        # ttl=None: intake would otherwise read the manifest again every minute, and fail when offline.
        super().__init__(storage_options=dict(storage_options or {}), **{**kwargs, "ttl": None})

    # -- entries -------------------------------------------------------------------------------------------------

    def _make_entries_container(self) -> Mapping[str, LocalCatalogEntry]:
        return _CohortEntries(self)

    def force_reload(self) -> None:
        """Ask the server for the manifest again, if it was read before: making a catalog calls this too."""
        if "manifest" in vars(self.collection):
            self.collection.refresh()

    def __getitem__(self, key: Any) -> Any:
        """Return a source by code, full name, dotted path or tuple."""
        try:
            return super().__getitem__(key)
        except KeyError:
            if isinstance(key, str):
                self._cohort(key)  # raises the error that names the nearest and all that exist
            raise

    def __getattr__(self, item: str) -> Any:
        if item.startswith("_") or item in {"collection", "entry"}:
            return super().__getattr__(item)
        try:
            return self[item]
        except NameNotFoundError as error:
            raise AttributeError(f"A catalog has no attribute or entry {item!r}: {error}") from error

    def __dir__(self) -> list[str]:
        try:
            names = super().__dir__()
        except IntakeTcgaError:  # completing a name must not fail where listing does
            names = []
        return sorted({*names, *object.__dir__(self)})

    def _cohort(self, name: str) -> Cohort:
        cohort = self.collection.cohort(name)
        if self._subset is not None and cohort.name not in self._subset:
            raise NameNotFoundError(
                f"{name!r} is not among the {len(self._subset)} cohorts that this catalog was narrowed to; "
                f"it has {', '.join(self) or 'none'}."
            )
        return cohort

    def _cohorts(self) -> list[Cohort]:
        shown = self._subset
        return [
            cohort for cohort in self.collection.manifest.cohorts if shown is None or cohort.name in shown
        ]

    # -- finding -------------------------------------------------------------------------------------------------

    @property
    def df(self) -> pd.DataFrame:
        """One row a cohort: names, groups, sizes, digest, models, cached or not; opens no file."""
        table = self.collection.table()
        return table[table["name"].isin([cohort.name for cohort in self._cohorts()])].reset_index(drop=True)

    def search(self, text: str | None = None, depth: int = 2, **facets: Any) -> CohortCatalog:
        """Return the catalog of the cohorts that match.

        Parameters
        ----------
        text : str or compiled pattern, optional
            Found in any field, whatever its case: names, cancer types, clinical variables, groups, …
        depth : int
            Of intake's own signature; a catalog of cohorts has one level.
        **facets
            A column of :attr:`df` with a value, a list of values, a compiled regular expression, or a function:
            ``search(cancer_type=["BRCA", "OV"], n_samples=lambda n: n > 500)``.

        Raises
        ------
        OptionError
            A facet does not exist; the message lists those that do.
        """
        found = {cohort.name for cohort in self.collection.search(text, **facets)}
        return self._narrowed([cohort.name for cohort in self._cohorts() if cohort.name in found])

    def filter(self, func: Callable[[Any], bool]) -> CohortCatalog:
        """Return the catalog of the entries for which ``func(entry)`` is true."""
        return self._narrowed([self._cohort(key).name for key, entry in self._entries.items() if func(entry)])

    def unique(self, column: str | None = None) -> Any:
        """Return the distinct values of a column of :attr:`df`, or of all columns in a dict."""
        from intake_tcga.cohorts.table import unique_values

        return unique_values(self.df, column)

    def _narrowed(self, names: list[str]) -> CohortCatalog:
        options = {**self._captured_init_kwargs, "cohorts": names}
        narrowed = type(self)(*self._captured_init_args, **options)
        narrowed.collection = self.collection  # the manifest is read already
        return narrowed

    # -- acting --------------------------------------------------------------------------------------------------

    def prefetch(self, names: Sequence[str] | None = None, *, threads: int = 4) -> dict[str, str]:
        """Download cohorts (all by default) into the cache; returns their local paths by name."""
        wanted = list(self) if names is None else names
        return {name: str(path) for name, path in self.collection.prefetch(wanted, threads=threads).items()}

    def to_dataset_dict(self, **options: Any) -> dict[str, xr.Dataset]:
        """Open every cohort lazily with the same options: ``normalization=``, ``model=``, ``off_aug=``, ``chunks=``."""
        return {name: self[name](**options).to_dask() for name in self}

    def to_v2(self) -> CatalogV2:
        """Return an intake V2 catalog of the same cohorts; saved, it reopens by itself."""
        from intake_tcga.readers import to_v2

        return to_v2(self.collection, names=list(self))

    def discover(self) -> dict[str, Any]:
        """Return what the catalog is, without reading the manifest."""
        return {"container": "catalog", "shape": None, "dtype": None, "metadata": self.metadata}

    # -- showing -------------------------------------------------------------------------------------------------

    def _yaml(self) -> dict[str, Any]:
        arguments = {
            **self._captured_init_kwargs,
            **dict(zip(("urlpath",), self._captured_init_args, strict=False)),
        }
        for intakes_own in ("name", "description", "metadata", "ttl"):
            arguments.pop(intakes_own, None)
        return _entry_as_dict(self.name, "tcga", arguments, self.description, self.metadata)

    def yaml(self) -> str:
        """Return a catalog's YAML with one entry that reopens this catalog; credentials are left out."""
        return _yaml_text(self._yaml())

    def serialize(self) -> str:
        """Return a catalog's YAML with one entry a cohort; ``save(url)`` writes it, and it reopens by itself."""
        sources: dict[str, Any] = {}
        for name in self:
            sources |= self[name]._yaml()["sources"]
        return _yaml_text(
            {
                "name": self.name,
                "description": self.description,
                "metadata": self.metadata,
                "sources": sources,
            }
        )

    def __repr__(self) -> str:
        narrowed = "" if self._subset is None else f"{len(self._subset)} cohorts of "
        return f"<tcga catalog: {narrowed}{self.collection.summary}>"

    _ipython_display_ = None  # intake's hides _repr_html_ from notebooks

    def _repr_html_(self) -> str:
        return _html(self.collection, None if self._subset is None else list(self._subset))


class CohortEntry(LocalCatalogEntry):  # type: ignore[misc]
    """A catalog's entry of one cohort: its metadata, and the source that it makes."""

    def __init__(self, catalog: CohortCatalog, key: str, cohort: Cohort) -> None:
        self._cohort = cohort
        super().__init__(
            name=key,
            description=f"{cohort.cancer_name}: {cohort.n_samples} samples × {cohort.n_features} features",
            driver=CohortSource,
            args={"cohort": cohort.name, **_options(catalog)},
            parameters=_parameters(cohort),
            metadata=_metadata(catalog.collection, cohort),
            catalog=catalog,
        )

    def __reduce__(self) -> tuple[Any, ...]:
        # Intake remakes objects from their arguments' states, which a catalog and a cohort do not survive.
        return type(self), self._captured_init_args

    def _create_open_args(self, user_parameters: dict[str, Any]) -> tuple[type[CohortSource], dict[str, Any]]:
        """Merge an entry's arguments and the user's, as they are.

        Intake's own merging renders both as jinja templates, which would let a manifest's text read environment
        variables, and warns of shell commands that nobody gave.
        """
        for parameter in self._user_parameters:
            if self._cohort.states_labels and parameter.name in user_parameters:
                parameter.validate(user_parameters[parameter.name])
        metadata = {
            key: value for key, value in self._metadata.items() if key != "cached"
        }  # true only just now
        return CohortSource, {"metadata": metadata, **self._open_args, **user_parameters}

    def get(self, **user_parameters: Any) -> CohortSource:
        """Return the source, with the user's options."""
        source: CohortSource = super().get(**user_parameters)
        if not set(user_parameters) & set(_COLLECTION_OPTIONS):
            source.collection = self._catalog.collection  # its manifest is read already
        return source


class LabelParameter(UserParameter):  # type: ignore[misc]
    """A user parameter that takes one of its allowed labels, several of them, or None for all."""

    def validate(self, value: Narrowing) -> Narrowing:
        """Return the value if every label of it is allowed."""
        labels = [value] if isinstance(value, str) else list(value or [])
        if wrong := [label for label in labels if label not in self.allowed]:
            raise OptionError(
                f"{self.name}={value!r}: this cohort has no {wrong[0]!r}; choose from {', '.join(self.allowed)}."
            )
        return value


class _CohortEntries(Mapping[str, CohortEntry]):
    """The entries of a catalog, made when asked for, so that an unread manifest stays unread."""

    def __init__(self, catalog: CohortCatalog) -> None:
        self._catalog = catalog

    def __iter__(self) -> Iterator[str]:
        shown = {cohort.name for cohort in self._catalog._cohorts()}
        manifest = self._catalog.collection.manifest
        return iter([key for key in manifest.keys() if manifest.find(key).name in shown])  # noqa: SIM118

    def __len__(self) -> int:
        return len(self._catalog._cohorts())

    def __contains__(self, key: object) -> bool:
        try:
            return isinstance(key, str) and bool(self._catalog._cohort(key))
        except NameNotFoundError:
            return False

    def __getitem__(self, key: str) -> CohortEntry:
        # A new one each time: intake changes entries as it opens them, and "cached" must be today's.
        return CohortEntry(self._catalog, key, self._catalog._cohort(key))


def _collection(arguments: Mapping[str, Any]) -> CohortCollection:
    options = {name: arguments[name] for name in _COLLECTION_OPTIONS if arguments[name] is not None}
    if "urlpath" in options:
        options["urlpath"] = _tidy(options["urlpath"])
    return CohortCollection(**options)


def _tidy(urlpath: str) -> str:
    # A local CATALOG_DIR ends in "/" and a remote one does not: "{{ CATALOG_DIR }}/x" has two slashes or one.
    scheme, colon, rest = str(urlpath).rpartition("://")
    while "//" in rest.lstrip("/"):
        head, _, tail = rest.rpartition("//")
        rest = f"{head}/{tail}"
    return f"{scheme}{colon}{rest}"


def _options(catalog: CohortCatalog) -> dict[str, Any]:
    """Return the arguments that reach a catalog's collection, as far as they differ from the defaults."""
    collection = catalog.collection
    default = CohortCollection()
    values = {name: getattr(collection, name) for name in _COLLECTION_OPTIONS}
    return {name: value for name, value in values.items() if value != getattr(default, name)}


def _parameters(cohort: Cohort) -> list[LabelParameter]:
    # Keywords only: intake keeps nothing else of a parameter when a catalog is saved.
    choices = {"normalization": cohort.normalizations, "model": cohort.models, "off_aug": cohort.off_augs}
    return [
        LabelParameter(
            name=name, description=f"{name}s to open; all if not given", type="str", allowed=list(labels)
        )
        for name, labels in choices.items()
        if labels
    ]


def _metadata(collection: CohortCollection, cohort: Cohort) -> dict[str, Any]:
    """Return an entry's metadata: the cohort's row of the catalog's table, in plain values."""
    from intake_tcga.cohorts.table import cohort_row

    return cohort_row(collection.manifest, cohort, cached=collection.is_cached(cohort))


def _entry_as_dict(
    name: str,
    driver: str,
    arguments: Mapping[str, Any],
    description: str | None,
    metadata: Mapping[str, Any] | None,
) -> dict[str, Any]:
    given = {key: value for key, value in arguments.items() if value not in (None, {}) and key != "metadata"}
    if "urlpath" in given:
        given["urlpath"] = redact(str(given["urlpath"]))
    if "storage_options" in given:
        given["storage_options"] = without_credentials(given["storage_options"])
    kept = {key: value for key, value in (metadata or {}).items() if key not in _INTAKES_OWN_METADATA}
    return {
        "sources": {
            name: {
                "driver": driver,
                "description": description or "",
                "metadata": _plain(kept),
                "args": _plain(given),
            }
        }
    }


def _plain(value: Any) -> Any:
    """Turn tuples, paths and mappings into what any YAML reader takes."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value


def _yaml_text(value: Mapping[str, Any]) -> str:
    text: str = yaml.safe_dump(value, sort_keys=False, allow_unicode=True)
    return text


def _html(collection: CohortCollection, names: list[str] | None) -> str:
    from html import escape

    from intake_tcga.cohorts.table import html

    try:
        wanted = None if names is None else {collection.cohort(name).name for name in names}
        table = collection.table()
        return html(table if wanted is None else table[table["name"].isin(wanted)])
    except IntakeTcgaError as error:  # a notebook's display is no place for a traceback
        return f"<p>{escape(str(error))}</p>"


def __getattr__(name: str) -> Any:
    # `intake.cat.tcga`: made on access, so that importing this module opens no file.
    if name == "builtin_catalog":
        from intake.catalog.local import YAMLFileCatalog

        return YAMLFileCatalog(str(catalogs_folder() / "tcga.yaml"))
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

"""Intake V2: data types that intake recognises, readers of them, and catalogs that reopen by themselves.

::

    CohortManifest ── CohortCatalogReader ──► intake V2 Catalog    a manifest: its cohorts
    ManifestCohort ── CohortReader ─────────► xarray Dataset       one cohort of a manifest
    CohortFile ────── CohortFileReader ─────► xarray Dataset       a cohort's file, wherever it is

Intake imports this module whenever it is imported itself: nothing is imported at its top that intake has not
loaded already, and a reader imports what it needs when it reads. Reading is one call into
:class:`~intake_tcga.cohorts.collection.CohortCollection`; the rest is what intake needs to hear.

A catalog's entry says everything about its data in its own arguments, and refers to no other entry, since
intake's own ``Catalog.search`` loses what entries refer to. Credentials never are among these arguments: see
:class:`_Data`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from intake.readers.datatypes import HDF5, BaseData, JSONFile
from intake.readers.entry import Catalog, DataDescription, ReaderDescription
from intake.readers.readers import BaseReader
from intake.readers.search import Not, SearchBase
from intake.readers.user_parameters import set_values

from intake_tcga.errors import IntakeTcgaError, NameNotFoundError, OptionError

if TYPE_CHECKING:
    import xarray as xr

    from intake_tcga.cohorts.collection import CohortCollection
    from intake_tcga.cohorts.selection import Narrowing

_COLLECTION_OPTIONS = (
    "modality",
    "version",
    "offline",
    "allow_other_hosts",
    "cache_storage",
    "verify",
    "progress",
)


# -- data types --------------------------------------------------------------------------------------------------


class _Foremost(type):
    """The type of our data types, for intake to recommend them before the general ones, JSON and HDF5.

    Intake keeps data types in a set, and recommends those whose magic bytes match in that set's order, which
    changes from one process to the next. Sets iterate by the low bits of hashes, so that zero comes first.
    """

    def __hash__(cls) -> int:
        return 0


class _Data(metaclass=_Foremost):
    """What our data types share: they can be shown and saved, and their credentials cannot.

    Reprs, tokens and catalog entries are made of :meth:`shown`, the arguments without credentials. An entry made
    of data keeps the data itself beside that, out of what intake prints and saves, so a catalog still works,
    and pickles, where it was made.
    """

    fields: ClassVar[tuple[str, ...]]
    metadata: dict[str, Any]
    _given: dict[str, Any]  # underscored: intake prints and saves all other attributes

    def _take(self, metadata: dict[str, Any] | None, options: Mapping[str, Any], **given: Any) -> None:
        if unknown := [name for name in options if name not in self.fields]:
            raise OptionError(_no_option(type(self).__name__, unknown[0], self.fields))
        self.metadata = metadata or {}
        self._given = {
            name: value for name, value in {**given, **options}.items() if value is not None and value != {}
        }

    @property
    def url(self) -> Any:
        """Where it is, as it was given."""
        return self._given.get("url")

    @property
    def storage_options(self) -> Any:
        """Options of fsspec, as they were given."""
        return self._given.get("storage_options")

    def shown(self) -> dict[str, Any]:
        """Return the arguments that make this data, without those that were not given, and without credentials."""
        return {name: _presentable(value, name) for name, value in self._given.items()}

    def but(self, **changes: Any) -> Any:
        """Return this data with other arguments."""
        make: type[Any] = type(self)
        return make(**{**self._given, **changes}, metadata=self.metadata) if changes else self

    def to_entry(self) -> DataDescription:
        """Return the description that intake keeps in catalogs."""
        entry = _DataEntry(
            f"{type(self).__module__}:{type(self).__name__}", self._entry_arguments(), self.metadata
        )
        entry._data = self
        return entry

    def to_dict(self) -> dict[str, Any]:
        """Return what intake prints, and compares data by."""
        return self.shown()

    def _dic_for_comp(self) -> dict[str, Any]:
        return self.shown()

    def _entry_arguments(self) -> dict[str, Any]:
        """Return the arguments as a catalog has them, where intake reads braces as templates."""
        return {
            name: value if name == "storage_options" else _without_templates(value)
            for name, value in self.shown().items()
        }

    def changes_in(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Return which of an entry's arguments are not those that this data has given it."""
        given = self._entry_arguments()
        return {name: value for name, value in arguments.items() if name not in given or value != given[name]}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in self.shown().items())})"


class _OfManifest(_Data):
    """What is known of a manifest's place; see :class:`CohortManifest`."""

    _made: CohortCollection | None = None

    @property
    def collection(self) -> CohortCollection:
        """The cohorts of the manifest; made at first use, and the manifest is read at its first use."""
        if self._made is None:
            from intake_tcga.cohorts.collection import CohortCollection

            options = {name: value for name, value in self._given.items() if name in _COLLECTION_OPTIONS}
            self._made = CohortCollection(
                urlpath=self.url, storage_options=_filled_in(self.storage_options or {}), **options
            )
        return self._made


class CohortManifest(_OfManifest, JSONFile):  # type: ignore[misc]
    """A manifest of cohorts, wherever fsspec finds it.

    ``intake.recommend(url)`` names this type first for a manifest, by its content, or by a file name like
    ``manifest.json`` where the content is not read. Two data types are equal when all that may be shown of them
    is.

    Parameters
    ----------
    url : str
        ``mirna``, ``rnaseq``, or the URL of a manifest.
    storage_options : dict, optional
        Options of fsspec, for the URL's protocol or keyed by protocol. A value like ``"{env(TOKEN)}"`` or
        ``"Bearer {env(TOKEN)}"`` is read from the environment, and is saved as it is; credentials written out
        are used, and neither shown nor saved.
    metadata : dict, optional
        Anything to keep with it.
    **options
        ``modality``, ``version``, ``offline``, ``allow_other_hosts``, ``cache_storage``, ``verify``,
        ``progress``, as in :class:`~intake_tcga.cohorts.collection.CohortCollection`.

    Examples
    --------
    >>> import intake
    >>> intake.recommend(sample_manifest)[0].__name__
    'CohortManifest'
    >>> list(CohortManifest(sample_manifest, offline=True).to_reader())
    ['PRAD']
    """

    fields = ("url", "storage_options", *_COLLECTION_OPTIONS)
    structure: ClassVar[set[str]] = {"catalog"}
    mimetypes = ""  # not JSONFile's: not every JSON document is a manifest
    filepattern = r"^.*manifest[^/]*\.json$"  # from the start: intake prefers what matches earliest
    magic: ClassVar[set[Any]] = {(None, rb'"dataset_name"\s*:')}

    def __init__(
        self,
        url: str = "mirna",
        storage_options: Mapping[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
        **options: Any,
    ) -> None:
        self._take(metadata, options, url=url, storage_options=storage_options)


class ManifestCohort(_OfManifest, BaseData):  # type: ignore[misc]
    """One cohort of a manifest.

    Parameters
    ----------
    cohort : str
        Full name, or code where only one cohort has it.
    url, storage_options, metadata, **options
        Of the manifest, as in :class:`CohortManifest`.

    Examples
    --------
    >>> ManifestCohort("PRAD", "https://me:secret@host/manifest.json").to_reader()
    <CohortReader: PRAD of https://host/manifest.json>
    """

    fields = ("cohort", "url", "storage_options", *_COLLECTION_OPTIONS)
    structure: ClassVar[set[str]] = {"array"}

    def __init__(
        self,
        cohort: str,
        url: str | None = None,
        storage_options: Mapping[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
        **options: Any,
    ) -> None:
        self._take(metadata, options, cohort=cohort, url=url, storage_options=storage_options)

    @property
    def cohort(self) -> str:
        """The cohort's name, as it was given."""
        return str(self._given["cohort"])


class CohortFile(_Data, HDF5):  # type: ignore[misc]
    """A cohort's file, local or remote.

    ``intake.recommend(url)`` names this type first for such a file, by its content, or by where it is: among the
    published releases or in a cache's ``tcga`` folder.

    Parameters
    ----------
    url : str
        Path or URL; chains such as ``filecache::https://…`` are honoured.
    storage_options : dict, optional
        Options of fsspec; credentials as in :class:`CohortManifest`.
    metadata : dict, optional
        Anything to keep with it.
    """

    fields = ("url", "storage_options")
    path = ""  # what HDF5's own readers look for: the whole file
    structure: ClassVar[set[str]] = {"array", "hierarchy"}
    mimetypes = ""
    filepattern = r"^.*(/syng-bts/releases/download/|/tcga/(mirna|rnaseq)/)[^/]+/(.*/)?[^/]+\.h5$"
    magic: ClassVar[set[Any]] = {(None, rb"clinical_variable\0")}  # an attribute's name, as HDF5 writes it

    def __init__(
        self,
        url: str,
        storage_options: Mapping[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        self._take(metadata, {}, url=url, storage_options=storage_options)

    def local_path(self) -> str:
        """Return the path of the file on this machine; a remote one is fetched into the cache."""
        from fsspec import open_local
        from fsspec.core import split_protocol

        from intake_tcga.transfer import is_local

        options = _filled_in(self.storage_options or {})
        if "::" in self.url or is_local(self.url):
            return str(open_local(self.url, **options))
        protocol = split_protocol(self.url)[0]
        return str(
            open_local(f"tcgacache::{self.url}", **(options if protocol in options else {protocol: options}))
        )


# -- readers -----------------------------------------------------------------------------------------------------


class _Reader(BaseReader):  # type: ignore[misc]
    """What our readers share: arguments that are checked, and entries that hold no credentials."""

    data_type: ClassVar[type[Any]]
    options: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self,
        data: Any = None,
        *,
        args: Sequence[Any] = (),
        metadata: dict[str, Any] | None = None,
        output_instance: str | None = None,
        **kwargs: Any,
    ) -> None:
        data = args[0] if args and data is None else data
        changes = {name: kwargs.pop(name) for name in self.data_type.fields if name in kwargs}
        if unknown := [name for name in kwargs if name not in self.options]:
            raise OptionError(
                _no_option(type(self).__name__, unknown[0], (*self.options, *self.data_type.fields))
            )
        if isinstance(data, self.data_type):
            data = data.but(**changes)
        elif isinstance(data, BaseData):
            raise OptionError(
                f"{type(self).__name__} reads {self.data_type.__name__}, not {type(data).__name__}; "
                f"give it {self.data_type.__name__}({', '.join(self.data_type.fields[:2])}, …)."
            )
        elif data is not None:
            data = self.data_type(data, **changes)
        else:
            data = self.data_type(**changes)
        chosen = {name: value for name, value in kwargs.items() if value is not None}
        super().__init__(data=data, metadata=metadata, output_instance=output_instance, **chosen)

    def __call__(self, **changes: Any) -> Any:
        """Return this reader with other arguments; unlike intake's own, it keeps the metadata."""
        return type(self)(**{**self.kwargs, **changes}, metadata=self.metadata)

    def to_entry(self) -> ReaderDescription:
        """Return the description that intake keeps in catalogs."""
        chosen = {name: _without_templates(value) for name, value in self.kwargs.items() if name != "data"}
        entry = _ReaderEntry(
            reader=self.qname(),
            kwargs={**self.data._entry_arguments(), **chosen},
            output_instance=self.output_instance,
            metadata=self.metadata,
        )
        entry._data = self.data
        return entry

    def to_dict(self) -> dict[str, Any]:
        """Return what intake prints, and compares readers by."""
        chosen = {name: value for name, value in self.kwargs.items() if name != "data"}
        return {
            "kwargs": {**self.data.shown(), **chosen},
            "output_instance": self.output_instance,
            "metadata": self.metadata,
        }

    def __getattr__(self, item: str) -> Any:
        # Python, dask and IPython ask any object for private names; intake would answer by importing, or by reading.
        if item.startswith("_"):
            raise AttributeError(item)
        return super().__getattr__(item)


class CohortCatalogReader(_Reader):
    """The cohorts of a manifest, as an intake V2 catalog.

    It is a mapping itself: ``list(reader)``, ``reader["BRCA"]``, ``reader.BRCA``. The manifest is read once, at
    the first question about it; making a reader, or listing the catalog it is in, reads nothing.

    Parameters
    ----------
    data : CohortManifest or str
        The manifest, or its URL, or ``mirna`` or ``rnaseq``.
    metadata : dict, optional
        Anything to keep with it.
    **options
        Those of :class:`CohortManifest`.

    Examples
    --------
    >>> cat = CohortCatalogReader(sample_manifest, offline=True)
    >>> list(cat)
    ['PRAD']
    >>> cat.PRAD(normalization="TC").to_dask()["real"].dims
    ('sample', 'feature')
    >>> list(cat.search("prostate", n_samples=lambda n: n > 50))
    ['PRAD']
    """

    implements: ClassVar[set[type]] = {CohortManifest}
    data_type = CohortManifest
    output_instance = "intake.readers.entry:Catalog"

    def read(self, **changes: Any) -> Catalog:
        """Return the catalog; always the same one, unless other arguments are given."""
        if changes:
            return self(**changes).read()
        if "_catalog" not in vars(self):
            self._catalog = self._read(self.data)
        return self._catalog

    def _read(self, data: CohortManifest) -> Catalog:
        """Read the manifest and return its cohorts as a catalog."""
        return to_v2(data.collection, storage_options=data.storage_options)

    def search(self, text: str | re.Pattern[str] | None = None, **facets: Any) -> Catalog:
        """Return the catalog of the cohorts that have a text in any field, and match every facet.

        Parameters
        ----------
        text : str or compiled pattern, optional
            Found in any field, whatever its case: names, cancer types, clinical variables, groups, …
        **facets
            A field with what it must be: a value, a list of values, a compiled pattern, or a function.

        Raises
        ------
        OptionError
            A facet does not exist; the message lists those that do.
        """
        found = {cohort.name for cohort in self.data.collection.search(text, **facets)}
        names = [name for name in self.keys() if self.data.collection.cohort(name).name in found]
        return to_v2(self.data.collection, names=names, storage_options=self.data.storage_options)

    def keys(self) -> list[str]:
        """List the cohorts: codes, and full names where a code is not unique."""
        return list(self.data.collection.names())

    def __getitem__(self, item: str | int) -> Any:
        """Return the reader of a cohort, by code or full name."""
        # Counting up is how Python iterates over what has no __iter__. With one, intake would take this reader,
        # wherever it meets it inside an entry or a pipeline, for a list, and make it anew of its items.
        if isinstance(item, int):
            return self.keys()[item]
        return self.read()[self.data.collection.cohort(item).name]

    def __contains__(self, item: object) -> bool:
        try:
            return isinstance(item, str) and bool(self.data.collection.cohort(item))
        except NameNotFoundError:
            return False

    def __len__(self) -> int:
        return len(self.keys())

    def __bool__(self) -> bool:
        return True  # without this, whether a reader is true would be asked of its manifest

    def __getattr__(self, item: str) -> Any:
        if item.startswith("_"):
            raise AttributeError(item)
        try:
            return self[item]
        except NameNotFoundError as error:
            raise AttributeError(
                f"A {type(self).__name__} has no attribute or cohort {item!r}: {error}"
            ) from error

    def __dir__(self) -> list[str]:
        return sorted({*object.__dir__(self), *self._ipython_key_completions_()})

    def _ipython_key_completions_(self) -> list[str]:
        try:
            return self.keys()
        except IntakeTcgaError:  # completing a name must not fail where listing does
            return []

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: the cohorts of {_shown_place(self.data)}>"


class _DatasetReader(_Reader):
    """What the readers of Datasets share; ``_open`` is all that differs."""

    options = ("normalization", "model", "off_aug", "chunks")
    imports: ClassVar[set[str]] = {"xarray"}
    output_instance = "xarray:Dataset"

    def read(self, **changes: Any) -> xr.Dataset:
        """Return the Dataset in memory.

        Parameters
        ----------
        **changes
            Options and arguments that shall differ from this reader's.
        """
        reader = self(**changes) if changes else self
        dataset: xr.Dataset = reader._read(**reader.kwargs)
        return dataset

    def to_dask(self, **changes: Any) -> xr.Dataset:
        """Return the Dataset with dask arrays, chunked as ``chunks`` says, by default as the file is."""
        reader = self(**changes)
        chunks = reader.kwargs.get("chunks")
        return reader._open({} if chunks is None else chunks)  # type: ignore[no-any-return]

    def discover(self, **changes: Any) -> xr.Dataset:
        """Return the Dataset with no matrix read: its dimensions, labels and attributes are there, values are lazy."""
        return self(**changes)._open(None)  # type: ignore[no-any-return]

    def _read(
        self,
        data: Any,
        normalization: Narrowing = None,
        model: Narrowing = None,
        off_aug: Narrowing = None,
        chunks: Any = None,
    ) -> xr.Dataset:
        """Open the cohort, narrowed to the options, and load it."""
        from intake_tcga.cohorts.dataset import in_memory

        with self._open(None) as dataset:
            return in_memory(dataset)

    def _open(self, chunks: Any) -> xr.Dataset:
        raise NotImplementedError

    def _narrowing(self) -> dict[str, Any]:
        return {name: self.kwargs.get(name) for name in ("normalization", "model", "off_aug")}

    def _shown_options(self) -> str:
        chosen = ", ".join(f"{name}={value!r}" for name, value in self.kwargs.items() if name in self.options)
        return f": {chosen}" if chosen else ""


class CohortReader(_DatasetReader):
    """One cohort of a manifest, as an xarray Dataset; fetched, verified and cached at first use.

    Calling a reader gives another one with other options: ``reader(normalization="TC")``. A reader pickles; on a
    worker of ``dask.distributed`` it fetches for itself.

    Parameters
    ----------
    data : ManifestCohort or str
        The cohort, or its name, with ``url`` and the other arguments of :class:`ManifestCohort`.
    normalization, model, off_aug : str, sequence of str, or None
        Narrow the Dataset: a label selects it (its dimension becomes a scalar coordinate), several keep them.
    chunks : optional
        Dask chunks of :meth:`to_dask`; None is ``{}``, the file's own.
    metadata : dict, optional
        Anything to keep with it.

    Raises
    ------
    OptionError
        An option is unknown; or, when it is read, has a value that the cohort does not have.

    Examples
    --------
    >>> reader = CohortReader("PRAD", url=sample_manifest, offline=True)
    >>> reader(normalization="TC", model="CVAE1_5").read()["synthetic"].dims
    ('synthetic_sample', 'feature')
    """

    implements: ClassVar[set[type]] = {ManifestCohort}
    data_type = ManifestCohort

    def to_datatree(self) -> xr.DataTree:
        """Return a lazy DataTree that mirrors the groups of the cohort's file."""
        tree: xr.DataTree = self.data.collection.open_tree(self.data.cohort, chunks=self.kwargs.get("chunks"))
        return tree

    def local_path(self) -> str:
        """Return the path of the cohort's verified file on this machine."""
        return str(self.data.collection.fetch(self.data.cohort))

    def _open(self, chunks: Any) -> xr.Dataset:
        dataset: xr.Dataset = self.data.collection.open(self.data.cohort, chunks=chunks, **self._narrowing())
        return dataset

    def __repr__(self) -> str:
        place = _shown_place(self.data)
        return f"<{type(self).__name__}: {self.data.cohort} of {place}{self._shown_options()}>"


class CohortFileReader(_DatasetReader):
    """A cohort's file, as an xarray Dataset.

    A file has no digest to be verified by; read cohorts through their manifest where there is one.

    Parameters
    ----------
    data : CohortFile or str
        The file, or its path or URL.
    normalization, model, off_aug, chunks, metadata
        As in :class:`CohortReader`.

    Examples
    --------
    >>> file = sample_manifest.replace("manifest.json", "PRAD_sample_type.h5")
    >>> CohortFileReader(file, normalization="TC").discover()["real"].dims
    ('sample', 'feature')
    """

    implements: ClassVar[set[type]] = {CohortFile}
    data_type = CohortFile

    def _open(self, chunks: Any) -> xr.Dataset:
        from intake_tcga.cohorts.dataset import open_dataset

        return open_dataset(self.data.local_path(), chunks=chunks, **self._narrowing())

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {_shown_place(self.data)}{self._shown_options()}>"


# -- catalogs ----------------------------------------------------------------------------------------------------


def to_v2(
    collection: CohortCollection,
    *,
    names: Iterable[str] | None = None,
    storage_options: Mapping[str, Any] | None = None,
    **options: Any,
) -> Catalog:
    """Return cohorts as an intake V2 catalog, which reopens by itself once it is saved.

    Cohorts answer to the names they are listed by, and to their full names. Each entry has the manifest's fields
    as its metadata. Credentials are used as long as the catalog lives, and not saved.

    Parameters
    ----------
    collection : CohortCollection
        Whose cohorts; its manifest is read.
    names : iterable of str, optional
        The cohorts, by the names they shall be listed by; None is all of them.
    storage_options : mapping, optional
        What the catalog shall save as these, instead of the collection's own without credentials: values like
        ``"Bearer {env(TOKEN)}"`` are read from the environment when the catalog is used.
    **options
        Options of :class:`CohortReader` for every entry: ``normalization``, ``model``, ``off_aug``, ``chunks``.

    Raises
    ------
    NameNotFoundError, OptionError
        A name or an option does not exist; the message lists those that do.
    TransferError, ManifestError
        The manifest could not be fetched, or not be used.

    Examples
    --------
    >>> from intake_tcga.cohorts.sample import sample_collection
    >>> cat = to_v2(sample_collection())
    >>> list(cat)
    ['PRAD']
    >>> cat["PRAD"].metadata["cancer_name"]
    'Prostate Adenocarcinoma'
    """
    from intake_tcga.cohorts.table import describe
    from intake_tcga.remote import redact

    manifest = collection.manifest
    place = _arguments(collection)
    if storage_options is not None:
        place["storage_options"] = storage_options
    catalog = Catalog(metadata={"manifest": redact(manifest.url), "version": manifest.version})
    for name in collection.names() if names is None else names:
        cohort = collection.cohort(name)
        data = ManifestCohort(cohort.name, **place)
        data._made = collection
        summary = f"{cohort.cancer_name}: {cohort.n_samples} samples × {cohort.n_features} features"
        reader = CohortReader(data, metadata={"description": summary, **describe(cohort)}, **options)
        catalog.add_entry(reader, name=cohort.name)
        catalog.aliases[name] = cohort.name  # what intake lists
    return catalog


class CohortSearch(SearchBase):  # type: ignore[misc]
    """A search over the names and metadata of entries, for ``search`` of any intake V2 catalog of cohorts.

    Intake's own search for a text sees neither. Terms combine: ``a & b``, ``a | b``, ``~a``.

    Parameters
    ----------
    text : str or compiled pattern, optional
        Found in any field, whatever its case.
    **facets
        A field with what it must be: a value, a list of values, a compiled pattern, or a function; what has no
        such field matches None alone.

    Examples
    --------
    >>> from intake_tcga.cohorts.sample import sample_collection
    >>> cat = to_v2(sample_collection())
    >>> list(cat.search(CohortSearch("prostate", n_samples=lambda n: n > 50)))
    ['PRAD']
    >>> list(cat.search(~CohortSearch(cancer_type=["PRAD", "OV"])))
    []
    """

    def __init__(self, text: str | re.Pattern[str] | None = None, **facets: Any) -> None:
        self.text = text
        self.facets = facets

    def filter(self, entry: ReaderDescription) -> bool:
        """Tell whether an entry matches."""
        from intake_tcga.cohorts.table import row_matches

        return row_matches({"entry": entry.token, **entry.metadata}, self.text, **self.facets)

    def __invert__(self) -> Not:
        return Not(self)  # intake's own has __inv__, which Python never calls


class _DataEntry(DataDescription):  # type: ignore[misc]
    """A description of data, with the data itself; intake saves no underscored attribute."""

    _data: Any = None

    def to_data(self, user_parameters: Mapping[str, Any] | None = None, **kwargs: Any) -> Any:
        changes = DataDescription(
            self.datatype, self._data.changes_in(self.kwargs), None, self.user_parameters
        )
        return self._data.but(**changes.get_kwargs(user_parameters=user_parameters, **kwargs))


class _ReaderEntry(ReaderDescription):  # type: ignore[misc]
    """A description of a reader, with the data that it reads; intake saves no underscored attribute."""

    _data: Any = None

    def to_reader(self, user_parameters: Mapping[str, Any] | None = None, **kwargs: Any) -> Any:
        changes = ReaderDescription(
            self.reader,
            self._data.changes_in(self.kwargs),
            self.user_parameters,
            self.metadata,
            self.output_instance,
        )
        return changes.to_reader(user_parameters, **{"data": self._data, **kwargs})


# -- what is shown and saved -------------------------------------------------------------------------------------


def _arguments(collection: CohortCollection) -> dict[str, Any]:
    """Return the arguments that make a collection, as far as they are not the defaults."""
    from intake_tcga.cohorts.bundles import BUNDLES
    from intake_tcga.cohorts.collection import CohortCollection

    default = CohortCollection()
    url = collection.manifest.url  # absolute, so that the catalog opens from any folder
    bundle = next((bundle.name for bundle in BUNDLES.values() if bundle.url == url), url)
    options = {name: getattr(collection, name) for name in _COLLECTION_OPTIONS}
    return {
        "url": bundle,
        "storage_options": collection.storage_options,
        **{name: value for name, value in options.items() if value != getattr(default, name)},
    }


def _presentable(value: Any, name: str) -> Any:
    from intake_tcga.remote import redact, without_credentials

    if name == "url":
        return redact(str(value))
    if name == "storage_options":
        return without_credentials(value)
    if isinstance(value, list | tuple):
        return [_presentable(item, "") for item in value]
    return value if isinstance(value, str | int | float) else str(value)


def _without_templates(value: Any) -> Any:
    """Double the braces in texts, which intake would fill in: a manifest's names may hold any."""
    if isinstance(value, str):
        return value.replace("{", "{{").replace("}", "}}")
    if isinstance(value, list | tuple):
        return [_without_templates(item) for item in value]
    if isinstance(value, Mapping):
        return {key: _without_templates(item) for key, item in value.items()}
    return value


def _filled_in(value: Any) -> Any:
    """Read ``{env(X)}`` from the environment, as intake does in catalogs."""
    from intake_tcga.remote import TEMPLATE

    if isinstance(value, Mapping):
        return {name: _filled_in(item) for name, item in value.items()}
    if isinstance(value, str) and TEMPLATE.fullmatch(value):
        return set_values({}, {"value": value})["value"]
    return value


def _shown_place(data: Any) -> str:
    shown: str = data.shown().get("url") or data.shown().get("modality") or "mirna"
    return shown


def _no_option(reader: str, name: str, known: Iterable[str]) -> str:
    return f"{reader} has no option {name!r}; it has {', '.join(known)}."

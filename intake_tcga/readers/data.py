"""What is read: manifests, cohorts of manifests, and cohort files; shown and saved without credentials."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from intake.readers.datatypes import HDF5, BaseData, JSONFile
from intake.readers.entry import DataDescription
from intake.readers.user_parameters import set_values

from intake_tcga.errors import OptionError

if TYPE_CHECKING:
    from intake_tcga.cohorts.collection import CohortCollection

COLLECTION_OPTIONS = (
    "modality",
    "version",
    "offline",
    "allow_other_hosts",
    "cache_storage",
    "verify",
    "progress",
)


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
            raise OptionError(no_option(type(self).__name__, unknown[0], self.fields))
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
            name: value if name == "storage_options" else without_templates(value)
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

            options = {name: value for name, value in self._given.items() if name in COLLECTION_OPTIONS}
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

    fields = ("url", "storage_options", *COLLECTION_OPTIONS)
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

    fields = ("cohort", "url", "storage_options", *COLLECTION_OPTIONS)
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


class _DataEntry(DataDescription):  # type: ignore[misc]
    """A description of data, with the data itself; intake saves no underscored attribute."""

    _data: Any = None

    def to_data(self, user_parameters: Mapping[str, Any] | None = None, **kwargs: Any) -> Any:
        changes = DataDescription(
            self.datatype, self._data.changes_in(self.kwargs), None, self.user_parameters
        )
        return self._data.but(**changes.get_kwargs(user_parameters=user_parameters, **kwargs))


def _presentable(value: Any, name: str) -> Any:
    from intake_tcga.remote import redact, without_credentials

    if name == "url":
        return redact(str(value))
    if name == "storage_options":
        return without_credentials(value)
    if isinstance(value, list | tuple):
        return [_presentable(item, "") for item in value]
    return value if isinstance(value, str | int | float) else str(value)


def without_templates(value: Any) -> Any:
    """Double the braces in texts, which intake would fill in: a manifest's names may hold any."""
    if isinstance(value, str):
        return value.replace("{", "{{").replace("}", "}}")
    if isinstance(value, list | tuple):
        return [without_templates(item) for item in value]
    if isinstance(value, Mapping):
        return {key: without_templates(item) for key, item in value.items()}
    return value


def _filled_in(value: Any) -> Any:
    """Read ``{env(X)}`` from the environment, as intake does in catalogs."""
    from intake_tcga.remote import TEMPLATE

    if isinstance(value, Mapping):
        return {name: _filled_in(item) for name, item in value.items()}
    if isinstance(value, str) and TEMPLATE.fullmatch(value):
        return set_values({}, {"value": value})["value"]
    return value


def shown_place(data: Any) -> str:
    """Return where data is, fit to be shown."""
    shown: str = data.shown().get("url") or data.shown().get("modality") or "mirna"
    return shown


def no_option(reader: str, name: str, known: Iterable[str]) -> str:
    """Return the sentence about an option that does not exist."""
    return f"{reader} has no option {name!r}; it has {', '.join(known)}."

"""Manifests, cohorts of manifests, and cohort files, as intake V2 data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from intake.readers.datatypes import HDF5, BaseData, JSONFile

from intake_tcga.readers.data import Data, OfCollection, filled_in

COLLECTION_OPTIONS = (
    "modality",
    "version",
    "offline",
    "allow_other_hosts",
    "cache_storage",
    "verify",
    "progress",
)
"""Arguments that every data of a manifest takes, beside its place."""


class _OfManifest(OfCollection):
    """What is known of a manifest's place; see :class:`CohortManifest`."""

    options = COLLECTION_OPTIONS

    def _make_collection(self, options: dict[str, Any]) -> Any:
        from intake_tcga.cohorts.collection import CohortCollection

        return CohortCollection(
            urlpath=self.url, storage_options=filled_in(self.storage_options or {}), **options
        )


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


class CohortFile(Data, HDF5):  # type: ignore[misc]
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

    def local_path(self) -> str:
        """Return the path of the file on this machine; a remote one is fetched into the cache."""
        from fsspec import open_local
        from fsspec.core import split_protocol

        from intake_tcga.transfer import is_local

        options = filled_in(self.storage_options or {})
        if "::" in self.url or is_local(self.url):
            return str(open_local(self.url, **options))
        protocol = split_protocol(self.url)[0]
        return str(
            open_local(f"tcgacache::{self.url}", **(options if protocol in options else {protocol: options}))
        )

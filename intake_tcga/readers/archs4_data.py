"""ARCHS4's files, and the list of those it publishes, as intake V2 data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from intake.readers.datatypes import HDF5, BaseData

from intake_tcga.readers.data import OfCollection, filled_in

ARCHS4_OPTIONS = ("offline", "cache_storage", "verify", "progress")
"""Arguments that all data of ARCHS4 take: how files are reached."""


class _OfArchs4(OfCollection):
    """How ARCHS4's files are reached."""

    options = ARCHS4_OPTIONS

    def _make_collection(self, options: dict[str, Any]) -> Any:
        from intake_tcga.archs4.collection import Archs4Collection

        return Archs4Collection.of(storage_options=filled_in(self.storage_options or {}), **options)


class Archs4File(_OfArchs4, HDF5):  # type: ignore[misc]
    """One file of ARCHS4, published or not.

    ``intake.recommend(url)`` names this type first for such a file, by its content, or by a file name like
    ``human_gene_v2.5.h5``.

    Parameters
    ----------
    url : str
        A release (``human_gene_v2.5``), a path, or any URL that fsspec opens.
    storage_options : dict, optional
        Options of fsspec; credentials as in :class:`CohortManifest`.
    metadata : dict, optional
        Anything to keep with it.
    **options
        ``offline``, ``cache_storage``, ``verify``, ``progress``, as in
        :class:`~intake_tcga.archs4.collection.Archs4Collection`.

    Examples
    --------
    >>> import intake
    >>> intake.recommend("https://host/archs4/human_gene_v2.5.h5", head=False)[0].__name__
    'Archs4File'
    >>> Archs4File("human_gene_v2.5").to_reader()
    <Archs4Reader: human_gene_v2.5>
    """

    fields = ("url", "storage_options", *ARCHS4_OPTIONS)
    path = ""  # what HDF5's own readers look for: the whole file
    structure: ClassVar[set[str]] = {"array", "hierarchy"}
    mimetypes = ""
    filepattern = (
        r"^(.*/)?(archs4_(gene|transcript|tpm)_(human|mouse)_v[\d.]+"
        r"|(human|mouse)_(gene|transcript|tpm|matrix)_(v[\d.]*(latest)?|latest))\.h5$"
    )
    magic: ClassVar[set[Any]] = {
        # The names of the root's members, as HDF5 has them near a file's beginning, padded to eight bytes.
        (
            None,
            rb"\A\x89HDF[\s\S]{0,2048}?(data\0{4}meta\0{4}|meta\0{4}data\0{4}|data\0{4}info\0{4}meta\0{4})",
        ),
        (None, rb"\A\x89HDF[\s\S]*?expression\0[\s\S]*?geo_accession"),
    }


class Archs4Releases(_OfArchs4, BaseData):  # type: ignore[misc]
    """The files that ARCHS4 publishes; nobody is asked for their list.

    Parameters
    ----------
    storage_options, metadata, **options
        As in :class:`Archs4File`.

    Examples
    --------
    >>> "human_gene_v2.5" in Archs4Releases().to_reader()
    True
    """

    fields = ("storage_options", *ARCHS4_OPTIONS)
    structure: ClassVar[set[str]] = {"catalog"}

    def __init__(
        self,
        storage_options: Mapping[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
        **options: Any,
    ) -> None:
        self._take(metadata, options, storage_options=storage_options)

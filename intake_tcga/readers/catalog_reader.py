"""Catalogs that are read: mappings of their entries, listed by name and read at the first question."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from intake.readers.entry import Catalog

from intake_tcga.errors import IntakeTcgaError, NameNotFoundError
from intake_tcga.readers.checked import CheckedReader
from intake_tcga.readers.data import shown_place


class CatalogReader(CheckedReader):
    """What the readers of catalogs share: each is a mapping itself, and reads nothing until it is asked.

    ``_names``, ``_find`` and ``_made_of`` are what differs.
    """

    output_instance = "intake.readers.entry:Catalog"

    def read(self, **changes: Any) -> Catalog:
        """Return the catalog; always the same one, unless other arguments are given."""
        if changes:
            return self(**changes).read()
        if "_catalog" not in vars(self):
            self._catalog = self._read(self.data)
        return self._catalog

    def _read(self, data: Any) -> Catalog:
        """List what there is, and return it as a catalog."""
        return self._made_of(None)

    def _names(self) -> list[str]:
        """List the entries by name."""
        raise NotImplementedError

    def _find(self, name: str) -> str:
        """Return what an entry is kept as, by any of its names."""
        raise NotImplementedError

    def _made_of(self, names: Iterable[str] | None) -> Catalog:
        """Return a catalog of some entries, or of all."""
        raise NotImplementedError

    def search(self, text: str | re.Pattern[str] | None = None, **facets: Any) -> Catalog:
        """Return the catalog of the entries that have a text in any field, and match every facet.

        Parameters
        ----------
        text : str or compiled pattern, optional
            Found in any field, whatever its case.
        **facets
            A field with what it must be: a value, a list of values, a compiled pattern, or a function.

        Raises
        ------
        OptionError
            A facet does not exist; the message lists those that do.
        """
        raise NotImplementedError

    def keys(self) -> list[str]:
        """List the entries by name."""
        return self._names()

    def __getitem__(self, item: str | int) -> Any:
        """Return the reader of an entry, by any of its names."""
        # Counting up is how Python iterates over what has no __iter__. With one, intake would take this reader,
        # wherever it meets it inside an entry or a pipeline, for a list, and make it anew of its items.
        if isinstance(item, int):
            return self.keys()[item]
        return self._made_of([item])[self._find(item)]

    def __contains__(self, item: object) -> bool:
        try:
            return isinstance(item, str) and bool(self._find(item))
        except NameNotFoundError:
            return False

    def __len__(self) -> int:
        return len(self.keys())

    def __bool__(self) -> bool:
        return True  # without this, whether a reader is true would be asked of what it lists

    def __getattr__(self, item: str) -> Any:
        if item.startswith("_"):
            raise AttributeError(item)
        try:
            return self[item]
        except NameNotFoundError as error:
            raise AttributeError(
                f"A {type(self).__name__} has no attribute or entry {item!r}: {error}"
            ) from error

    def __dir__(self) -> list[str]:
        return sorted({*object.__dir__(self), *self._ipython_key_completions_()})

    def _ipython_key_completions_(self) -> list[str]:
        try:
            return self.keys()
        except IntakeTcgaError:  # completing a name must not fail where listing does
            return []

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self._what()}>"

    def _what(self) -> str:
        return shown_place(self.data)


def catalog_of(
    readers: Mapping[str, Any],
    *,
    keys: Mapping[str, str] | None = None,
    metadata: dict[str, Any] | None = None,
) -> Catalog:
    """Return a catalog of readers, by the names that it shall list.

    Parameters
    ----------
    readers : mapping of str to reader
        By the names they shall be listed by.
    keys : mapping of str to str, optional
        By the same names, others that they shall answer to as well.
    metadata : dict, optional
        Of the catalog.
    """
    catalog = Catalog(metadata=metadata)
    for name, reader in readers.items():
        # Intake lists aliases alone, and makes none of an entry's own name.
        catalog.aliases[name] = catalog.add_entry(reader, name=(keys or {}).get(name, name))
    return catalog

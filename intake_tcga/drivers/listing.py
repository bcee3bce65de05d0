"""What the catalogs of all sources share: entries made when asked for, and errors that name what exists."""

from __future__ import annotations

import inspect
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from html import escape
from typing import TYPE_CHECKING, Any, ClassVar, Self

from intake.catalog.base import Catalog
from intake.catalog.local import LocalCatalogEntry, UserParameter
from intake.source.base import DataSource

from intake_tcga.drivers.saving import entry_as_dict, saved_arguments, yaml_text
from intake_tcga.errors import IntakeTcgaError, NameNotFoundError
from intake_tcga.facets import no_such
from intake_tcga.facts import html_facts
from intake_tcga.option_names import check_option_names

if TYPE_CHECKING:
    import pandas as pd

_INTAKES_OWN = set(inspect.signature(Catalog.__init__).parameters)


class ListedEntry(LocalCatalogEntry):  # type: ignore[misc]
    """A catalog's entry: its metadata, and the source that it makes.

    Parameters
    ----------
    catalog : ListingCatalog
        The catalog it is in.
    key : str
        The name it is listed by.
    source : type
        The driver of its data.
    description : str
        One line.
    arguments, metadata : mapping
        What the source is made with, and what is known of it.
    parameters : iterable of UserParameter
        Options whose values are known.
    """

    def __init__(
        self,
        catalog: ListingCatalog,
        key: str,
        *,
        source: type[DataSource],
        description: str,
        arguments: Mapping[str, Any],
        metadata: Mapping[str, Any],
        parameters: Iterable[UserParameter] = (),
    ) -> None:
        self._source = source
        super().__init__(
            name=key,
            description=description,
            driver=source,
            args=dict(arguments),
            parameters=list(parameters),
            metadata=dict(metadata),
            catalog=catalog,
        )

    def describe(self) -> dict[str, Any]:
        """Return what intake shows of an entry, without credentials."""
        return {**super().describe(), "args": saved_arguments(self._open_args)}

    _ipython_display_ = None  # intake's hides _repr_html_ from notebooks

    def _repr_html_(self) -> str:
        return html_facts(f"{self._name}: {self._description}", self._metadata)

    def __reduce__(self) -> tuple[Any, ...]:
        # Intake remakes objects from their arguments' states, which a catalog does not survive.
        return _entry_of, (self._catalog, self._name)

    def _create_open_args(self, user_parameters: dict[str, Any]) -> tuple[type[DataSource], dict[str, Any]]:
        """Merge an entry's arguments and the user's, as they are.

        Intake's own merging renders both as jinja templates, which would let a manifest's text read environment
        variables, and warns of shell commands that nobody gave.
        """
        known = list(inspect.signature(self._source.__init__).parameters)[1:]
        check_option_names(user_parameters, known, repr(self._name))
        self._check(user_parameters)
        metadata = {
            key: value for key, value in self._metadata.items() if key != "cached"
        }  # true only just now
        return self._source, {"metadata": metadata, **self._open_args, **user_parameters}

    def _check(self, user_parameters: Mapping[str, Any]) -> None:
        """Refuse values that are known to be wrong before anything is opened."""

    def get(self, **user_parameters: Any) -> DataSource:
        """Return the source, with the user's options."""
        source = super().get(**user_parameters)
        self._share(source, user_parameters)
        return source

    def _share(self, source: DataSource, user_parameters: Mapping[str, Any]) -> None:
        """Give a source what its catalog has read already."""


def _entry_of(catalog: ListingCatalog, key: str) -> ListedEntry:
    return catalog._make_entry(key)


class ListedEntries(Mapping[str, ListedEntry]):
    """The entries of a catalog, made when asked for, so that what was not read stays unread."""

    def __init__(self, catalog: ListingCatalog) -> None:
        self._catalog = catalog

    def __iter__(self) -> Iterator[str]:
        return iter(self._catalog._names())

    def __len__(self) -> int:
        return len(self._catalog._names())

    def __contains__(self, key: object) -> bool:
        try:
            return isinstance(key, str) and bool(self._catalog._find(key))
        except NameNotFoundError:
            return False

    def __getitem__(self, key: str) -> ListedEntry:
        # A new one each time: intake changes entries as it opens them, and "cached" must be today's.
        return self._catalog._make_entry(key)


class ListingCatalog(Catalog):  # type: ignore[misc]
    """What the catalogs of all sources share.

    Making one opens no socket and reads nothing. An entry whose name is also a method's (``cat.name``) is reached
    as ``cat["name"]``.
    """

    container = "catalog"
    driver: ClassVar[str]
    """The name that intake's registry and catalog YAML know it by."""

    positional: ClassVar[tuple[str, ...]] = ()
    """Arguments that may be given by position, in their order."""

    def __init__(self, name: str | None, **kwargs: Any) -> None:
        # ttl=None: intake would otherwise read everything again each minute, and fail when offline.
        super().__init__(name=name or self.driver, **{**kwargs, "ttl": None})

    @staticmethod
    def not_intakes_own(options: Mapping[str, Any]) -> dict[str, Any]:
        """Return the options that intake's own catalog does not take either: misspelt ones."""
        return {name: value for name, value in options.items() if name not in _INTAKES_OWN}

    @abstractmethod
    def _names(self) -> list[str]:
        """List the names of the entries."""

    @abstractmethod
    def _find(self, key: str) -> Any:
        """Return what a name stands for; NameNotFoundError names the nearest and all that exist."""

    @abstractmethod
    def _make_entry(self, key: str) -> ListedEntry:
        """Make an entry."""

    @property
    @abstractmethod
    def df(self) -> pd.DataFrame:
        """One row an entry; opens no file."""

    def _make_entries_container(self) -> Mapping[str, ListedEntry]:
        return ListedEntries(self)

    def __getitem__(self, key: Any) -> Any:
        """Return a source by any of its names."""
        if isinstance(key, str):
            # Names have full stops in them, at which intake would take them apart.
            self._find(key)
            return self._get_entry(key)
        if isinstance(key, list | tuple):  # steps into catalogs of catalogs
            return super().__getitem__(key)
        raise NameNotFoundError(no_such("entry", key, self._names()))

    def get(self, name: str | None = None, /, default: Any = None, **arguments: Any) -> Any:
        """Return the source of a name, or a default where nothing has it, as any mapping does.

        Parameters
        ----------
        name : str, optional
            Any name of an entry. Without one, this is intake's own method, which makes the same catalog anew.
        default : optional
            Returned where no entry has that name.
        **arguments
            Of the catalog that is made anew.
        """
        if name is None:
            return super().get(**arguments)
        check_option_names(arguments, ["default"], "get() by name")
        try:
            return self[name]
        except NameNotFoundError:
            return default

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

    # -- finding -------------------------------------------------------------------------------------------------

    @abstractmethod
    def _narrowed(self, names: list[str]) -> Self:
        """Return the catalog of some of these entries, by the names they are listed by."""

    def filter(self, func: Callable[[ListedEntry], bool]) -> Self:
        """Return the catalog of the entries for which ``func(entry)`` is true."""
        return self._narrowed([key for key, entry in self._entries.items() if func(entry)])

    def unique(self, column: str | None = None) -> Any:
        """Return the distinct values of a column of :attr:`df`, or of all columns in a dict."""
        from intake_tcga.tables import unique_values

        return unique_values(self.df, column)

    def to_dataset_dict(self, **options: Any) -> dict[str, Any]:
        """Open every entry lazily with the same options, as each source takes them; return them by name."""
        return {name: self[name](**options).to_dask() for name in self}

    def _remade(self, **changes: Any) -> Self:
        """Return this catalog made with other arguments."""
        return type(self)(*self._captured_init_args, **{**self._captured_init_kwargs, **changes})

    # -- showing and saving --------------------------------------------------------------------------------------

    def discover(self) -> dict[str, Any]:
        """Return what the catalog is, without reading anything."""
        return {"container": "catalog", "shape": None, "dtype": None, "metadata": self.metadata}

    def _yaml(self) -> dict[str, Any]:
        arguments = {
            **self._captured_init_kwargs,
            **dict(zip(self.positional, self._captured_init_args, strict=False)),
        }
        for intakes_own in ("name", "description", "metadata", "ttl"):
            arguments.pop(intakes_own, None)
        return entry_as_dict(self.name, self.driver, arguments, self.description, self.metadata)

    def yaml(self) -> str:
        """Return a catalog's YAML with one entry that reopens this catalog; credentials are left out."""
        return yaml_text(self._yaml())

    def serialize(self) -> str:
        """Return a catalog's YAML with one entry each; ``save(url)`` writes it, and it reopens by itself."""
        sources: dict[str, Any] = {}
        for name in self:
            sources |= self[name]._yaml()["sources"]
        return yaml_text(
            {
                "name": self.name,
                "description": self.description,
                "metadata": self.metadata,
                "sources": sources,
            }
        )

    _ipython_display_ = None  # intake's hides _repr_html_ from notebooks


def headed(catalog: ListingCatalog, table: str) -> str:
    """Return a catalog's table for a notebook under one line that says what it is."""
    return f"<b>{escape(repr(catalog).strip('<>'))}</b>{table}"

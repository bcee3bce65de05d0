"""What is read, of any kind: shown and saved without credentials, and recommended before the general types."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from intake.readers.entry import DataDescription
from intake.readers.user_parameters import set_values

from intake_tcga.option_names import check_option_names
from intake_tcga.plain_values import without_numpy

_PLACES = ("url", "endpoint", "manifest")
"""Arguments that may be URLs, with credentials in them."""


class _Foremost(type):
    """The type of our data types, for intake to recommend them before the general ones, JSON and HDF5.

    Intake keeps data types in a set, and recommends those whose magic bytes match in that set's order, which
    changes from one process to the next. Sets iterate by the low bits of hashes, so that zero comes first.
    """

    def __hash__(cls) -> int:
        return 0


class Data(metaclass=_Foremost):
    """What our data types share: they can be shown and saved, and their credentials cannot.

    Reprs, tokens and catalog entries are made of :meth:`shown`, the arguments without credentials. An entry made
    of data keeps the data itself beside that, out of what intake prints and saves, so a catalog still works,
    and pickles, where it was made.
    """

    fields: ClassVar[tuple[str, ...]]
    metadata: dict[str, Any]
    _given: dict[str, Any]  # underscored: intake prints and saves all other attributes

    def __init__(
        self,
        url: str,
        storage_options: Mapping[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
        **options: Any,
    ) -> None:
        self._take(metadata, options, url=url, storage_options=storage_options)

    def _take(self, metadata: dict[str, Any] | None, options: Mapping[str, Any], **given: Any) -> None:
        check_option_names(options, self.fields, type(self).__name__)
        self.metadata = metadata or {}
        plain = {name: without_numpy(value) for name, value in {**given, **options}.items()}
        self._given = {name: value for name, value in plain.items() if value is not None and value != {}}

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


class OfCollection(Data):
    """Data that a collection of a room reaches: made at first use, of the arguments that are its options."""

    options: ClassVar[tuple[str, ...]]
    """Arguments that the collection takes under the same names."""

    _made: Any = None

    @property
    def collection(self) -> Any:
        """How the data are reached, as every other way to them does."""
        if self._made is None:
            options = {name: value for name, value in self._given.items() if name in self.options}
            self._made = self._make_collection(options)
        return self._made

    def within(self, collection: Any) -> Any:
        """Take a collection that knows already what would else be asked for; returns this same data."""
        self._made = collection
        return self

    def _make_collection(self, options: dict[str, Any]) -> Any:
        raise NotImplementedError


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

    if name in _PLACES:
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


def filled_in(value: Any) -> Any:
    """Read ``{env(X)}`` from the environment, as intake does in catalogs."""
    from intake_tcga.remote import TEMPLATE

    if isinstance(value, Mapping):
        return {name: filled_in(item) for name, item in value.items()}
    if isinstance(value, str) and TEMPLATE.fullmatch(value):
        return set_values({}, {"value": value})["value"]
    return value


def shown_place(data: Any) -> str:
    """Return where data is, fit to be shown."""
    shown: str = data.shown().get("url") or data.shown().get("modality") or "mirna"
    return shown


def changed_options(collection: Any, default: Any, names: Iterable[str]) -> dict[str, Any]:
    """Return those options of a collection that are not as in one made with none."""
    values = {name: getattr(collection, name) for name in names}
    return {name: value for name, value in values.items() if value != getattr(default, name)}

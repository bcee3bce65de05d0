"""What every reader shares: arguments that are checked, and entries that hold no credentials."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from intake.readers.datatypes import BaseData
from intake.readers.entry import ReaderDescription
from intake.readers.readers import BaseReader

from intake_tcga.errors import OptionError
from intake_tcga.option_names import check_option_names
from intake_tcga.plain_values import check_savable, without_numpy
from intake_tcga.readers.data import without_templates


class CheckedReader(BaseReader):  # type: ignore[misc]
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
        check_option_names(kwargs, (*self.options, *self.data_type.fields), type(self).__name__)
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
        chosen = {name: without_numpy(value) for name, value in kwargs.items() if value is not None}
        super().__init__(data=data, metadata=metadata, output_instance=output_instance, **chosen)

    def __call__(self, **changes: Any) -> Any:
        """Return this reader with other arguments; unlike intake's own, it keeps the metadata."""
        return type(self)(**{**self.kwargs, **changes}, metadata=self.metadata)

    def to_entry(self) -> ReaderDescription:
        """Return the description that intake keeps in catalogs.

        Raises
        ------
        OptionError
            An option is nothing that a catalog has, such as a compiled pattern.
        """
        given = {name: value for name, value in self.kwargs.items() if name != "data"}
        for name, value in given.items():
            check_savable(value, name)
        chosen = {name: without_templates(value) for name, value in given.items()}
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

"""What the readers of Datasets share: in memory, over dask, or lazily."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from intake_tcga.readers.checked import CheckedReader

if TYPE_CHECKING:
    import xarray as xr


class DatasetReader(CheckedReader):
    """What the readers of Datasets share; ``_open`` and ``_load`` are what differs."""

    imports: ClassVar[set[str]] = {"xarray"}
    output_instance = "xarray:Dataset"

    def read(self, **changes: Any) -> xr.Dataset:
        """Return the Dataset in memory; more than the machine's memory holds is an error, before anything is read.

        Parameters
        ----------
        **changes
            Options and arguments that shall differ from this reader's.
        """
        reader = self(**changes) if changes else self
        dataset: xr.Dataset = reader._read(**reader.kwargs)
        return dataset

    def to_dask(self, **changes: Any) -> Any:
        """Return the same over dask arrays, chunked as ``chunks`` says, by default as suits the file."""
        reader = self(**changes)
        chunks = reader.kwargs.get("chunks")
        return reader._open({} if chunks is None else chunks)

    def discover(self, **changes: Any) -> Any:
        """Return the same with nothing read but what describes it: dimensions, labels, attributes."""
        return self(**changes)._open(None)

    def _read(self, data: Any, **options: Any) -> xr.Dataset:
        """Open the data as the options say, and load them."""
        return self._load(self._open(None))

    def _open(self, chunks: Any) -> Any:
        raise NotImplementedError

    def _load(self, opened: Any) -> xr.Dataset:
        raise NotImplementedError

    def _chosen(self, *names: str) -> dict[str, Any]:
        """Return those options that were given, of all or of some."""
        return {name: self.kwargs[name] for name in names or self.options if name in self.kwargs}

    def _what(self) -> str:
        """Say which data these are, without credentials."""
        raise NotImplementedError

    def __repr__(self) -> str:
        chosen = ", ".join(f"{name}={value!r}" for name, value in self._chosen().items())
        return f"<{type(self).__name__}: {self._what()}{': ' if chosen else ''}{chosen}>"

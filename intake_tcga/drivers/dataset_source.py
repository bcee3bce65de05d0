"""What the sources of all kinds share: one partition, YAML that reopens, pickles that stay equal."""

from __future__ import annotations

import inspect
from abc import abstractmethod
from collections.abc import Hashable
from typing import TYPE_CHECKING, Any, ClassVar, Self

from intake.source.base import DataSource, Schema

from intake_tcga.drivers.saving import entry_as_dict, yaml_text
from intake_tcga.errors import OptionError
from intake_tcga.facts import html_facts
from intake_tcga.option_names import check_option_names

if TYPE_CHECKING:
    import xarray as xr


_FOR_MACHINES = {"sha256", "sha1", "md5", "catalog_dir"}  # known of an entry, and nothing to look at


class DatasetSource(DataSource):  # type: ignore[misc]
    """What the sources of all kinds share.

    Making one costs nothing. Calling a source gives another one with other options. Sources pickle; on a worker of
    ``dask.distributed`` a source reads for itself.
    """

    container = "xarray"
    version = "1"
    partition_access = False
    driver: ClassVar[str]
    """The name that intake's registry and catalog YAML know it by."""

    positional: ClassVar[tuple[str, ...]] = ()
    """Arguments that may be given by position, in their order."""

    opens_with: ClassVar[str] = "to_dask(), read()"
    """The methods that open it, for those who look at it."""

    @abstractmethod
    def read(self) -> xr.Dataset:
        """Return the Dataset in memory."""

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        """Refuse options that do not exist, before Python does it in its own words."""
        check_option_names(kwargs, list(inspect.signature(cls.__init__).parameters)[1:], cls.driver)
        source: Self = super().__new__(cls, *args, **kwargs)
        return source

    def read_partition(self, i: int) -> xr.Dataset:
        """Return partition 0, the whole; there is no other."""
        if i != 0:
            raise OptionError(f"{self.name!r} has one partition, not {i + 1}; use to_dask() for its chunks.")
        return self.read()

    def _get_partition(self, _: int) -> xr.Dataset:
        return self.read()

    def __setstate__(self, state: dict[str, Any]) -> None:
        # Intake pickles positional arguments as a list, and then finds a tuple and a list unequal.
        super().__setstate__({**state, "args": tuple(state["args"])})

    def _close(self) -> None:
        """Nothing is held: each Dataset owns its file handle and closes it."""
        self._schema = None

    def _arguments(self) -> dict[str, Any]:
        """Return the arguments that make this source, as a catalog can have them."""
        return {
            **self._captured_init_kwargs,
            **dict(zip(self.positional, self._captured_init_args, strict=False)),
        }

    def _yaml(self) -> dict[str, Any]:
        return entry_as_dict(self.name, self.driver, self._arguments(), self.description, self.metadata)

    def yaml(self) -> str:
        """Return a catalog's YAML with one entry that reopens this source; credentials are left out."""
        return yaml_text(self._yaml())

    _ipython_display_ = None  # intake's hides _repr_html_ from notebooks

    @property
    def known(self) -> dict[str, Any]:
        """What its catalog knew of it, and what is seen of its file now; asks nobody, and opens nothing."""
        try:
            seen = self._seen()
        except Exception:  # noqa: BLE001 - a notebook's display is no place for a traceback; opening it says what is wrong
            seen = {}
        known = {"description": self.description, **(self.metadata or {}), **seen}
        return {name: value for name, value in known.items() if name not in _FOR_MACHINES}

    @abstractmethod
    def _seen(self) -> dict[str, Any]:
        """Return what its collection knows of it without asking anybody."""

    def _repr_html_(self) -> str:
        """Show what it is, what is known of it, and how it is opened; asks nobody."""
        return html_facts(repr(self).strip("<>"), {**self.known, "opens with": self.opens_with})


def schema_of(dataset: xr.Dataset, variable: Hashable) -> Schema:
    """Return what ``discover()`` says of a Dataset, as of its foremost variable; nothing of that is read."""
    foremost = dataset[variable]
    return Schema(
        dtype=str(foremost.dtype),
        shape=foremost.shape,
        npartitions=1,
        extra_metadata={
            "dims": {str(dim): size for dim, size in dataset.sizes.items()},
            "data_vars": {str(name): list(map(str, v.dims)) for name, v in dataset.data_vars.items()},
            "coords": sorted(map(str, dataset.coords)),
        },
    )

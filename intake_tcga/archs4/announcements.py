"""What is said before a large part of a remote ARCHS4 file is read."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial

from intake_tcga.hdf5.file import Hdf5File
from intake_tcga.transfer.large_reads import Prospect, announced


@dataclass(frozen=True, eq=False)
class Announcements:
    """Words for the large reads of one file; of a local one nothing is said."""

    file: Hdf5File
    """What is read."""

    progress: bool | None = None
    """Whether they, and how far a read is, are shown as well as logged; None: on a terminal or in a notebook."""

    release: str | None = None
    """The file's name, if it is a release."""

    def of_values(self, samples: int, features: int, wanted: int) -> AbstractContextManager[None]:
        """Announce values of the matrix.

        Parameters
        ----------
        samples, features
            How many of each.
        wanted
            Bytes that will be fetched, roughly.

        Returns
        -------
        context manager
            To read in.
        """
        return self._announced(f"the values of {samples:,} samples and {features:,} features", wanted)

    def of_field(self, field: str, wanted: int) -> AbstractContextManager[None]:
        """Announce a field of the samples' metadata; as :meth:`of_values`."""
        return self._announced(f"the field {field!r}, which is kept and read this once,", wanted, once=True)

    def _announced(self, what: str, wanted: int, *, once: bool = False) -> AbstractContextManager[None]:
        if self.file.remote is None:
            return nullcontext()
        return announced(
            self.file.remote, wanted, partial(self._sentence, what), once=once, show=self.progress
        )

    def _sentence(self, what: str, prospect: Prospect) -> str:
        path = self.file.path
        if prospect.piecemeal:
            return (
                f"What is read block by block of {path} has come to {prospect}; all of it takes "
                f"{prospect.time_of(prospect.size)}. Where most of it is needed, {self._download}."
            )
        advice = (
            f" It is most of the file: to read it again and again, {self._download}." if prospect.most else ""
        )
        return f"Reading {what} of {path} fetches {prospect}.{advice}"

    @property
    def _download(self) -> str:
        called = f" or download_archs4({self.release!r})" if self.release else ""
        return f"download it first, with download=True{called}"

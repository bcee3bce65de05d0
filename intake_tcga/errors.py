"""Every error that this package raises on purpose.

::

    IntakeTcgaError
    ├── NameNotFoundError (KeyError)         no such cohort, release, slide, field; lists what exists
    │   └── AmbiguousNameError               a short name that several entries answer to
    ├── OptionError (ValueError)             an option's value is wrong; lists the right ones
    ├── ManifestError (ValueError)           a manifest is not usable; lists every problem found
    ├── TransferError (OSError)              bytes could not be fetched
    │   ├── RemoteNotFoundError (FileNotFoundError)   the server says that there is no such file
    │   ├── AccessDeniedError (PermissionError)       the server refuses the credentials, or wants some
    │   └── OfflineError                     a socket was needed and offline mode forbids it
    ├── IntegrityError (OSError)             size or digest is not the expected one; nothing was kept
    ├── CacheError (OSError)                 the cache folder cannot be used: no space, no permission, …
    ├── MissingFileError (FileNotFoundError) a local data file is not where it was said to be, or not any longer
    ├── FileFormatError (OSError)            a data file is damaged or hostile
    │   └── UnsupportedVersionError          a data file of a schema this release does not know
    ├── AlignmentError (RuntimeError)        reads could not be aligned; names each sample with its reason
    └── MissingDependencyError (ImportError) an optional package is absent; the message installs it

And one warning, LastCopyWarning: what could not be asked anew is taken from its last copy.

Each message is one sentence with the value at hand and the next step. Every class takes its message alone, so
that errors cross process borders (``dask.distributed``, ``multiprocessing``) unharmed.
"""

from __future__ import annotations


class IntakeTcgaError(Exception):
    """The base of the family: catch it to catch all of them."""

    def __str__(self) -> str:
        # KeyError shows the repr of its argument, which would quote and escape a whole sentence.
        return str(self.args[0]) if self.args else ""


class NameNotFoundError(IntakeTcgaError, KeyError):
    """A name that nothing answers to; the message lists what exists and the nearest."""


class AmbiguousNameError(NameNotFoundError):
    """A short name that several entries answer to; the message lists them."""


class OptionError(IntakeTcgaError, ValueError):
    """An option has a value it cannot have; the message lists the right ones."""


class ManifestError(IntakeTcgaError, ValueError):
    """A manifest cannot be used; the message lists every problem found in it."""


class TransferError(IntakeTcgaError, OSError):
    """Bytes could not be fetched, after every retry that could have helped."""

    answer: str = ""
    """Of a refusal, what the server said: its status, and the message in its answer if there was one."""


class RemoteNotFoundError(TransferError, FileNotFoundError):
    """The server answered that the file does not exist (404 or 410)."""


class AccessDeniedError(TransferError, PermissionError):
    """The server refused the credentials, or the want of any (401 or 403); asking again would not help."""


class OfflineError(TransferError):
    """A socket was needed, and offline mode forbids sockets."""


class IntegrityError(IntakeTcgaError, OSError):
    """Bytes are not the expected ones, by size or digest; none of them were kept."""


class CacheError(IntakeTcgaError, OSError):
    """The cache folder cannot be used: no space, no permission, a file where a folder should be."""


class MissingFileError(IntakeTcgaError, FileNotFoundError):
    """A local data file is not where it was said to be, or not any longer."""


class FileFormatError(IntakeTcgaError, OSError):
    """A data file is damaged, hostile, or not of the kind that was asked for."""


class UnsupportedVersionError(FileFormatError):
    """A data file of a schema version that this release does not read."""


class AlignmentError(IntakeTcgaError, RuntimeError):
    """The aligner failed, or none of a sample's reads aligned; its numbers, if it wrote any, are not used."""


class MissingDependencyError(IntakeTcgaError, ImportError):
    """An optional package is absent; the message is the command that installs it."""


class LastCopyWarning(UserWarning):
    """A manifest or a service could not be asked, and its last answer is used instead; the message says how old."""

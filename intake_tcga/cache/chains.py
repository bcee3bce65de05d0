"""URLs that a user chained through a cache of fsspec's own (``filecache::``, ``simplecache::``)."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from intake_tcga.errors import CacheError, IntakeTcgaError, OfflineError, RemoteNotFoundError, TransferError
from intake_tcga.remote import RemoteFile
from intake_tcga.transfer import is_local, split_options
from intake_tcga.transfer.options import option_names, wrong_options


def is_user_cache(url: str) -> bool:
    """Tell whether a URL is chained through a cache that keeps whole local files.

    Examples
    --------
    >>> is_user_cache("filecache::https://host/BRCA.h5"), is_user_cache("zip://BRCA.h5::https://host/all.zip")
    (True, False)
    """
    first, chained, _ = url.partition("::")
    return bool(chained) and first.partition("://")[0] in {"filecache", "simplecache", "tcgacache"}


@dataclass(frozen=True)
class UserCache:
    """A cache of fsspec's, opened as its user wrote it."""

    file: RemoteFile
    fs: Any
    path: str
    given: tuple[str, ...] = ()
    """Names of the options that the user gave."""

    @classmethod
    def of(cls, file: RemoteFile, storage_options: Mapping[str, Any] | None) -> UserCache:
        """Open the chain of a file's URL with the user's options."""
        from fsspec import register_implementation
        from fsspec.core import url_to_fs

        options = split_options(file.url, storage_options)
        given = option_names(options)
        if file.url.startswith("tcgacache"):  # ours: tell it what is wanted
            # Also where the package is on the path without being installed, and so without its entry points.
            register_implementation(
                "tcgacache", "intake_tcga.cache.filesystem.VerifiedCacheFileSystem", clobber=True
            )
            known = {
                "digest": str(file.digest) if file.digest else None,
                "size": file.size,
                "name": file.name,
            }
            options["tcgacache"] = {**known, **options.get("tcgacache", {})}
        try:
            fs, path = url_to_fs(file.url, **options)
        except IntakeTcgaError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever its client raises; the text may hold credentials
            if given and isinstance(error, (TypeError, ValueError, AttributeError)):
                raise wrong_options(file.shown_url, given, error) from None
            raise TransferError(
                f"{file.shown_url} cannot be opened ({type(error).__name__}); check it."
            ) from None
        return cls(file, fs, fs._strip_protocol(path), given)

    def local_copy(self, *, offline: bool) -> Path:
        """Return the local file that the chain gives, fetched by it if need be and allowed."""
        if offline and not is_local(self.file.url):
            try:
                return self._copy_on_disk()
            except IntakeTcgaError:
                raise
            except Exception as error:  # noqa: BLE001 - a cache that asks its source whether its copy is still right
                raise OfflineError(
                    f"The copy of {self.file.shown_url} in the cache it is chained through cannot be had offline "
                    f"({type(error).__name__}); give that cache check_files=False, or use the network."
                ) from None
        try:
            with self.fs.open(self.path, "rb") as file:
                return Path(file.name)
        except IntakeTcgaError:
            raise
        except FileNotFoundError:
            raise RemoteNotFoundError(f"{self.file.shown_url} does not exist; check its name.") from None
        except Exception as error:  # noqa: BLE001 - whatever its client raises; the text may hold credentials
            if self.given and isinstance(error, (TypeError, ValueError, AttributeError)):
                raise wrong_options(self.file.shown_url, self.given, error) from None
            self.evict()  # these caches keep the beginning of a broken download as if it were the whole
            raise TransferError(
                f"{self.file.shown_url} could not be fetched ({type(error).__name__}); try again."
            ) from None

    def fresh_copy(self) -> Path:
        """Fetch anew, and return the local file."""
        if self.is_ours:
            fetched: Path = self.fs.fetch(self.path, force=True)
            return fetched
        if not self.evict():
            raise CacheError(
                f"The copy of {self.file.shown_url} cannot be removed from the cache it is chained through; remove it "
                "there, or use the URL without that cache."
            )
        return self.local_copy(offline=False)

    @property
    def is_ours(self) -> bool:
        """Whether the cache is this package's own."""
        return self.file.url.startswith("tcgacache")

    def evict(self) -> bool:
        """Remove the chain's local copy, so that it fetches anew; False where it may not be removed."""
        try:
            path = self._copy_on_disk()
        except Exception:  # noqa: BLE001 - it may ask the source whether its copy is still right
            path = None
        storage = getattr(self.fs, "storage", None)
        if not storage:
            return False
        if path is None:  # not in its index, and yet there may be a broken file
            path = Path(storage[-1]) / self.fs._mapper(self.path)
        if not path.is_relative_to(Path(storage[-1])):
            return False  # one of its read-only folders
        with suppress(Exception):
            self.fs.pop_from_cache(self.path)
        with suppress(OSError):
            path.unlink(missing_ok=True)
        return not path.exists()

    def _copy_on_disk(self) -> Path:
        if hasattr(type(self.fs), "_check_file"):
            found = self.fs._check_file(self.path)
            if found:
                return Path(found[1] if isinstance(found, tuple) else found)
        elif (found := self.fs.local_copy(self.path)) is not None:
            return Path(found)
        raise OfflineError(
            f"{self.file.shown_url} is not in the cache it is chained through, and offline mode forbids a download; "
            "open it once with network (offline=False, INTAKE_TCGA_OFFLINE unset)."
        )

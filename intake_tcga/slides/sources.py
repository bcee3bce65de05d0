"""What a user may call a slide, and how its bytes are reached: by ranges, by tiles, or by a verified download."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal
from urllib.parse import unquote, urlsplit

from intake_tcga._version import __version__
from intake_tcga.cache.blocks import BlockFile
from intake_tcga.cache.store import VerifiedFileCache
from intake_tcga.errors import (
    CacheError,
    FileFormatError,
    IntegrityError,
    MissingFileError,
    OfflineError,
    OptionError,
)
from intake_tcga.remote import RemoteFile, chain_links, name_problem, redact
from intake_tcga.slides.asking import AT_ONCE, GdcFile, asking
from intake_tcga.slides.directories import Tiff
from intake_tcga.slides.header import Header
from intake_tcga.slides.pyramid import Pyramid
from intake_tcga.slides.slide import Slide
from intake_tcga.slides.tiff import read_header, read_pyramid
from intake_tcga.slides.tile_service import ServiceLevel, TileService
from intake_tcga.slides.token import Token
from intake_tcga.transfer.options import is_local
from intake_tcga.transfer.ranged import RangedFile

Method = Literal["ranges", "tiles", "download"]
METHODS = ("ranges", "tiles", "download")

_OF_SLIDES = (
    *("file_id", "file_name", "barcode", "case", "project", "primary_site", "disease_type"),
    *("sample_type", "kind", "md5", "data_release"),
)
_OF_GDC = re.compile(r"TCGA-|[0-9a-f]{8}-", re.IGNORECASE)
_BLOCK = 32 * 1024  # bytes of metadata read at once at least: directories are small, and far from each other


def _never() -> bool:
    return False


@dataclass(frozen=True)
class SlideSource:
    """Where one slide is, with all that is needed to read it. A value: it opens nothing, and pickles."""

    name: str
    """How errors call it: its file name."""

    url: str
    """A path or URL; show :attr:`shown_url` only."""

    cache: VerifiedFileCache
    slide: Slide | None = None
    """What the GDC says of it."""

    endpoint: str = ""
    """The GDC's address; empty where the slide is elsewhere."""

    token: Token = field(default_factory=Token)
    storage_options: Mapping[str, Any] = field(default_factory=dict, repr=False)
    at_once: int = AT_ONCE
    """Requests under way at once for this slide."""

    cancelled: Callable[[], bool] = field(default=_never, repr=False, compare=False)
    """Asked while the whole file is downloaded; True ends that."""

    @classmethod
    def local_or_url(
        cls, source: str | os.PathLike[str], cache: VerifiedFileCache, **options: Any
    ) -> SlideSource:
        """Name a file on disk, or a URL.

        Raises
        ------
        MissingFileError
            There is no such file.
        OptionError
            It is a folder.
        """
        url = os.fspath(source)
        if "://" not in url:
            path = Path(url).expanduser().absolute()  # read later, maybe from another working directory
            if path.is_dir():
                raise OptionError(f"{path} is a folder; give the path of a slide in it.")
            if not path.is_file():
                raise MissingFileError(f"{path} is not a file; check its path.")
            return cls(path.name, str(path), cache, **options)
        return cls(_file_name(url), url, cache, **options)

    @property
    def shown_url(self) -> str:
        """The URL without credentials."""
        return redact(self.url)

    @property
    def is_on_disk(self) -> bool:
        """Whether it is a plain file here."""
        return "://" not in self.url

    def attrs(self, method: str) -> dict[str, Any]:
        """Return what is known of the slide, and its provenance."""
        attrs: dict[str, Any] = {}
        if self.slide is not None:
            attrs = {name: value for name in _OF_SLIDES if (value := getattr(self.slide, name)) is not None}
        return attrs | {
            "method": method,
            "intake_tcga:source_url": self.shown_url,
            "intake_tcga:package_version": __version__,
        }

    def ranged(self) -> RangedFile:
        """Return the slide's file, to be read by ranges."""
        file = (RangedFile if self.slide is None else GdcFile)(
            self.url,
            size=None if self.slide is None else self.slide.size,
            md5=None if self.slide is None else self.slide.md5,
            storage_options=self.storage_options,
            offline=self.cache.offline,
            budget=self.cache.budget,
            headers=self._headers,
            concurrency=self.at_once,
        )
        if isinstance(file, GdcFile):
            file.name, file.with_token = self.name, bool(self._headers)
        return file

    def pyramid(self, *, keep: bool) -> Pyramid:
        """Describe the slide by its own file, read by ranges; ``keep`` its header on disk for the next time."""
        file = self.ranged()
        return read_pyramid(self._tiff(file, keep=keep), file)

    def tiles(self, *, keep: bool, header_needed: bool) -> Pyramid:
        """Describe the slide by its tiles at the tile service, and its header, if needed, by its own file.

        Raises
        ------
        OptionError
            It is no slide of the GDC.
        RemoteNotFoundError
            The service has no tiles of it.
        FileFormatError
            What the service says cannot be, or is not of the size that the slide's own file has.
        """
        if self.slide is None or not self.endpoint:
            raise OptionError(
                f"{self.name} is not a slide of the GDC, which alone has tiles; use method='ranges'."
            )
        service = TileService(
            self.endpoint,
            self.slide.file_id,
            self.name,
            self._headers,
            self.storage_options,
            self.cache.offline,
            self.cache.budget,
        )
        zoom = service.pyramid()
        header: Header | None = None
        if header_needed:
            alone = replace(self, at_once=1)  # tiles of other slides may be under way
            header, size = read_header(self._tiff(alone.ranged(), keep=keep))
            if size != zoom.size(zoom.top):  # µm/px of the one would be wrong for pixels of the other
                raise FileFormatError(
                    f"The tile service describes {self.name} with {zoom.width:,} × {zoom.height:,} pixels, and its own "
                    f"file has {size[0]:,} × {size[1]:,}; use method='ranges'."
                )
        levels = tuple(ServiceLevel(service, zoom, level) for level in zoom.levels())
        return Pyramid(self.name, levels, {}, header)

    @property
    def is_cached(self) -> bool:
        """Whether a copy of its whole file is in the cache; nothing is hashed for it."""
        return self.cache.find(self._remote_file()) is not None

    def kept(self) -> SlideSource | None:
        """Return the whole verified file that an earlier download left in the cache, or None.

        Of a slide that is not the GDC's no digest tells whether its copy is still what is there: it serves offline.
        """
        if self.is_on_disk or (self.slide is None and not self.cache.offline):
            return None
        if not self.is_cached:
            return None
        try:
            return self._at(self.cache.but(offline=True).fetch(self._remote_file()))
        except (OfflineError, IntegrityError):  # a copy that is damaged, which a download alone may replace
            if self.cache.offline:
                raise
            return None

    def downloaded(self) -> tuple[SlideSource, Callable[[], None]]:
        """Fetch the whole file; return it as one on disk, and what removes it again if this put it there."""
        if self.is_on_disk:
            return self, lambda: None
        was_there = self.is_cached
        options = self._options_of_download()
        with asking(self.name, with_token=bool(self._headers)):
            path = self.cache.fetch(self._remote_file(), storage_options=options, cancelled=self.cancelled)
        return self._at(path), lambda: None if was_there else _remove(path)

    def _at(self, path: Path) -> SlideSource:
        """Return this slide as the file on disk that is a copy of it."""
        return SlideSource(self.name, str(path), self.cache, self.slide, self.endpoint, at_once=self.at_once)

    def _remote_file(self) -> RemoteFile:
        if self.slide is not None:
            return self.slide.remote_file(self.endpoint)
        return RemoteFile(self.url, self.name, collection=("slides",))

    def _options_of_download(self) -> dict[str, Any]:
        options = dict(self.storage_options)
        if self._headers:
            options["headers"] = {**options.get("headers", {}), **self._headers}
        return options

    @property
    def _headers(self) -> Mapping[str, str]:
        return self.token.headers(self.url, endpoint=self.endpoint) if self.endpoint else {}

    def _tiff(self, file: RangedFile, *, keep: bool) -> Tiff:
        kept = keep and not is_local(self.url)
        blocks = BlockFile(
            file,
            block_size=_BLOCK,
            keep=self.cache.root / ".intake-tcga" / "slides" if kept else None,
            key=None if self.slide is None else f"md5-{self.slide.md5}",
            name=self.name,
        )
        return Tiff.open(blocks, blocks.size, self.name)


def _file_name(url: str) -> str:
    """Return the last part of a URL's path, of a chain that of the member, if it is a plain file name."""
    links = [
        link for link in chain_links(redact(url)) if "://" in link
    ]  # a cache's has no path: filecache::…
    path = links[0].partition("://")[2] if len(links) > 1 else urlsplit(links[0]).path if links else ""
    name = unquote(path.rpartition("/")[2])
    return "slide" if name_problem(name) else name


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise CacheError(f"{path} cannot be removed ({error.strerror}); remove it by hand.") from None


def looks_like_a_place(source: str | os.PathLike[str]) -> bool:
    """Tell a path or URL from the name of a slide: a bare name is a path only if there is such a file."""
    if not isinstance(source, str | os.PathLike):
        raise OptionError(
            f"{source!r} is no slide; give a barcode, a file name, a file id, a path, a URL, or a Slide."
        )
    text = os.fspath(source)
    if not text.strip():
        raise OptionError(
            f"{text!r} is no slide: the name is empty; give a barcode, a file name, a path or a URL."
        )
    return (
        not isinstance(source, str)
        or "://" in text
        or bool(re.search(r"[/\\]", text))
        or Path(text).is_file()
        or (Path(text).is_dir() and not _OF_GDC.match(text))  # gdc-client calls folders after a file's id
    )

"""Save an image of each of many slides, all of exactly one µm/px, with an index; go on where an earlier run ended."""

from __future__ import annotations

import csv
import hashlib
import os
import re
import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from intake_tcga.errors import CacheError, IntakeTcgaError, OptionError
from intake_tcga.slides.batch import Failure, called, check_installed, raise_together, run_batch
from intake_tcga.slides.opening import View, find_each_source, opened_image
from intake_tcga.slides.scale import checked_mpp, is_whole
from intake_tcga.slides.slide import Slide
from intake_tcga.slides.sources import METHODS, Method, SlideSource
from intake_tcga.slides.tile_codecs import load_pillow
from intake_tcga.slides.tiles import Pixels
from intake_tcga.slides.token import Token

if TYPE_CHECKING:
    import pandas as pd

Format = Literal["png", "jpeg", "tiff"]
_ENDINGS: dict[str, str] = {"png": "png", "jpeg": "jpg", "tiff": "tif"}
_INDEX = "index.csv"
_NEW = re.compile(r"\..+\.[0-9a-f]{8}\.new")
_ABANDONED = 3600.0  # seconds without a byte written
_LONGEST_JPEG = 65_500  # pixels a side
_OF_VIEW = ("box_um", "upsample", "mpp_base", "mpp_from")


@dataclass(frozen=True, slots=True)
class SavedImage:
    """One line of the index."""

    file: str
    """Name of the image, in the index's folder."""

    slide: str
    """The slide's file name."""

    file_id: str
    barcode: str
    project: str
    data_release: str
    mpp: float
    """µm/px of the image."""

    mpp_source: str
    """Where the slide's own µm/px is from."""

    width: int
    height: int
    size: int
    """Bytes of the image file."""

    sha256: str
    """Digest of the image file."""

    method: str
    recipe: str
    """Digest of the slide and of all options: another recipe, another image."""


def save_images(
    slides: Sequence[Slide | str | os.PathLike[str]],
    out: str | os.PathLike[str],
    *,
    mpp: float,
    format: Format = "png",
    workers: int = 4,
    method: Method = "ranges",
    quality: int = 90,
    keep: bool = True,
    progress: bool | None = None,
    **options: Any,
) -> pd.DataFrame:
    """Save an image of each slide at exactly one µm/px; what an earlier run saved is left as it is.

    A slide is the same as an earlier run's by its md5 at the GDC, by a local file's size and time of change, or by the
    whole URL, whose bytes are not asked for then.

    Parameters
    ----------
    slides : sequence
        Slides, each as :func:`~intake_tcga.slides.opening.open_slide` takes it.
    out : path
        Folder, made if need be. The images are called after the slides and the µm/px: ``….15um.png``.
    mpp : float
        µm/px of the images.
    format : {"png", "jpeg", "tiff"}
        The images carry their resolution, as each format can: PNG in whole pixels a metre, JPEG in whole dots an inch.
    workers : int
        Slides at a time.
    method
        As for ``open_slide``.
    keep : bool
        Keep the files that ``"download"`` fetches, often a gigabyte each; headers are never kept.
    quality : int
        Of JPEG, 1 to 95.
    progress : bool, optional
        Show a bar that counts slides. None: on a terminal or in a notebook.
    **options
        As for ``open_slide``: ``upsample``, ``box_um``, ``mpp_base``, ``mpp_from``, ``cache``, ``storage_options``,
        ``token``, ``endpoint``, ``offline``, ….

    Returns
    -------
    pandas.DataFrame
        The index, one line an image, in the order of the slides. It is also in the folder as ``index.csv``, which
        gets each line as soon as its image is complete; lines of images of earlier runs stay in it.

    Raises
    ------
    OptionError
        An option is wrong; or two slides would have images of one name.
    IntakeTcgaError
        Some slides failed: raised after all others were saved, and names each with its reason. The error of an only
        slide is raised as it is.

    Examples
    --------
    >>> index = save_images([sample_slide], "images", mpp=15.0)
    >>> index[["file", "width", "height"]].values.tolist()
    [['CMU-1-Small-Region.15um.png', 73, 98]]
    """
    index, tell = save_what_can_be(
        slides,
        out,
        mpp=mpp,
        format=format,
        workers=workers,
        method=method,
        quality=quality,
        keep=keep,
        progress=progress,
        **options,
    )
    tell()
    return index


def save_what_can_be(
    slides: Sequence[Slide | str | os.PathLike[str]],
    out: str | os.PathLike[str],
    *,
    mpp: float,
    format: Format,
    workers: int,
    method: Method,
    quality: int,
    keep: bool,
    progress: bool | None,
    **options: Any,
) -> tuple[pd.DataFrame, Callable[[], None]]:
    """Save images as :func:`save_images` does; return the index, and what raises the error of all that failed."""
    if format not in _ENDINGS:
        raise OptionError(f"format={format!r} is not an option; use {', '.join(map(repr, _ENDINGS))}.")
    if method not in METHODS:
        raise OptionError(f"method={method!r} is not an option; use {', '.join(map(repr, METHODS))}.")
    if not is_whole(quality) or not 1 <= quality <= 95:
        raise OptionError(f"quality={quality!r} is not possible; give 1 to 95.")
    mpp = checked_mpp(mpp)
    view = View(mpp, **{name: options.pop(name) for name in _OF_VIEW if name in options})
    check_installed(method)
    sources, lost = find_sources(slides, **options)
    folder = _Folder.open(out)
    names = _image_names(sources, mpp, _ENDINGS[format])
    quality = int(quality)
    recipes = [_recipe(source, view, method, format, quality) for source in sources]
    plan = {source.url: (name, recipe) for source, name, recipe in zip(sources, names, recipes, strict=True)}

    def work(source: SlideSource) -> SavedImage:
        name, recipe = plan[source.url]
        saved = folder.saved(name, recipe)
        return saved or folder.save(name, recipe, source, view, format, method, quality, keep=keep)

    results, failures = run_batch(sources, work, workers=workers, label="Saving images", progress=progress)
    index = [saved for saved in results if saved is not None]
    folder.rewrite(index)
    total = len(sources) + len(lost)
    failed = [*lost, *called(sources, failures)]
    done = f"the images of the others are in {folder.path}"
    return _frame(index), lambda: raise_together(failed, total, done)


def find_sources(
    slides: Sequence[Slide | str | os.PathLike[str]], **options: Any
) -> tuple[list[SlideSource], list[Failure]]:
    """Find several slides as :func:`find_in_order` does; return those that were found, and why others were not."""
    each = find_in_order(slides, **options)
    sources = [found for _, found in each if isinstance(found, SlideSource)]
    return sources, [(name, found) for name, found in each if not isinstance(found, SlideSource)]


def find_in_order(
    slides: Sequence[Slide | str | os.PathLike[str]], **options: Any
) -> list[tuple[str, SlideSource | IntakeTcgaError]]:
    """Find several slides, each as ``open_slide`` would, before anything is read of any; repeated ones count once.

    Returns
    -------
    list
        What each slide was called, and where it is or why it was not found; in the order of ``slides``.

    Raises
    ------
    OptionError
        There is no such option, or an option's value is wrong.
    """
    if isinstance(slides, str | os.PathLike | Slide):
        slides = [slides]
    known = {"cache", "storage_options", "token", "token_file", "endpoint", "offline"}
    if unknown := options.keys() - known:
        raise OptionError(
            f"There is no option {min(unknown)!r}; there are: {', '.join(sorted(known | {*_OF_VIEW}))}."
        )
    options["token"] = Token.of(options.pop("token", None), options.pop("token_file", None))
    slides = list(slides)
    each: dict[str, tuple[str, SlideSource | IntakeTcgaError]] = {}
    for slide, found in zip(slides, find_each_source(slides, **options), strict=True):
        each.setdefault(found.url if isinstance(found, SlideSource) else str(slide), (str(slide), found))
    return list(each.values())


@dataclass(frozen=True)
class _Folder:
    """A folder of images and its index; lines are added as images are completed."""

    path: Path
    known: Mapping[str, SavedImage]
    """The lines of earlier runs, by the image's name."""

    lock: threading.Lock

    @classmethod
    def open(cls, out: str | os.PathLike[str]) -> _Folder:
        path = Path(out).expanduser()
        try:
            path.mkdir(parents=True, exist_ok=True)
            _remove_abandoned(path)
            known = {line.file: line for line in _read_index(path / _INDEX)}
            folder = cls(path, known, threading.Lock())
            folder._write([*known.values()])  # whole again, should its last line have been cut
        except OSError as error:
            raise _unwritable(path, error) from None
        return folder

    def saved(self, name: str, recipe: str) -> SavedImage | None:
        """Return the line of an image that is there, whole and of the same recipe."""
        line = self.known.get(name)
        if line is None or line.recipe != recipe:
            return None
        with suppress(OSError):
            path = self.path / name
            if path.stat().st_size == line.size and _sha256(path) == line.sha256:
                return line
        return None

    def save(
        self,
        name: str,
        recipe: str,
        source: SlideSource,
        view: View,
        format: Format,
        method: Method,
        quality: int,
        *,
        keep: bool,
    ) -> SavedImage:
        """Make one image, move it to its place in one step, and note it in the index."""
        ds = opened_image(source, view, method=method, keep=keep and method == "download")
        if format == "jpeg" and max(ds.sizes["x"], ds.sizes["y"]) > _LONGEST_JPEG:
            raise OptionError(
                f"{source.name} would have {ds.sizes['x']:,} × {ds.sizes['y']:,} pixels, more than JPEG can; "
                "use format='png' or 'tiff', or a larger mpp."
            )
        pixels = ds["image"].values
        new = self.path / f".{name}.{secrets.token_hex(4)}.new"
        try:
            try:
                _write_image(pixels, new, format, float(ds.attrs["mpp"]), quality)
                line = SavedImage(
                    file=name,
                    slide=source.name,
                    **_of_slide(source.slide),
                    mpp=float(ds.attrs["mpp"]),
                    mpp_source=ds.attrs["mpp_source"],
                    width=pixels.shape[1],
                    height=pixels.shape[0],
                    size=new.stat().st_size,
                    sha256=_sha256(new),
                    method=method,
                    recipe=recipe,
                )
                new.replace(self.path / name)
            finally:
                new.unlink(missing_ok=True)
            with self.lock, (self.path / _INDEX).open("a", encoding="utf-8", newline="") as file:
                csv.writer(file).writerow(asdict(line).values())
        except OSError as error:
            raise _unwritable(self.path, error) from None
        return line

    def rewrite(self, index: Sequence[SavedImage]) -> None:
        """Bring the index into the slides' order; what earlier runs saved beside them follows."""
        ours = {line.file for line in index}
        try:
            others = [line for line in _read_index(self.path / _INDEX) if line.file not in ours]
            self._write([*index, *others])
        except OSError as error:
            raise _unwritable(self.path, error) from None

    def _write(self, lines: Sequence[SavedImage]) -> None:
        new = self.path / f".{_INDEX}.{secrets.token_hex(4)}.new"
        try:
            with new.open("w", encoding="utf-8", newline="") as file:
                writer = csv.writer(file)
                writer.writerow(_COLUMNS)
                writer.writerows(asdict(line).values() for line in lines)
            new.replace(self.path / _INDEX)
        finally:
            new.unlink(missing_ok=True)


def _remove_abandoned(folder: Path) -> None:
    """Remove the half-written files of runs that were killed; a young one may be another run's that is under way."""
    for path in folder.glob(".*.new"):
        with suppress(OSError):
            if _NEW.fullmatch(path.name) and time.time() - path.stat().st_mtime > _ABANDONED:
                path.unlink()


_COLUMNS = tuple(field.name for field in fields(SavedImage))
_NUMBERS = {"mpp": float, "width": int, "height": int, "size": int}


def _read_index(path: Path) -> list[SavedImage]:
    """Read an index; of images that come twice the last line counts, and lines that are cut do not."""
    lines: dict[str, SavedImage] = {}
    if path.exists():
        with path.open(encoding="utf-8", errors="replace", newline="") as file:
            for row in csv.DictReader(file):
                with suppress(TypeError, ValueError, KeyError):
                    line = SavedImage(**{name: _NUMBERS.get(name, str)(row[name] or "") for name in _COLUMNS})
                    if len(line.recipe) == len(_digest("")):
                        lines[line.file] = line
    return list(lines.values())


def _image_names(sources: Sequence[SlideSource], mpp: float, ending: str) -> list[str]:
    scale = repr(mpp).removesuffix(".0")  # all digits: another µm/px is another image
    names = [f"{source.name.removesuffix('.svs')}.{scale}um.{ending}" for source in sources]
    if twice := sorted(name for name, count in Counter(names).items() if count > 1):
        raise OptionError(
            f"Several slides would be saved as {', '.join(twice)}; save them to folders of their own."
        )
    return names


def _recipe(source: SlideSource, view: View, method: str, format: str, quality: int) -> str:
    """Digest everything that an image depends on."""
    if source.slide is not None:
        identity: Any = source.slide.md5
    elif source.is_on_disk:
        stat = Path(source.url).stat()
        identity = (source.url, stat.st_size, stat.st_mtime_ns)
    else:
        identity = source.url  # all of it: a query may say which file; the digest alone is kept
    wanted = [view.mpp, *(getattr(view, name) for name in _OF_VIEW)]
    return _digest(repr((identity, wanted, method, format, quality if format == "jpeg" else None)))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _of_slide(slide: Slide | None) -> dict[str, str]:
    names = ("file_id", "barcode", "project", "data_release")
    return {name: str(getattr(slide, name, None) or "") for name in names}


def _write_image(pixels: Pixels, path: Path, format: Format, mpp: float, quality: int) -> None:
    """Write an image with its resolution: as its format can, and as text with all digits."""
    image = load_pillow().fromarray(pixels)
    said = f"MPP = {mpp!r}"
    dots = (25_400 / mpp, 25_400 / mpp)
    if format == "jpeg":
        image.save(
            path,
            "JPEG",
            quality=quality,
            dpi=tuple(max(1, min(65_535, round(d))) for d in dots),
            comment=said,
        )
    elif format == "tiff":
        image.save(
            path,
            "TIFF",
            compression="tiff_adobe_deflate",
            resolution_unit="cm",
            x_resolution=10_000 / mpp,
            y_resolution=10_000 / mpp,
            description=said,
        )
    else:
        from PIL.PngImagePlugin import PngInfo

        text = PngInfo()
        text.add_text("Description", said)
        image.save(path, "PNG", dpi=dots, pnginfo=text)


def _frame(index: Sequence[SavedImage]) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame([asdict(line) for line in index], columns=list(_COLUMNS))


def _unwritable(path: Path, error: OSError) -> CacheError:
    return CacheError(
        f"{path} cannot be written to ({error.strerror or error}); choose another folder, or make room."
    )

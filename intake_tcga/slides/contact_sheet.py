"""One picture of many slides, all at one scale, with their names and a bar that tells how large they are."""

from __future__ import annotations

import math
import os
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from intake_tcga.errors import CacheError, OptionError
from intake_tcga.remote import redact
from intake_tcga.slides.batch import called, check_installed, raise_together, run_batch
from intake_tcga.slides.images import find_in_order
from intake_tcga.slides.opening import View, opened_image
from intake_tcga.slides.scale import checked_mpp, is_whole
from intake_tcga.slides.slide import Slide
from intake_tcga.slides.sources import METHODS, Method, SlideSource
from intake_tcga.slides.tile_codecs import load_pillow
from intake_tcga.slides.tiles import Pixels

_MARGIN, _LINE, _FONT = 12, 16, 13  # pixels
_LEAST_WIDTH = 180  # of a column: names are long
_MOST_PIXELS = 2**28
_INK, _FAINT, _PAPER = (34, 34, 34), (110, 110, 110), (255, 255, 255)
_BARS_MM = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20)
_ENDINGS = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".pdf")


def contact_sheet(
    slides: Sequence[Slide | str | os.PathLike[str]],
    path: str | os.PathLike[str],
    *,
    mpp: float = 64.0,
    columns: int | None = None,
    workers: int = 4,
    method: Method = "ranges",
    keep: bool = True,
    progress: bool | None = None,
    **options: Any,
) -> Path:
    """Draw all slides on one sheet, each at the same µm/px, so that sizes can be compared.

    Parameters
    ----------
    slides : sequence
        Slides, each as :func:`~intake_tcga.slides.opening.open_slide` takes it.
    path : path
        The sheet: ``.png``, ``.jpg``, ``.tif`` or ``.pdf``.
    mpp : float
        µm/px of every slide on it.
    columns : int, optional
        Slides side by side; None makes the sheet about as wide as it is high.
    workers, method, keep, progress, **options
        As for :func:`~intake_tcga.slides.images.save_images`.

    Returns
    -------
    Path
        The sheet.

    Raises
    ------
    OptionError
        An option is wrong, there are no slides, or the sheet would be too large.
    IntakeTcgaError
        Some slides failed: raised after the sheet was drawn, with an empty place for each of them.

    Examples
    --------
    >>> contact_sheet([sample_slide], "sheet.png", mpp=16).name
    'sheet.png'
    """
    target = Path(path).expanduser()
    if target.suffix.lower() not in _ENDINGS:
        raise OptionError(f"{target.name} has no ending of a picture; use one of {', '.join(_ENDINGS)}.")
    if columns is not None and (not is_whole(columns) or columns < 1):
        raise OptionError(f"columns={columns!r} is not possible; give 1 or more.")
    if method not in METHODS:
        raise OptionError(f"method={method!r} is not an option; use {', '.join(map(repr, METHODS))}.")
    names = ("upsample", "mpp_base", "mpp_from")
    mpp = checked_mpp(mpp)
    view = View(mpp, **{name: options.pop(name) for name in names if name in options})
    check_installed(method)
    each = find_in_order(slides, **options)
    sources = [found for _, found in each if isinstance(found, SlideSource)]
    lost = [(name, found) for name, found in each if not isinstance(found, SlideSource)]
    if not sources:
        raise_together(lost, len(lost), "there are no others")
        raise OptionError("There are no slides to draw; search for other ones.")

    def work(source: SlideSource) -> Pixels:
        ds = opened_image(source, view, method=method, keep=keep and method == "download")
        pixels: Pixels = ds["image"].values
        return pixels

    pictures, failures = run_batch(sources, work, workers=workers, label="Drawing slides", progress=progress)
    drawn = iter([(_caption(source, at in failures), pictures[at]) for at, source in enumerate(sources)])
    places = [
        next(drawn) if isinstance(found, SlideSource) else (_caption_of_lost(name), None)
        for name, found in each
    ]
    sheet = _drawn([caption for caption, _ in places], [picture for _, picture in places], mpp, columns)
    new = target.with_name(f".{secrets.token_hex(4)}.{target.name}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        sheet.save(new)
        new.replace(target)
    except OSError as error:
        raise CacheError(
            f"{target} cannot be written ({error.strerror or error}); choose another place."
        ) from None
    finally:
        new.unlink(missing_ok=True)
    failed = [*lost, *called(sources, failures)]
    raise_together(failed, len(sources) + len(lost), f"the others are on {target}")
    return target


def _drawn(
    captions: Sequence[tuple[str, str]],
    pictures: Sequence[Pixels | None],
    mpp: float,
    columns: int | None,
) -> Any:
    image = load_pillow()
    from PIL import ImageDraw, ImageFont

    font = ImageFont.load_default(_FONT)
    shapes = [(0, 0) if picture is None else picture.shape[:2] for picture in pictures]
    lengths = [font.getlength(line) for caption in captions for line in caption]
    width = max(_LEAST_WIDTH, math.ceil(max(lengths)), *(shape[1] for shape in shapes))
    across = columns or max(
        1, round(math.sqrt(len(pictures) * max(shape[0] + 3 * _LINE for shape in shapes) / width))
    )
    across = min(across, len(pictures))
    rows = [range(first, min(first + across, len(pictures))) for first in range(0, len(pictures), across)]
    heights = [max(shapes[at][0] for at in row) or _LEAST_WIDTH for row in rows]
    size = (
        _MARGIN + across * (width + _MARGIN),
        _MARGIN + sum(height + 2 * _LINE + _MARGIN for height in heights) + 2 * _LINE,
    )
    if size[0] * size[1] > _MOST_PIXELS:
        raise OptionError(
            f"The sheet would have {size[0]:,} × {size[1]:,} pixels; give a larger mpp than {mpp:g}, or fewer slides."
        )
    sheet = image.new("RGB", size, _PAPER)
    pen = ImageDraw.Draw(sheet)
    top = _MARGIN
    for row, height in zip(rows, heights, strict=True):
        for place, at in enumerate(row):
            left = _MARGIN + place * (width + _MARGIN)
            picture = pictures[at]
            if picture is None:
                pen.rectangle((left, top, left + width - 1, top + height - 1), outline=_FAINT)
            else:
                sheet.paste(image.fromarray(picture), (left, top))
            for line, text in enumerate(captions[at]):
                pen.text((left, top + height + 1 + line * _LINE), text, (_INK, _FAINT)[line], font)
        top += height + 2 * _LINE + _MARGIN
    _draw_bar(pen, font, (_MARGIN, top), size[0] - 2 * _MARGIN, mpp)
    return sheet


def _draw_bar(pen: Any, font: Any, place: tuple[int, int], room: int, mpp: float) -> None:
    """Draw the longest bar of a round length that takes at most a third of the sheet's width."""
    fitting = [mm for mm in _BARS_MM if mm * 1000 / mpp <= room / 3]
    length_mm = fitting[-1] if fitting else _BARS_MM[0]
    length = round(length_mm * 1000 / mpp)
    (left, top), middle = place, place[1] + _LINE // 2
    pen.line((left, middle, left + length, middle), _INK, 2)
    for end in (left, left + length):
        pen.line((end, middle - 4, end, middle + 4), _INK, 2)
    said = f"{length_mm:g} mm  ·  {mpp:g} um/px"  # Pillow's own font has no µ
    pen.text((left + length + 8, top), said, _FAINT, font)


def _caption(source: SlideSource, failed: bool) -> tuple[str, str]:
    if source.slide is None:
        first, second = source.name, ""
    else:
        first = source.slide.barcode
        second = "  ·  ".join(part for part in (source.slide.project, source.slide.sample_type) if part)
    return first, "could not be read" if failed else second


def _caption_of_lost(name: str) -> tuple[str, str]:
    return redact(name).replace("\\", "/").rpartition("/")[2], "was not found"

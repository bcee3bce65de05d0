"""The GDC's manifests: tab-separated lines ``id filename md5 size state``, as its portal and gdc-client use them."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from intake_tcga.errors import IntegrityError, ManifestError, MissingFileError, OptionError
from intake_tcga.remote import redact
from intake_tcga.slides.slide import Slide
from intake_tcga.transfer import is_local, read_small

COLUMNS = ("id", "filename", "md5", "size", "state")
_LARGEST = 64 * 2**20  # bytes: four hundred thousand lines
_MOST_PROBLEMS_SHOWN = 20


def read_manifest(path: str | os.PathLike[str], *, offline: bool = False) -> tuple[Slide, ...]:
    """Read a manifest, by path or by any URL that fsspec opens, and check it whole.

    Parameters
    ----------
    path : path or str
        The manifest's TSV. Columns may be in any order; further ones are passed over.
    offline : bool
        Refuse what needs a socket.

    Returns
    -------
    tuple of Slide
        One a line, in their order; of projects, sites and releases a manifest says nothing.

    Raises
    ------
    ManifestError
        It cannot be used; the message lists every problem found in it.
    MissingFileError
        There is no such file.
    TransferError
        The URL cannot be read.
    """
    if not isinstance(path, str | os.PathLike):
        raise OptionError(
            f"{path!r} is no manifest; give the path or URL of a TSV, as to_manifest() writes it."
        )
    text = os.fspath(path)
    if is_local(text) and "://" not in text and not Path(text).expanduser().is_file():
        raise MissingFileError(f"There is no manifest {text}; check its path.")
    url = str(Path(text).expanduser()) if "://" not in text else text
    try:
        body = read_small(url, limit=_LARGEST, offline=offline)
    except IntegrityError as error:
        raise ManifestError(f"The manifest {redact(text)} cannot be used: {error}") from error
    return parse_manifest(body, redact(text))


def parse_manifest(body: bytes, shown: str = "the manifest") -> tuple[Slide, ...]:
    r"""Return the files that a manifest's bytes name; errors as in :func:`read_manifest`.

    Examples
    --------
    >>> line = "3b6a3f5e-8a4c-4c53-9a52-0a2b3c4d5e6f\tTCGA-EY-A1H0-01Z-00-DX1.B.svs\t" + "0" * 32 + "\t74\treleased"
    >>> [slide.barcode for slide in parse_manifest(b"id\tfilename\tmd5\tsize\tstate\n" + line.encode())]
    ['TCGA-EY-A1H0-01Z-00-DX1']
    """
    try:
        lines = body.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise _unusable(shown, ["it is not text in UTF-8"]) from None
    names = lines[0].split("\t") if lines else []
    if missing := [name for name in COLUMNS[:4] if name not in names]:
        raise _unusable(
            shown,
            [f"its first line has no {', '.join(missing)}; it must name the columns {' '.join(COLUMNS)}"],
        )
    slides, problems = [], []
    first_line: dict[str, int] = {}
    for number, line in enumerate(lines[1:], 2):
        if not line.strip():
            continue
        try:
            slide = _slide(names, line.split("\t"))
        except (OptionError, _WrongLineError) as error:
            problems.append(f"line {number}: {error}")
            continue
        slides.append(slide)
        for what, key in (("id", slide.file_id), ("filename", slide.file_name)):
            if (earlier := first_line.setdefault(f"{what} {key}", number)) != number:
                problems.append(f"line {number}: its {what} {key} is also that of line {earlier}")
    if problems:
        raise _unusable(shown, problems)
    return tuple(slides)


def manifest_text(slides: Iterable[Slide]) -> str:
    """Return the manifest that names some slides, as gdc-client takes it."""
    lines = [
        (slide.file_id, slide.file_name, slide.md5, str(slide.size), slide.state or "released")
        for slide in slides
    ]
    return "".join("\t".join(line) + "\n" for line in [COLUMNS, *lines])


def write_manifest(slides: Iterable[Slide], path: str | os.PathLike[str]) -> Path:
    """Write the manifest that names some slides: the whole file, or nothing.

    Raises
    ------
    OptionError
        It cannot be written there.
    """
    target = Path(path).expanduser()
    fresh = target.with_name(f".{target.name}.{secrets.token_hex(4)}.new")
    try:
        fresh.write_text(manifest_text(slides), encoding="utf-8", newline="")
        fresh.replace(target)
    except OSError as error:
        fresh.unlink(missing_ok=True)
        raise OptionError(
            f"{target} cannot be written ({error.strerror or error}); give another path for the manifest."
        ) from error
    return target


class _WrongLineError(Exception):
    """One field of a line is not what it should be."""


def _slide(names: Sequence[str], cells: Sequence[str]) -> Slide:
    if len(cells) != len(names):
        raise _WrongLineError(f"it has {len(cells)} fields where the first line names {len(names)}")
    row: Mapping[str, str] = {
        name: cell.strip() if name != "filename" else cell for name, cell in zip(names, cells, strict=True)
    }
    if not re.fullmatch(r"[0-9]{1,15}", row["size"]):
        raise _WrongLineError(f"its size {row['size'][:40]!r} is not a number of bytes")
    state = row.get("state") or None
    if state and not re.fullmatch(r"[\w -]{1,40}", state):
        raise _WrongLineError(f"its state {state[:40]!r} is not a word")
    return Slide(
        file_id=row["id"].lower(),
        file_name=row["filename"],
        size=int(row["size"]),
        md5=row["md5"].lower(),
        state=state,
    )


def _unusable(shown: str, problems: Sequence[str]) -> ManifestError:
    lines = list(problems[:_MOST_PROBLEMS_SHOWN])
    if more := len(problems) - len(lines):
        lines.append(f"… and {more:,} more")
    return ManifestError(
        f"{shown} is not a manifest of the GDC that can be used; get it anew from the GDC's portal, or mend it:\n"
        + "\n".join(f"  - {line}" for line in lines)
    )

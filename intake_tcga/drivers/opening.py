"""What people share, opened as what it is: a catalog, or a manifest."""

from __future__ import annotations

from typing import Any

from intake_tcga.errors import FileFormatError, IntakeTcgaError, MissingFileError, OfflineError, OptionError
from intake_tcga.remote import redact
from intake_tcga.transfer import is_local


def open_shared(place: str, *, offline: bool = False) -> Any:
    """Open a catalog of any drivers, or a manifest of cohorts, by its path or URL.

    Parameters
    ----------
    place
        A catalog (``.yaml``, ``.yml``), opened as :func:`intake.open_catalog` does; or a manifest (``.json``), as the
        ``tcga`` driver does.
    offline
        Never open a socket for it. The entries of a catalog have options of their own.

    Raises
    ------
    OptionError
        It is called like neither.
    MissingFileError
        There is no such catalog.
    OfflineError
        The catalog is on a server, and may not be asked for.
    FileFormatError
        Intake cannot read it.

    Examples
    --------
    >>> open_shared(sample_manifest)
    <tcga catalog: ...manifest.json, manifest not read yet>
    """
    import intake

    from intake_tcga.drivers.cohort_catalog import CohortCatalog

    shown = redact(place)
    if shown.lower().endswith(".json"):
        return CohortCatalog(place, offline=offline or None)
    if not shown.lower().endswith((".yaml", ".yml")):
        raise OptionError(
            f"{shown} is called neither like a catalog (.yaml) nor like a manifest (.json); give the path or URL of "
            "one."
        )
    if offline and not is_local(place):
        raise OfflineError(f"{shown} cannot be read in offline mode; give the path of a copy.")
    try:
        return intake.open_catalog(
            place, driver="yaml_file_cat"
        )  # also where a URL has a query behind its name
    except IntakeTcgaError:
        raise
    except FileNotFoundError as error:
        raise MissingFileError(f"There is no catalog at {shown}; check the path or URL.") from error
    except Exception as error:  # whatever intake, YAML, fsspec and its file systems raise
        raise FileFormatError(
            f"{shown} cannot be opened as a catalog ({type(error).__name__}: {error}); check that it is the YAML of "
            "one, and that you may read it."
        ) from error

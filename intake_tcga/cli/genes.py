"""Genes as they are named on a command line: by Ensembl id or by symbol."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import TYPE_CHECKING

from intake_tcga.errors import NameNotFoundError

if TYPE_CHECKING:
    import xarray as xr


def with_genes(ds: xr.Dataset, names: Sequence[str]) -> xr.Dataset:
    """Return the features with these ids or symbols, in the order of the names; of a symbol all that have it.

    Raises
    ------
    NameNotFoundError
        There are none of some names; the message names them, and the nearest to each of the first.
    """
    rows: dict[str, list[int]] = {}
    for labels in ("feature", "symbol"):
        if labels in ds.coords:
            for row, label in enumerate(ds[labels].values.tolist()):
                if label:
                    rows.setdefault(str(label), []).append(row)
    if unknown := [name for name in dict.fromkeys(names) if name not in rows]:
        spellings = {label.casefold(): label for label in rows}
        hints = [_hint(name, spellings) for name in unknown[:5]]
        more = f" and {len(unknown) - 5:,} more" if len(unknown) > 5 else ""
        raise NameNotFoundError(
            f"{len(unknown):,} of {len(set(names)):,} genes are not in this file: {', '.join(hints)}{more}. "
            "Give Ensembl ids without their version, or symbols."
        )
    return ds.isel(feature=list(dict.fromkeys(row for name in names for row in rows[name])))


def _hint(name: str, spellings: dict[str, str]) -> str:
    folded = name.casefold()
    near = [folded] if folded in spellings else difflib.get_close_matches(folded, spellings, n=1, cutoff=0.75)
    return f"{name} (did you mean {spellings[near[0]]}?)" if near else name

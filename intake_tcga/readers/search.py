"""A search over the names and metadata of intake V2 entries."""

from __future__ import annotations

import re
from typing import Any

from intake.readers.entry import ReaderDescription
from intake.readers.search import Not, SearchBase


class CohortSearch(SearchBase):  # type: ignore[misc]
    """A search over the names and metadata of entries, for ``search`` of any intake V2 catalog of cohorts.

    Intake's own search for a text sees neither. Terms combine: ``a & b``, ``a | b``, ``~a``.

    Parameters
    ----------
    text : str or compiled pattern, optional
        Found in any field, whatever its case.
    **facets
        A field with what it must be: a value, a list of values, a compiled pattern, or a function; what has no
        such field matches None alone.

    Examples
    --------
    >>> from intake_tcga.cohorts.sample import sample_collection
    >>> cat = to_v2(sample_collection())
    >>> list(cat.search(CohortSearch("prostate", n_samples=lambda n: n > 50)))
    ['PRAD']
    >>> list(cat.search(~CohortSearch(cancer_type=["PRAD", "OV"])))
    []
    """

    def __init__(self, text: str | re.Pattern[str] | None = None, **facets: Any) -> None:
        self.text = text
        self.facets = facets

    def filter(self, entry: ReaderDescription) -> bool:
        """Tell whether an entry matches."""
        from intake_tcga.facets import row_matches

        return row_matches({"entry": entry.token, **entry.metadata}, self.text, **self.facets)

    def __invert__(self) -> Not:
        return Not(self)  # intake's own has __inv__, which Python never calls

"""A slide, described: the same whether its pixels come from its own file or from a tile service."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from intake_tcga.slides.header import Header
from intake_tcga.slides.tiles import TiledLevel


@dataclass(frozen=True)
class Pyramid:
    """A slide's levels, and what its header says. Nothing of it has been decoded; it pickles."""

    name: str
    """How errors call the slide."""

    levels: tuple[TiledLevel, ...]
    """The finest first."""

    associated: Mapping[str, TiledLevel]
    """Thumbnail, label, macro, by name."""

    header: Header | None
    """None where it was not needed."""

    @property
    def sizes(self) -> list[tuple[int, int]]:
        """Width and height of each level."""
        return [level.size for level in self.levels]

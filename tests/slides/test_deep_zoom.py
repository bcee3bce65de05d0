"""Deep Zoom: sizes by halving, grids without gaps, and tiles that show their neighbours."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from intake_tcga.errors import FileFormatError, RemoteNotFoundError
from intake_tcga.slides.deep_zoom import DeepZoom

SAID = {
    "Format": "jpeg",
    "Height": "89665",
    "Width": "109559",
    "Overlap": "1",
    "TileSize": "512",
    "uuid": "x",
}


def test_levels_of_a_large_slide():
    zoom = DeepZoom.of(SAID, "a.svs")
    assert zoom.top == 17
    assert zoom.size(9) == (428, 351)
    assert zoom.size(11) == (1712, 1402)
    assert zoom.levels() == [17, 16, 15, 14, 13, 12, 11, 10, 9]


@given(st.integers(1, 3000), st.integers(1, 3000), st.integers(1, 600), st.integers(0, 3))
def test_sizes_are_halved_and_rounded_up(width, height, tile, overlap):
    zoom = DeepZoom(width, height, tile, min(overlap, tile - 1), "png")
    size = (width, height)
    for level in range(zoom.top, -1, -1):
        assert zoom.size(level) == size
        size = tuple((side + 1) // 2 for side in size)
    assert zoom.size(0) == (1, 1)


@given(st.integers(1, 90), st.integers(1, 90), st.integers(1, 40), st.integers(0, 3))
def test_cells_cover_each_pixel_once_and_tiles_reach_beyond(width, height, tile, overlap):
    zoom = DeepZoom(width, height, tile, min(overlap, tile - 1), "png")
    level = zoom.top
    seen = np.zeros((height, width), int)
    for row in range(-(-height // tile)):
        for column in range(-(-width // tile)):
            left, top, right, bottom = zoom.cell(level, column, row)
            seen[top:bottom, left:right] += 1
            outer = zoom.tile(level, column, row)
            assert outer[0] == column * tile - (zoom.overlap if column else 0)
            assert outer[1] == row * tile - (zoom.overlap if row else 0)
            assert outer[2] <= width
            assert outer[3] <= height
            assert outer[2] - right <= zoom.overlap
    assert (seen == 1).all()


@pytest.mark.parametrize("said", [None, [], "x", {"message": "no"}, {"Width": "1", "Height": "2"}])
def test_no_tiles_names_the_other_way(said):
    with pytest.raises(RemoteNotFoundError, match=r"no tiles of a\.svs.*method='ranges'"):
        DeepZoom.of(said, "a.svs")


@pytest.mark.parametrize(
    "change",
    [
        {"Width": "0"},
        {"Width": "9" * 12},
        {"Width": "2000000000", "Height": "2000000000"},
        {"TileSize": "0"},
        {"Overlap": "512"},
        {"Height": "x"},
        {"TileSize": "99999"},
        {"Width": None},
    ],
)
def test_geometry_that_cannot_be(change):
    with pytest.raises(FileFormatError, match="as no pyramid can be"):
        DeepZoom.of(SAID | change, "a.svs")

"""The labels of measured samples."""

from __future__ import annotations

import numpy as np

from intake_tcga.cohorts.alignment import Axis, align
from intake_tcga.cohorts.structure import CohortStructure
from intake_tcga.hdf5 import Hdf5File


def sample_axis(file: Hdf5File, structure: CohortStructure) -> Axis:
    """Label the rows of the measured matrices."""
    matrices = list(structure.real.values())
    if all(matrix.samples is not None for matrix in matrices):
        return align([matrix.samples for matrix in matrices])
    return Axis(np.arange(matrices[0].rows), (None,) * len(matrices))

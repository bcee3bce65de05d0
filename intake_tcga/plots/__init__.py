"""Pictures of expression data and of slides; matplotlib is imported by the functions that draw (extra ``plots``).

Each function takes a Dataset (in memory, over dask, or not read yet), draws on the axes that it is given or on a new
figure, and returns them. What is larger than a picture needs is read block by block. Colours are told apart by
colour-blind people too; filled marks are real samples, open ones synthetic.
"""

from __future__ import annotations

from intake_tcga.plots.correlations import plot_correlations
from intake_tcga.plots.feature import plot_feature
from intake_tcga.plots.fields import plot_metadata
from intake_tcga.plots.groups import plot_groups
from intake_tcga.plots.heatmap import plot_heatmap
from intake_tcga.plots.library_sizes import plot_library_sizes
from intake_tcga.plots.mean_variance import plot_mean_variance
from intake_tcga.plots.pca import plot_pca
from intake_tcga.plots.scores import plot_comparison
from intake_tcga.plots.slide import plot_slide

__all__ = [
    "plot_comparison",
    "plot_correlations",
    "plot_feature",
    "plot_groups",
    "plot_heatmap",
    "plot_library_sizes",
    "plot_mean_variance",
    "plot_metadata",
    "plot_pca",
    "plot_slide",
]

"""``ds.tcga``: what a user of SyNG-BTS brings along, on any cohort's Dataset."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import xarray as xr

from intake_tcga.cohorts import subsets
from intake_tcga.cohorts.selection import labels_of
from intake_tcga.facts import html_facts, text_facts

if TYPE_CHECKING:
    import pandas as pd


@xr.register_dataset_accessor("tcga")  # type: ignore[no-untyped-call]
class CohortAccessor:
    """Subsets of a cohort as pandas objects, and what there is to choose from.

    Parameters
    ----------
    dataset
        A cohort's Dataset, lazy or loaded, whole or narrowed.

    Examples
    --------
    >>> from intake_tcga.cohorts.dataset import open_dataset
    >>> ds = open_dataset(sample_file)
    >>> ds.tcga.MODELS
    ('CVAE1_5', 'CVAE1_10', 'CVAE1_20')
    >>> expression, groups = ds.tcga.synth("TC", "CVAE1_20")
    >>> expression.shape, sorted(set(groups))
    ((100, 120), ['Normal', 'Tumor'])
    >>> ds.close()
    """

    def __init__(self, dataset: xr.Dataset) -> None:
        self._dataset = dataset

    @property
    def NORMALIZATIONS(self) -> tuple[str, ...]:
        """The normalizations in this Dataset."""
        return tuple(labels_of(self._dataset, "normalization"))

    @property
    def MODELS(self) -> tuple[str, ...]:
        """The models in this Dataset, by rising ``kl_weight``."""
        return tuple(labels_of(self._dataset, "model"))

    @property
    def AUGMENTATIONS(self) -> tuple[str, ...]:
        """The off-augmentations in this Dataset; none in miRNA cohorts."""
        return tuple(labels_of(self._dataset, "augmentation"))

    def real(self, normalization: str | None = None) -> tuple[pd.DataFrame, pd.Series[Any] | None]:
        """Read the measured samples of one normalization.

        Parameters
        ----------
        normalization
            One of :attr:`NORMALIZATIONS`; by default ``DESeq``, or the first where there is none.

        Returns
        -------
        expression : pandas.DataFrame
            Samples × features, in the file's unit (log2) and number type; rows are labelled with barcodes where
            they are known.
        groups : pandas.Series or None
            Group of each sample; NaN where it is not known, None where no sample has one.

        Raises
        ------
        OptionError
            When there is no such normalization; the message lists those there are.
        """
        return subsets.real_pair(self._dataset, normalization)

    def synth(
        self, normalization: str | None = None, model: str | None = None, off_aug: str | None = None
    ) -> tuple[pd.DataFrame, pd.Series[Any] | None]:
        """Read the samples that one model generated; only that model's matrix is read.

        Parameters
        ----------
        normalization
            One of :attr:`NORMALIZATIONS`; by default ``DESeq``, or the first where there is none.
        model
            One of :attr:`MODELS`; by default ``CVAE1_5``, or the one of the lowest ``kl_weight``.
        off_aug
            One of :attr:`AUGMENTATIONS`, for RNA-seq cohorts; by default ``none``, or the first.

        Returns
        -------
        expression : pandas.DataFrame
            Generated samples × features.
        groups : pandas.Series or None
            Group that each sample was generated for; None for models without groups (VAE).

        Raises
        ------
        OptionError
            When there is no such subset; the message lists what there is.
        """
        return subsets.synthetic_pair(self._dataset, normalization, model, off_aug)

    def metadata(
        self, normalization: str | None = None, model: str | None = None, off_aug: str | None = None
    ) -> dict[str, Any]:
        """Return the attributes of one subset together with those it inherits; its own win.

        Parameters
        ----------
        normalization, model, off_aug
            The subset: a model or an off-augmentation makes it a synthetic one; nothing, the cohort itself.

        Returns
        -------
        dict
            In plain Python types.
        """
        return subsets.subset_metadata(self._dataset, normalization, model, off_aug)

    def _facts(self) -> dict[str, Any]:
        """Return what there is to call, with what it can be called with."""
        ds = self._dataset
        off_aug = ", off_aug" if self.AUGMENTATIONS else ""
        facts: dict[str, Any] = {}
        if "real" in ds.variables:
            facts["real(normalization)"] = self.NORMALIZATIONS
        if "synthetic" in ds.variables:
            facts[f"synth(normalization, model{off_aug})"] = self.MODELS
        if self.AUGMENTATIONS:
            facts["off_aug"] = self.AUGMENTATIONS
        return facts | {"metadata(normalization, model)": "what the file says of a subset"}

    @property
    def _head(self) -> str:
        return f"tcga: {self._dataset.attrs.get('dataset_name', 'cohort')}"

    def __repr__(self) -> str:
        return text_facts(f"<{self._head}>", self._facts())

    def _repr_html_(self) -> str:
        return html_facts(self._head, self._facts())

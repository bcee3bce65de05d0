"""The published cohort bundles, and the full names of the cancers in them."""

from __future__ import annotations

from dataclasses import dataclass

_RELEASES = "https://github.com/Omics-Data-Synthesis/SyNG-BTS/releases/download"


@dataclass(frozen=True, slots=True)
class Bundle:
    """One published set of cohorts, known by name."""

    name: str
    """What users call it, e.g. ``mirna``."""

    url: str
    """URL of its manifest."""

    modality: str
    """What was measured; the manifest must say the same."""


BUNDLES: dict[str, Bundle] = {
    bundle.name: bundle
    for bundle in (
        Bundle("mirna", f"{_RELEASES}/data-v1.0/manifest.json", "mirna"),
        Bundle("rnaseq", f"{_RELEASES}/data-rnaseq-v1.0/manifest.json", "rnaseq"),
    )
}
"""Every bundle that can be asked for by name."""

CANCER_NAMES: dict[str, str] = {
    "BLCA": "Bladder Urothelial Carcinoma",
    "BRCA": "Breast Invasive Carcinoma",
    "COAD": "Colon Adenocarcinoma",
    "ESCA": "Esophageal Carcinoma",
    "HNSC": "Head and Neck Squamous Cell Carcinoma",
    "KICH": "Kidney Chromophobe",
    "KIRC": "Kidney Renal Clear Cell Carcinoma",
    "KIRP": "Kidney Renal Papillary Cell Carcinoma",
    "LAML": "Acute Myeloid Leukemia",
    "LIHC": "Liver Hepatocellular Carcinoma",
    "LUAD": "Lung Adenocarcinoma",
    "LUSC": "Lung Squamous Cell Carcinoma",
    "OV": "Ovarian Serous Cystadenocarcinoma",
    "PAAD": "Pancreatic Adenocarcinoma",
    "PCPG": "Pheochromocytoma and Paraganglioma",
    "PRAD": "Prostate Adenocarcinoma",
    "READ": "Rectum Adenocarcinoma",
    "SARC": "Sarcoma",
    "SKCM": "Skin Cutaneous Melanoma",
    "STAD": "Stomach Adenocarcinoma",
    "TGCT": "Testicular Germ Cell Tumors",
    "THCA": "Thyroid Carcinoma",
    "THYM": "Thymoma",
    "UCS": "Uterine Carcinosarcoma",
}
"""TCGA's code of a cancer → its full name."""

"""Whole-slide images of TCGA at the Genomic Data Commons (GDC): found, drawn, and read at an exact resolution."""

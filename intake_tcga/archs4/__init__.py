"""ARCHS4: uniformly processed RNA-seq of a million GEO samples, as lazy Datasets."""

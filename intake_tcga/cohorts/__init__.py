"""Cohorts: SyNG-BTS bundles of TCGA expression data, from a manifest's URL to a lazy Dataset."""

"""The only sockets: whole files into part files, and small bodies into memory.

Every byte comes through an fsspec filesystem. HTTP is read through the session of fsspec's own filesystem, so that all
``storage_options`` hold; but by hand, because what fsspec does not do (a ranged answer checked, a short body noticed, a
retry, a minimum rate) is what makes a download right. Anything else is read through ``fs.open``.
"""

from intake_tcga.transfer.budget import Budget
from intake_tcga.transfer.job import download, post_json, read_small
from intake_tcga.transfer.options import is_local, split_options

__all__ = ["Budget", "download", "is_local", "post_json", "read_small", "split_options"]

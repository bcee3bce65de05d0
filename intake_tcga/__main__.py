"""``python -m intake_tcga`` is ``intake-tcga``."""

from intake_tcga.cli import main

if __name__ == "__main__":
    main(prog_name="intake-tcga")

"""The catalog of everything there is: ``intake.cat.tcga``."""

from __future__ import annotations

from intake.catalog.local import YAMLFileCatalog

from intake_tcga.facts import html_facts, text_facts


class BuiltinCatalog(YAMLFileCatalog):  # type: ignore[misc]
    """The catalogs that travel with the package, in one; it shows what each of them is."""

    _ipython_display_ = None  # intake's hides _repr_html_ from notebooks

    def _facts(self) -> dict[str, str]:
        return {f"tcga.{name}": self._entries[name].describe()["description"] for name in self}

    def __repr__(self) -> str:
        return text_facts("<tcga: public cancer-expression data and slides>", self._facts())

    def _repr_html_(self) -> str:
        return html_facts("tcga: public cancer-expression data and slides", self._facts())

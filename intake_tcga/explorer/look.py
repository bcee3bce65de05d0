"""How the page looks: colours, spacing, and the order on a narrow screen."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

from intake_tcga.facts import said_facts

# Widths are those of the page, which in a notebook is narrower than the window.
PAGE = """
:host { display: block; container-type: inline-size; width: 100%; box-sizing: border-box; max-width: 1440px;
  margin: 0 auto; padding: 20px;
  font-family: system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; color: #1f2933; }
@media (max-width: 560px) { :host { padding: 12px; } }
"""

GRID = """
:host { display: grid; grid-template-columns: 290px minmax(0, 1fr); gap: 20px; align-items: start; width: 100%; }
@container (max-width: 800px) { :host { grid-template-columns: minmax(0, 1fr); gap: 14px; } }
"""

PAIR = """
:host { display: grid; grid-template-columns: minmax(0, 3fr) minmax(0, 2fr); gap: 20px; align-items: start;
  width: 100%; }
@container (max-width: 1100px) { :host { grid-template-columns: minmax(0, 1fr); gap: 14px; } }
"""

ALONE = ":host { display: grid; grid-template-columns: minmax(0, 1fr); width: 100%; }"

CARD = """
:host { width: 100%; box-sizing: border-box; background: #ffffff; border: 1px solid #e3e7ec;
  border-radius: 12px; padding: 16px 18px; box-shadow: 0 1px 2px rgb(31 41 51 / 5%); }
"""

BUTTONS = """
.bk-btn-group { flex-wrap: wrap; gap: 6px; justify-content: flex-start; }
.bk-btn-group > .bk-btn { flex: 0 1 auto !important; width: auto !important; }
.bk-btn-group > .bk-btn, .bk-btn { border-radius: 8px !important; border: 1px solid #d5dbe1; font-weight: 500;
  padding: 5px 11px; }
.bk-btn-group > .bk-btn.bk-active { background: #0072B2 !important; color: #ffffff !important;
  border-color: #0072B2 !important; }
.bk-btn.bk-btn-primary { background: #0072B2; border-color: #0072B2; width: 100%; padding: 8px; }
"""

FIELD = """
label { font-size: 12px; font-weight: 600; color: #52606d; margin-bottom: 2px; }
.bk-input { border-radius: 8px; border-color: #cbd2d9; }
.bk-input:focus { border-color: #0072B2; box-shadow: 0 0 0 3px rgb(0 114 178 / 18%); }
"""

DOCUMENT = """
{% extends base %}
{% block postamble %}
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>body { background: #f4f6f8; height: auto; min-height: 100%; }</style>
{% endblock %}
{% block contents %}{{ embed(roots.page) }}{% endblock %}
"""
"""The document that is served: as wide as a phone is, and no wider."""

HEADER = """
<div style="display:flex;flex-wrap:wrap;align-items:baseline;gap:4px 12px">
<span style="font-size:20px;font-weight:700;letter-spacing:-0.01em">intake-tcga</span>
<span style="color:#616e7c">public cancer data, real and synthetic</span></div>
"""


def heading(text: str, beside: str = "") -> str:
    """Return a card's heading, and what stands beside it."""
    note = f"<span style='color:#616e7c;font-size:13px'>{escape(beside)}</span>" if beside else ""
    return (
        f"<div style='display:flex;flex-wrap:wrap;align-items:baseline;gap:2px 10px;margin-bottom:6px'>"
        f"<span style='font-size:16px;font-weight:650;overflow-wrap:anywhere'>{escape(text)}</span>{note}</div>"
    )


def sentence(text: str, *, bad: bool = False) -> str:
    """Return a sentence, calm or as a warning."""
    if not text:
        return ""
    colours = "background:#fdf1ea;border-left:4px solid #D55E00" if bad else "background:#eef4f9"
    role = "alert" if bad else "status"
    return (
        f"<div role='{role}' style='{colours};border-radius:6px;padding:9px 12px;margin-bottom:12px;"
        f"white-space:pre-wrap;overflow-wrap:anywhere'>{escape(text)}</div>"
    )


def picture(png: str, alt: str) -> str:
    """Return an image that is as wide as its card, given its base64."""
    return (
        f"<img alt='{escape(alt, quote=True)}' src='data:image/png;base64,{png}' "
        f"style='display:block;width:100%;max-height:80vh;object-fit:contain'>"
    )


def facts(about: Mapping[str, object]) -> str:
    """Return what is known of an entry, a line a field."""
    lines = "".join(
        "<div style='display:grid;grid-template-columns:116px minmax(0,1fr);gap:0 12px;align-items:baseline'>"
        f"<span style='color:#616e7c;overflow-wrap:anywhere'>{escape(name)}</span>"
        f"<span style='overflow-wrap:anywhere'>{escape(said)}</span></div>"
        for name, said in said_facts(about).items()
    )
    return (
        "<div style='display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,300px),1fr));gap:4px 28px;"
        f"font-size:13px;line-height:1.45'>{lines}</div>"
    )

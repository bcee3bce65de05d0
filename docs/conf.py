"""How the documentation is built: nothing is fetched, and every notebook runs on the offline sample."""

from __future__ import annotations

import os
import re
import shutil
import sys
import tempfile
from pathlib import Path

from intake_tcga import __version__

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

# -- what it is ----------------------------------------------------------------------------------------------------

project = "intake-tcga"
author = "the intake-tcga developers"
project_copyright = "the intake-tcga developers"
version = release = __version__

# -- how the notebooks run -----------------------------------------------------------------------------------------

# A cache of their own, so that a build neither sees nor touches the one of whoever builds.
_scratch = Path(tempfile.mkdtemp(prefix="intake-tcga-docs-"))
os.environ["INTAKE_TCGA_CACHE_DIR"] = str(_scratch / "cache")
os.environ["SYNG_BTS_CACHE_DIR"] = str(_scratch / "no-syng-bts")
for _name in (
    "INTAKE_TCGA_OFFLINE",
    "INTAKE_TCGA_READ_ONLY_ROOTS",
    "INTAKE_TCGA_GDC_URL",
    "GDC_TOKEN",
    "GDC_TOKEN_FILE",
):
    os.environ.pop(_name, None)
os.environ["TQDM_DISABLE"] = "1"  # a progress bar has no place in a page
os.environ["COLUMNS"] = "100"
# `!intake-tcga …` in a notebook is the program of the environment that builds.
os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])

nb_execution_mode = "force"
nb_execution_timeout = 120
nb_execution_raise_on_error = (
    False  # a failing cell is a warning, so that one build (with -W) tells all of them
)
nb_execution_show_tb = True
nb_merge_streams = True

# -- how it is made ------------------------------------------------------------------------------------------------

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",  # the docstrings are in numpydoc's style
    "sphinx_click",
    "fields",
    "homes",
    "house",
]
smartquotes = False  # --manifest is no dash
source_suffix = {".md": "myst-nb"}
exclude_patterns = ["_build", "jupyter_execute", "_ext"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
maximum_signature_line_length = 80
napoleon_google_docstring = False
napoleon_use_rtype = False
napoleon_preprocess_types = False
python_use_unqualified_type_names = True

# Our own names must resolve; those of other packages are not looked up, for that would take the internet.
nitpicky = True
nitpick_ignore_regex = [(r"py:.*", r"(?!intake_tcga\.).*"), (r"py:mod", r".*")]

# -- how it looks --------------------------------------------------------------------------------------------------

html_theme = "furo"
html_title = f"intake-tcga {__version__}"
html_static_path = ["_static"]
html_css_files = ["docs.css"]
html_show_sphinx = False
html_copy_source = False
html_theme_options = {"navigation_with_keys": True}
pygments_style = "default"


def as_text(app, context, lines):
    """Keep help texts from being read as reStructuredText: BRCA_….h5 is no link."""
    lines[:] = [re.sub(r"(?<=\w)_(?=\W)", r"\\_", line) for line in lines]


def examples_as_code(app, context, lines):
    """Show the example lines of a help text as code; sphinx-click makes a block of verse of them."""
    is_example = [line.startswith("| ") and "intake-tcga " in line for line in lines]
    shown = []
    for line, example, first in zip(
        lines, is_example, [True, *(not one for one in is_example)], strict=False
    ):
        shown += [".. code-block:: text", ""] if example and first else []
        shown.append("   " + line.removeprefix("| ").strip() if example else line)
    lines[:] = shown


def setup(app):
    """Leave nothing behind."""
    app.connect("sphinx-click-process-options", as_text)
    app.connect("sphinx-click-process-description", examples_as_code)
    app.connect("build-finished", lambda *_: shutil.rmtree(_scratch, ignore_errors=True))

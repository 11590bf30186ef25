"""How Sphinx builds these pages: `make docs`, or `sphinx-build -W -b html docs docs/_build/html`."""

import sys
from pathlib import Path

import django
from django.conf import settings

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

# The Python reference is read from the code, and models can't be imported without settings.
settings.configure(
    SECRET_KEY="for reading docstrings only",  # noqa: S106
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "truss_portal"],
    USE_TZ=True,
)
django.setup()

import truss_portal  # noqa: E402 - needs the path above

project = "truss_portal"
copyright = "the truss_portal maintainers"
release = truss_portal.__version__
version = release

extensions = ["myst_parser", "sphinx.ext.autodoc"]
exclude_patterns = ["_build", "requirements.*", "screenshots.py"]
nitpicky = False
default_role = "code"

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

autodoc_typehints = "signature"
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
add_module_names = False

html_theme = "furo"
html_title = f"truss_portal {release}"
html_show_sourcelink = False
html_copy_source = False
# Furo ships its own script and style and asks for no font; pygments' two styles are from its wheel.
html_theme_options = {"top_of_page_buttons": []}

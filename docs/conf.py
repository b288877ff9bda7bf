"""How Sphinx builds the documentation: offline, with warnings as errors, and with every example of the gallery run."""

import sys
from pathlib import Path

import locenc

sys.path.insert(0, str(Path(__file__).parent / "extensions"))

project = "locenc"
author = "the locenc developers"
project_copyright = "2026, the locenc developers"
version = release = locenc.__version__

extensions = [
    "command_help",
    "mathml",
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_parts", "gallery"]
templates_path = ["templates"]
default_role = "literal"

myst_enable_extensions = ["dollarmath", "amsmath", "colon_fence"]
myst_heading_anchors = 3

# The reference is made from docstrings in NumPy's style.
autosummary_generate = True
autosummary_imported_members = True
autodoc_typehints = "none"
autodoc_member_order = "bysource"
napoleon_google_docstring = False
napoleon_use_param = False  # types are words here, no links
napoleon_use_rtype = False

html_theme = "pydata_sphinx_theme"
html_math_renderer = "mathml"
html_title = f"locenc {version}"
html_show_sourcelink = False
html_theme_options = {
    "navbar_align": "left",
    "header_links_before_dropdown": 7,
    "footer_start": ["copyright"],
    "footer_end": [],
}

sphinx_gallery_conf = {
    "examples_dirs": "gallery",
    "gallery_dirs": "auto_gallery",
    "image_scrapers": ("unmanaged_figures.scrape", "matplotlib"),
    "remove_config_comments": True,
    "ignore_repr_types": r"matplotlib",
    "within_subsection_order": "FileNameSortKey",
    "only_warn_on_example_error": False,
    "abort_on_example_error": True,
    "download_all_examples": False,
    "show_signature": False,
    "reset_modules": ("matplotlib",),
}

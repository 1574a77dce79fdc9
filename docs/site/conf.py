"""Sphinx' settings for the docs site. The pages are written for repositories' own viewers too; `docs/build.py` stages them."""

project = "gameedge"
author = "The gameedge authors"
copyright = "The gameedge authors, Apache-2.0"
extensions = ["myst_parser"]
root_doc = "docs/index"
source_suffix = {".md": "markdown"}
nitpicky = True
myst_heading_anchors = 5
myst_enable_extensions = ["fieldlist"]
# Reference pages go from "##" to "####": a message is smaller than a section.
suppress_warnings = ["myst.header"]
html_theme = "furo"
html_title = "gameedge"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_favicon = "static/icon.svg"
html_logo = "static/icon.svg"
html_show_sphinx = False
html_copy_source = False
html_show_sourcelink = False
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#0b6ea8", "color-brand-content": "#0b6ea8"},
    "dark_css_variables": {
        "color-brand-primary": "#4cc2ff",
        "color-brand-content": "#4cc2ff",
        "color-background-primary": "#0b0f16",
        "color-background-secondary": "#121924",
        "color-background-border": "#2b3a4f",
    },
}

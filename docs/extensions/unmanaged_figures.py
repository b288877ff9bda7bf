"""Pictures of the gallery that pyplot does not know: the figures that `locenc.maps` returns."""

from typing import Any

from matplotlib.figure import Figure
from sphinx_gallery.scrapers import figure_rst


def scrape(block: Any, block_vars: dict[str, Any], gallery_conf: dict[str, Any]) -> str:
    """Save the figures that a block of an example has left in its variables, and were not saved before."""
    saved: set[int] = block_vars["example_globals"].setdefault("__saved_figures__", set())
    text = ""
    for figure in list(block_vars["example_globals"].values()):
        if not isinstance(figure, Figure) or id(figure) in saved or figure.canvas.manager is not None:
            continue  # one with a manager is pyplot's
        saved.add(id(figure))
        path = next(block_vars["image_path_iterator"])
        figure.savefig(path, dpi=110)
        titles = [said.get_text() for said in figure.texts[:1]]
        titles += [axes.get_title(loc="left") for axes in figure.axes]
        text += figure_rst([path], gallery_conf["src_dir"], ", ".join(filter(None, titles)))
    return text

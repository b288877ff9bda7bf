"""Pictures of the gallery that pyplot does not know: the figures that `locenc.maps` returns."""

from typing import Any

from matplotlib.figure import Figure
from sphinx_gallery.scrapers import figure_rst


def scrape(block: Any, block_vars: dict[str, Any], gallery_conf: dict[str, Any]) -> str:
    """Save the figures that a block of an example has left in its variables, each once, and not those of pyplot.

    It has to run before the scraper of pyplot's figures, which closes them: then they cannot be told from others.
    """
    variables = block_vars["example_globals"]
    known: list[Figure] = variables.setdefault("__known_figures__", [])
    text = ""
    for figure in [one for one in variables.values() if isinstance(one, Figure)]:
        if any(figure is one for one in known):
            continue
        known.append(figure)
        if figure.canvas.manager is None:
            path = next(block_vars["image_path_iterator"])
            figure.savefig(path, dpi=110)
            titles = [said.get_text() for said in figure.texts[:1]]
            titles += [axes.get_title(loc="left") for axes in figure.axes]
            text += figure_rst([path], gallery_conf["src_dir"], ", ".join(filter(None, titles)))
    return text

"""Where a class is likely: maps of P(label | location) of a fine-tuned head."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from locenc._names import unknown
from locenc.maps.running import run
from locenc.maps.sheet import Sheet, check_maps, field

__all__ = ["probability"]

MOST = 12


def probability(
    encoder: Any,
    head: nn.Module | None = None,
    *,
    label: int | str | Sequence[int | str],
    classes: Sequence[str] | None = None,
    over: str = "land",
    title: str = "",
    bounds: Sequence[float] | None = None,
    crs: Any = None,
    pixels: int = 1200,
    ax: Any = None,
) -> Any:
    """Map of P(label | location), one for each label.

    The probability is that of the centre of each pixel: nothing is interpolated.

    Parameters
    ----------
    encoder : Module, or what ``locenc.load_torchspatial`` and its siblings return
        Maps (N, 2) float64 (longitude, latitude) in degrees to (N, d); what was loaded brings its head along.
    head : Module, optional
        Maps (N, d) to logits, of which the softmax is taken; or has ``probabilities``, as the heads of `locenc_csp`; or
        ends in a sigmoid or softmax.
    label : int, str, or a sequence of them
        Classes: their numbers, or names out of ``classes``; at most 12.
    classes : sequence of str, optional
        Names of all classes in order.
    over : {"land", "globe"}
        Where to draw.
    title : str
        Above the maps.
    bounds, crs, pixels
        As in `locenc.maps.similarity`.
    ax : axes or sequence of axes, optional
        One for each label.

    Returns
    -------
    Figure, axes or sequence of axes
        Not registered with pyplot; ``figure.savefig("label.png", dpi=150)`` writes it. The axes if given.

    Raises
    ------
    ImportError
        If matplotlib is missing.
    TypeError
        If encoder or head is no module, or a label neither number nor name.
    ValueError
        For an unknown label, no head, an output that is no probability, and as `locenc.maps.similarity`.

    Examples
    --------
    >>> encoder, head = locenc.Wrap(dim=8), torch.nn.Linear(8, 3)
    >>> figure = locenc.maps.probability(encoder, head, label="owl", classes=["cat", "owl", "fox"], pixels=64)
    >>> figure.axes[0].get_title(loc="left")
    'P(owl | location)'
    """
    if head is None and hasattr(encoder, "encoder"):
        encoder, head = encoder.encoder, encoder.head
    if not isinstance(head, nn.Module):
        missing = "there is none" if head is None else f"got {type(head).__name__}"
        raise (ValueError if head is None else TypeError)(f"head must be a torch module that scores classes, {missing}")
    read = _reader(head)
    count = run(encoder, np.zeros((1, 2)), lambda rows: _checked(read(rows)), beside=head).shape[1]
    numbers = _numbers(label, classes, count)
    names = [classes[number] if classes is not None else str(number) for number in numbers]
    sheet = Sheet([f"P({name} | location)" for name in names], [bounds] * len(names), crs, ax, heading=title)
    values = _values(
        sheet,
        lambda lonlat: run(encoder, lonlat, lambda rows: _checked(read(rows))[:, numbers], beside=head),
        over,
        pixels,
    )
    most = float(np.nanmax([np.nanmax(panel) for panel in values])) or 1.0
    for canvas, panel in zip(sheet.canvases, values, strict=True):
        image = canvas.picture(panel, cmap="viridis", vmin=0.0, vmax=1.0 if most > 0.5 else most)
    sheet.bar(image, f"P({names[0] if len(names) == 1 else 'label'} | location)")
    return sheet.result


def _values(
    sheet: Sheet, function: Callable[[NDArray[np.float64]], NDArray[np.float32]], over: str, pixels: int
) -> list[NDArray[np.float32]]:
    """A picture for each map; once for all where they show the same."""
    first = sheet.canvases[0]
    shared = all(
        canvas.frame == first.frame and canvas.projection.name == first.projection.name for canvas in sheet.canvases
    )
    if shared and not hasattr(first.axes, "projection"):
        return list(np.moveaxis(field(first, function, over=over, pixels=pixels), -1, 0))
    return [
        field(canvas, function, over=over, pixels=pixels)[..., number] for number, canvas in enumerate(sheet.canvases)
    ]


def _reader(head: nn.Module) -> Callable[[Tensor], Tensor]:
    """What makes probabilities of embeddings, on the head's device."""
    weights = next(head.parameters(), None)
    device = torch.device("cpu") if weights is None else weights.device
    own = getattr(head, "probabilities", None)
    last = head[-1] if isinstance(head, nn.Sequential) and len(head) else head

    def read(rows: Tensor) -> Tensor:
        rows = rows.to(device, torch.float32 if weights is None else weights.dtype)
        try:
            found = own(rows) if callable(own) else head(rows)
        except RuntimeError as error:  # of torch, for another number of columns
            raise ValueError(f"the head does not take embeddings of {rows.shape[-1]} columns: {error}") from error
        if not callable(own) and not isinstance(last, (nn.Sigmoid, nn.Softmax)):
            found = torch.softmax(found.float(), -1)
        probabilities: Tensor = found.to("cpu", torch.float32)
        return probabilities

    return read


def _checked(values: Tensor) -> Tensor:
    if values.ndim != 2 or not bool(((values >= 0) & (values <= 1 + 1e-5)).all()):
        raise ValueError("the head must give (N, classes) probabilities in [0, 1], or logits of which they are made")
    return values


def _numbers(label: Any, classes: Sequence[str] | None, count: int) -> list[int]:
    if classes is not None and len(classes) != count:
        raise ValueError(f"classes must name the head's {count} classes, got {len(classes)} names")
    if isinstance(label, (str, int, np.integer)):
        labels = [label]
    elif isinstance(label, Iterable):
        labels = list(label)
    else:
        raise TypeError(f"label must be a class, by number or name, or several, got {label!r:.80}")
    check_maps("labels", len(labels), MOST)
    found = []
    for one in labels:
        if isinstance(one, str):
            if classes is None:
                raise ValueError(f"label {one!r} is a name: give the names of all classes in order, classes=[...]")
            if one not in classes:
                raise ValueError(unknown("label", one, classes, hint=f"There are {count} classes."))
            found.append(list(classes).index(one))
        elif isinstance(one, bool) or not 0 <= one < count:
            raise ValueError(f"label must be a class from 0 to {count - 1}, or a name, got {one!r}")
        else:
            found.append(int(one))
    return found

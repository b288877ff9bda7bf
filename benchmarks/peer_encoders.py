"""The position encoders of TorchSpatial and GeoCLIP, as their own code computes them."""

from collections.abc import Callable
from types import ModuleType
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from benchmarks.naive import FORMS, Naive
from benchmarks.peers import peer_file

Array = Any  # of numpy
EXTENT = (-180, 180, -90, 90)
RADII = ("min_radius", "max_radius")

#: Class in TorchSpatial's file, and names of its options among ours.
TORCHSPATIAL: dict[str, tuple[str, tuple[str, ...]]] = {
    "sphereC": ("Sphere", RADII),
    "sphereC+": ("SphereGird", RADII),
    "sphereM": ("SphereMixScale", RADII),
    "sphereM+": ("SphereGridMixScale", RADII),
    "dfs": ("DFT", RADII),
    "grid": ("GridCell", RADII),
    "theory": ("TheoryGridCell", RADII),
    "nerf": ("NERF", ()),
    "rff": ("RFF", ()),
    "wrap": ("AodhaFFT", ()),
    "xyz": ("XYZ", ()),
}


class PeerEncoder(NamedTuple):
    """A peer's encoder: what it makes of coordinates as it wants them, and what that should be."""

    prepare: Callable[[Tensor], Any]
    encode: Callable[[Any], Tensor]
    expected: Callable[[Tensor], Tensor]


def torchspatial_file() -> ModuleType | None:
    """The file with TorchSpatial's encoders."""
    return peer_file(
        "torchspatial/SpatialRelationEncoder.py",
        install="pip install --no-deps torchspatial",
        stand_ins={"spherical_harmonics_ylm_numpy": {"get_positional_encoding": None}},
    )


def torchspatial(file: ModuleType, form: Naive, size: int) -> PeerEncoder | None:
    """TorchSpatial's encoder, or None where it has none.

    Its sphereM+ and dfs have another list of frequencies, which costs the same.
    """
    if form.name not in TORCHSPATIAL:
        return None
    name, options = TORCHSPATIAL[form.name]
    settings: dict[str, Any] = {option: form.options[option] for option in options}
    settings |= {"frequency_num": size} if form.size else {}
    settings |= {"extent": EXTENT} if form.name in ("rff", "wrap") else {}
    settings |= {"do_pos_enc": True} if form.name == "wrap" else {}
    encoder: nn.Module = getattr(file, f"{name}SpatialRelationPositionEncoder")(device="cpu", **settings)
    drawn = [encoder.dirvec, encoder.shift] if form.name == "rff" else []
    constants = drawn or [torch.as_tensor(encoder.freq_list)] if form.size else []

    def expected(lonlat: Tensor) -> Tensor:
        features = form.features(lonlat, *(constant.double() for constant in constants))
        return features[:, torchspatial_order(form.name, size, features.shape[1])]

    def encode(points: Array) -> Tensor:
        features: Tensor = encoder(points.copy() if form.name == "wrap" else points)  # wrap scales them in place
        return features[:, 0]

    return PeerEncoder(lambda lonlat: lonlat.numpy()[:, None], encode, expected)


def torchspatial_order(name: str, size: int, count: int) -> Tensor:
    """For each of its columns, the column of ours: its scales stand outside."""
    order = torch.arange(count)
    if name in ("nerf", "rff", "wrap", "xyz"):
        return order
    if name == "grid":
        return order.view(2, 2, size).transpose(1, 2).flatten()
    if name == "dfs":
        products, singles = order[: 4 * size**2], order[4 * size**2 :]
        of_lon = products.view(2, 2, size, size).transpose(1, 2).flatten()
        return torch.cat([of_lon, singles.view(4, size).T.flatten()])
    return order.view(-1, size).T.flatten()


def geoclip(size: int) -> PeerEncoder | None:
    """GeoCLIP's projection and features, of latitude and longitude in float32."""
    file = peer_file(
        "geoclip/model/location_encoder.py", install="pip install --no-deps geoclip", stand_ins={"pandas": {}}
    )
    if file is None:
        return None
    encodings = [file.GaussianEncoding(sigma=sigma, input_size=2, encoded_size=size) for sigma in (1, 16, 256)]

    def encode(points: Tensor) -> Tensor:
        place = file.equal_earth_projection(points)
        return torch.cat([encoding(place) for encoding in encodings], 1)

    def expected(lonlat: Tensor) -> Tensor:
        return FORMS["geoclip"].features(lonlat, torch.stack([encoding.b for encoding in encodings]).double())

    return PeerEncoder(lambda lonlat: lonlat.flip(1).float().contiguous(), encode, expected)

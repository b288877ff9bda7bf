"""What encoders do with unusual places: nothing is timed; each row is what an installed project's own code did."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

import locenc
from benchmarks import peer_encoders, peer_harmonics
from benchmarks.command import options
from benchmarks.naive import FORMS
from benchmarks.report import Report, shown

Encode = Callable[[Tensor], Tensor]  # (N, 2) float64 degrees, longitude first, to features

SCALES = 64


def main(arguments: Sequence[str] | None = None) -> Report:
    """Run the command; see ``--help``."""
    given = options("behaviour", __doc__, arguments)
    report = Report("behaviour", "Unusual places", {}, counted=True)
    encoders = dict(candidates())
    rows = [(question, *(answer(encode) for encode in encoders.values())) for question, answer in QUESTIONS.items()]
    report.table(
        "What comes out",
        ("asked", *encoders),
        rows,
        note=f"sphereC has {SCALES} scales between 1e-3 and 1 radians, harmonics have 10 degrees. Numbers are the "
        "largest difference of a feature between two places at 45° N.",
    )
    report.finish(path=given.json, save=given.save)
    return report


def candidates() -> list[tuple[str, Encode]]:
    """Ours, and those of projects that are installed."""
    found: list[tuple[str, Encode]] = [
        ("locenc, sphereC", locenc.position_encoder("sphere2vec-sphereC", num_scales=SCALES)),
        ("locenc, harmonics", locenc.position_encoder("spherical-harmonics", num_degrees=10)),
    ]
    file = peer_encoders.torchspatial_file()
    made = None if file is None else peer_encoders.torchspatial(file, FORMS["sphereC"], SCALES)
    for name, peer in (("TorchSpatial, sphereC", made), ("GeoCLIP, features", peer_encoders.geoclip(SCALES))):
        if peer is not None:
            found.append((name, _of_peer(peer)))
    found += [("SatCLIP, harmonics", _of_peer(p)) for p in peer_harmonics.peers(10) if p.name == "SatCLIP float64"]
    return found


def _of_peer(peer: peer_encoders.PeerEncoder | peer_harmonics.PeerHarmonics) -> Encode:
    return lambda lonlat: peer.encode(peer.prepare(lonlat))


def refused_or(encode: Encode, *place: float) -> str:
    """What becomes of a place: "refused", "NaN" or "a vector"."""
    try:
        features = encode(torch.tensor([place], dtype=torch.float64))
    except ValueError:
        return "refused"
    return "a vector" if bool(features.isfinite().all()) else "NaN"


def difference(encode: Encode, *places: tuple[float, float]) -> str:
    """Largest difference of a feature between two places."""
    one, other = encode(torch.tensor(places, dtype=torch.float64))
    return shown(float((one - other).abs().max()))


def gradient(encode: Encode) -> str:
    """Whether a gradient reaches the coordinates."""
    lonlat = torch.tensor([[2.35, 48.86]], dtype=torch.float64, requires_grad=True)
    try:
        torch.autograd.grad(encode(lonlat).sum(), lonlat)
    except RuntimeError:
        return "no"
    return "yes"


QUESTIONS: dict[str, Callable[[Encode], str]] = {
    "latitude NaN": lambda encode: refused_or(encode, 2.35, float("nan")),
    "latitude 95": lambda encode: refused_or(encode, 2.35, 95.0),
    "columns swapped (Tokyo)": lambda encode: refused_or(encode, 35.7, 139.7),
    "180 against -180": lambda encode: difference(encode, (180.0, 45.0), (-180.0, 45.0)),
    "190 against -170, one place": lambda encode: difference(encode, (190.0, 45.0), (-170.0, 45.0)),
    "gradient of the coordinates": gradient,
}

if __name__ == "__main__":
    main()

"""Cases for one position encoder: ours, its naive form eager and compiled, and its peers; each checked first."""

from collections.abc import Callable
from functools import cache
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from benchmarks import peer_encoders
from benchmarks.correct import check
from benchmarks.naive import Naive
from benchmarks.timing import Call

OURS, FILL, EAGER32, EAGER64 = "ours", "memory fill", "eager float32", "eager float64"
COMPILED32, COMPILED64 = "compiled float32", "compiled float64"
TORCHSPATIAL, GEOCLIP = "TorchSpatial", "GeoCLIP"

#: Allowed of float32 features that are right to the last bits, and of naive ones: NeRF's phases are the largest.
RIGHT, ROUGH, ROUGH_NERF = 3e-7, 5e-3, 0.1
#: Rows that are checked, at both ends.
CHECKED = 500


class Cases:
    """What is timed for one encoder and some coordinates.

    Parameters
    ----------
    form : Naive
        The encoder.
    size : int
        Its number of scales or directions.
    points : int
        Number of coordinates.
    compiled : bool
        Whether there are compiled cases.

    Notes
    -----
    Results are float32; "float64" is naive arithmetic in float64, rounded at the end: as right as ours. Naive float32
    gets its coordinates in float32.
    """

    def __init__(self, form: Naive, size: int, points: int, *, compiled: bool) -> None:
        self.form, self.size, self.compiled = form, size, compiled
        self.position = form.build(size)
        self.lonlat = coordinates(points)
        self.columns = int(self.position.out_dim)  # type: ignore[arg-type]
        self.rough = ROUGH_NERF if form.name == "nerf" else ROUGH
        self._ends = torch.cat([torch.arange(min(CHECKED, points)), torch.arange(max(0, points - CHECKED), points)])

    @property
    def numbers(self) -> int:
        """Features that a call makes."""
        return len(self.lonlat) * self.columns

    def forward(self, *, warm: bool, naive: bool = True, peers: bool = False) -> dict[str, Call]:
        """Encoding, checked.

        Parameters
        ----------
        warm : bool
            Whether ours writes to memory that is in use, and so does a fill of it.
        naive, peers : bool
            Whether the naive forms and the peers are among the cases.

        Raises
        ------
        WrongResultError
            If a case is wrong.
        """
        expected = self._in(torch.float64)(self.lonlat[self._ends])
        out = self.position(self.lonlat)
        cases: dict[str, Call] = {
            FILL: lambda: torch.empty_like(out).fill_(1.0),
            OURS: lambda: self.position(self.lonlat),
        }
        if warm:
            cases = {FILL: lambda: out.fill_(1.0), OURS: lambda: self.position(self.lonlat, out=out)}
        self._check(OURS, cases[OURS](), expected, tolerance=RIGHT)
        if naive:
            for name, (call, lonlat) in self._naive().items():
                self._check(name, call(lonlat), expected, tolerance=self.rough if "float32" in name else RIGHT)
                cases[name] = _bound(call, lonlat)
        return cases | (self._peers() if peers else {})

    def backward(self) -> dict[str, Call]:
        """Encoding and the gradient by coordinates, checked."""
        generator = torch.Generator().manual_seed(1)
        gradient = torch.randn(len(self.lonlat), self.columns, generator=generator)

        def back(encode: Callable[[Tensor], Tensor], lonlat: Tensor) -> Call:
            leaf = lonlat.clone().requires_grad_()
            if self.compiled:
                torch._dynamo.mark_dynamic(leaf, 0)
            return lambda: torch.autograd.grad(encode(leaf), leaf, gradient)[0]

        exact = self._in(torch.float64)
        rows = self.lonlat[self._ends].requires_grad_()
        expected = torch.autograd.grad(exact(rows), rows, gradient[self._ends])[0]
        cases = {OURS: back(self.position, self.lonlat)}
        cases |= {name: back(call, lonlat) for name, (call, lonlat) in self._naive(float64=False).items()}
        for name, call in cases.items():
            tolerance = (1e-5 if name == OURS else self.rough) * float(expected.abs().max())
            self._check(f"{name}, gradient", call(), expected, tolerance=tolerance)
        return cases

    def _naive(self, *, float64: bool = True) -> dict[str, tuple[Callable[[Tensor], Tensor], Tensor]]:
        """The naive form in each way, with coordinates of its dtype."""
        eager = {EAGER32: (self._in(torch.float32), self.lonlat.float())}
        if float64:
            eager[EAGER64] = (self._in(torch.float64), self.lonlat)
        if not self.compiled:
            return eager
        torch._dynamo.reset()
        compiled = {}
        for name, (call, lonlat) in eager.items():
            torch._dynamo.mark_dynamic(lonlat, 0)
            compiled[name.replace("eager", "compiled")] = (torch.compile(call), lonlat)
        return eager | compiled

    def _in(self, dtype: torch.dtype) -> Callable[[Tensor], Tensor]:
        features = self.form.bind(self.position, dtype)
        return lambda lonlat: features(lonlat).float()

    def _peers(self) -> dict[str, Call]:
        found = {TORCHSPATIAL: torchspatial(self.form, self.size)}
        if self.form.name == "geoclip":
            found = {GEOCLIP: peer_encoders.geoclip(self.size)}
        cases: dict[str, Call] = {}
        for name, peer in found.items():
            if peer is not None:
                points = peer.prepare(self.lonlat)
                expected = peer.expected(self.lonlat[self._ends])
                self._check(name, peer.encode(points), expected, tolerance=ROUGH if name == GEOCLIP else 1e-6)
                cases[name] = _bound(peer.encode, points)
        return cases

    def _check(self, name: str, result: Any, expected: Tensor, *, tolerance: float) -> None:
        check(f"{self.form.name}, {name}", result.detach()[self._ends], expected, tolerance=tolerance)


def coordinates(points: int) -> Tensor:
    """Random places all over the map, (N, 2) degrees in float64."""
    generator = torch.Generator().manual_seed(0)
    return (torch.rand(points, 2, generator=generator, dtype=torch.float64) - 0.5) * torch.tensor([360.0, 180.0])


@cache
def _file() -> ModuleType | None:
    return peer_encoders.torchspatial_file()


def torchspatial(form: Naive, size: int) -> peer_encoders.PeerEncoder | None:
    """TorchSpatial's encoder, if it is installed and has it."""
    file = _file()
    return None if file is None else peer_encoders.torchspatial(file, form, size)


def _bound(call: Callable[..., Tensor], points: object) -> Call:
    return lambda: call(points)

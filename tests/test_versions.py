"""What `show_versions` says of CUDA devices, with torch's answers put into its mouth; what reprs say."""

import sys
from types import SimpleNamespace

import pytest
import torch

import locenc
from locenc.kernels import choice
from locenc.kernels.choice import interpreted

pytestmark = pytest.mark.skipif(interpreted(), reason="the interpreter is another case")

CARDS = {"H100": (9, 0), "RTX 3090": (8, 6), "T4": (7, 5)}


@pytest.fixture
def cards(monkeypatch: pytest.MonkeyPatch):
    """A function that lets torch find cards."""

    def find(*names: str) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: bool(names))
        monkeypatch.setattr(torch.cuda, "device_count", lambda: len(names))
        monkeypatch.setattr(torch.cuda, "get_device_name", lambda index: names[index])
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda index: CARDS[names[index]])
        choice.missing.cache_clear()

    yield find
    monkeypatch.undo()
    choice.missing.cache_clear()


def cuda_line(capsys: pytest.CaptureFixture[str]) -> str:
    locenc.show_versions()
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("CUDA: ")]
    return line


def without_triton(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "triton", None)
    monkeypatch.setitem(sys.modules, "triton.language", None)


def test_no_card(cards, capsys) -> None:
    cards()
    assert cuda_line(capsys) == "CUDA: torch finds no such device"


def test_cards(cards, capsys) -> None:
    pytest.importorskip("triton")
    cards("H100")
    rest = "; float64 features by the reference, plain torch"
    assert cuda_line(capsys) == f"CUDA: triton kernels for H100 (compute capability 9.0){rest}"
    cards("H100", "RTX 3090")
    two = "H100 (compute capability 9.0) and RTX 3090 (compute capability 8.6)"
    assert cuda_line(capsys) == f"CUDA: triton kernels for {two}{rest}"


def test_an_old_card(cards, capsys) -> None:
    cards("H100", "T4")
    assert cuda_line(capsys) == (
        "CUDA: the reference, plain torch, for H100 (compute capability 9.0) and T4 (compute capability 7.5), because "
        "the kernels are for compute capability 8.0 and newer, but T4 has 7.5"
    )


@pytest.mark.parametrize("platform", ["linux", "win32"])
def test_no_triton(cards, capsys, monkeypatch: pytest.MonkeyPatch, platform: str) -> None:
    without_triton(monkeypatch)
    monkeypatch.setattr(choice.sys, "platform", platform)
    cards("H100")
    line = cuda_line(capsys)
    assert line.startswith("CUDA: the reference, plain torch, for H100 (compute capability 9.0), because triton cannot")
    assert line.endswith("; it is for Linux") == (platform == "win32")


def test_rocm(cards, capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.version, "hip", "6.2")
    cards("MI300")
    line = cuda_line(capsys)
    assert line.startswith("CUDA: the reference, plain torch, for MI300, because torch was built for ROCm")


def test_the_interpreter(cards, capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    cards()
    assert cuda_line(capsys).startswith("CUDA: torch finds no such device; TRITON_INTERPRET=1 is set, so Triton's")
    cards("H100")
    assert cuda_line(capsys).startswith("CUDA: the reference, plain torch, for H100 (compute capability 9.0), because")


def test_the_line_of_macs(cards, capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    cards()
    monkeypatch.setattr(sys, "platform", "darwin")
    locenc.show_versions()
    assert "MPS: has no float64" in capsys.readouterr().out


def test_reprs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "missing", lambda name: None)
    encoder = locenc.position_encoder("xyz")
    assert "backend='numba'" in repr(encoder)

    on_a_card = SimpleNamespace(device=torch.device("cuda"))
    monkeypatch.setattr(type(encoder), "buffers", lambda self: iter([on_a_card]))
    assert "backend='triton'" in repr(encoder)
    encoder.dtype = torch.float64
    assert "backend='reference'" in repr(encoder)
    monkeypatch.setattr(choice, "missing", lambda name: "it is not there")
    assert "backend='reference'" in repr(encoder)


def test_packages_of_extras_are_listed_where_they_are_installed(capsys: pytest.CaptureFixture[str]) -> None:
    import geopandas

    locenc.show_versions()
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("with ")]
    assert f"geopandas {geopandas.__version__}" in line
    assert "not installed" not in line

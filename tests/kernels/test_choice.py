"""Which implementation runs, where it cannot, and what `show_versions` says of it: mostly in processes of their own."""

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import locenc
from locenc.kernels.choice import missing

PACKAGES = Path(locenc.__file__).resolve().parent.parent  # this locenc, installed or not
needs_numba = pytest.mark.skipif(missing("numba") is not None, reason=str(missing("numba")))
needs_x86 = pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="names of x86 processors")

FEATURES = """
import torch, locenc
encoder = locenc.position_encoder("sphere2vec-sphereC", num_scales=5)
lonlat = torch.tensor([[2.3522, 48.8566], [-179.9, -90.0]], dtype=torch.float64, requires_grad=True)
features = encoder(lonlat)
features.sum().backward()
expected = encoder(lonlat, backend="reference")
assert (features - expected).abs().max() < 2.5e-7, "wrong numbers"
locenc.show_versions()
"""


def run(code: str, *, check: bool = True, **environment: str) -> str:
    """What a new process prints, errors included."""
    result = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(PACKAGES), **environment},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert not check or result.returncode == 0, result.stderr
    return result.stdout + result.stderr


def cpu_line(text: str) -> str:
    (line,) = [line for line in text.splitlines() if line.startswith("CPU: ")]
    return line


def test_the_choice_holds_within_the_block() -> None:
    encoder = locenc.position_encoder("sphere2vec-sphereC")
    lonlat = torch.rand(50, 2, dtype=torch.float64) * 90
    with locenc.backend("reference"):
        reference = encoder(lonlat)
        if missing("numba") is None:
            with locenc.backend("numba"):
                assert not torch.equal(encoder(lonlat), reference)
        assert torch.equal(encoder(lonlat), reference)
    assert torch.equal(encoder(lonlat, backend="reference"), reference)
    with pytest.raises(ZeroDivisionError), locenc.backend("reference"):
        _ = 1 / 0
    assert torch.equal(encoder(lonlat), encoder(lonlat, backend="numba" if missing("numba") is None else "reference"))


def test_backends_that_there_are_not() -> None:
    with pytest.raises(ValueError, match="unknown backend 'cuda'; there are 'reference', 'numba', 'triton'"):
        locenc.backend("cuda").__enter__()
    with pytest.raises(RuntimeError, match=r"the triton backend cannot run here: .*CUDA"):
        locenc.backend("triton").__enter__()
    with pytest.raises(ValueError, match="unknown backend 'fast'"):
        locenc.position_encoder("xyz")(torch.zeros(1, 2), backend="fast")


@needs_numba
def test_numba_is_for_the_cpu() -> None:
    encoder = locenc.position_encoder("xyz").to("meta")
    with pytest.raises(RuntimeError, match="numba backend is for the CPU, but the coordinates are on meta"):
        encoder(torch.zeros(1, 2, device="meta"), backend="numba")


@needs_numba
def test_here_the_kernels_run() -> None:
    line = cpu_line(run("import locenc; locenc.show_versions()"))
    assert line.startswith("CPU: numba kernels for ")
    assert "-bit vectors" in line


def test_the_repr_tells_what_runs() -> None:
    expected = "numba" if missing("numba") is None else "reference"
    assert f"backend='{expected}'" in repr(locenc.create("sphere2vec-sphereC"))


def test_no_numba(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['numba'] = None\n")
    line = cpu_line(run(FEATURES, PYTHONPATH=f"{tmp_path}{os.pathsep}{PACKAGES}"))
    assert line.startswith("CPU: the reference, plain torch, because numba cannot be imported")


@pytest.mark.parametrize("error", ["SystemError('initialization failed')", "ImportError('needs NumPy 1')"])
def test_numba_that_fails_to_import(tmp_path: Path, error: str) -> None:
    (tmp_path / "numba").mkdir()
    (tmp_path / "numba" / "__init__.py").write_text(f"raise {error}\n")
    path = f"{tmp_path}{os.pathsep}{PACKAGES}"
    line = cpu_line(run(FEATURES, PYTHONPATH=path))
    assert line.startswith("CPU: the reference, plain torch, because numba ")
    assert error.split("'")[1] in line
    asked = run("import locenc\nwith locenc.backend('numba'): pass", PYTHONPATH=path, check=False)
    assert "RuntimeError: the numba backend cannot run here: numba " in asked


@needs_numba
def test_jit_switched_off() -> None:
    line = cpu_line(run(FEATURES, NUMBA_DISABLE_JIT="1"))
    assert line == "CPU: the reference, plain torch, because NUMBA_DISABLE_JIT is set"


@needs_numba
@needs_x86
@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("skylake-avx512", "numba kernels for skylake-avx512 (512-bit vectors)"),
        ("haswell", "numba kernels for haswell (256-bit vectors)"),
        ("nehalem", "the reference, plain torch, because the CPU that numba compiles for (nehalem) has no fused"),
    ],
)
def test_other_processors(tmp_path: Path, name: str, says: str) -> None:
    from locenc.kernels.processor import processor

    if name == "skylake-avx512" and processor().vector_bits < 512:
        pytest.skip(f"this CPU ({processor().name}) cannot run AVX-512")
    text = run(FEATURES, NUMBA_CPU_NAME=name, NUMBA_CPU_FEATURES="", NUMBA_CACHE_DIR=str(tmp_path))
    assert cpu_line(text).startswith(f"CPU: {says}")


@needs_numba
def test_nowhere_to_keep_compiled_code() -> None:
    text = run(FEATURES, NUMBA_CACHE_LOCATOR_CLASSES="UserProvidedCacheLocator", NUMBA_CACHE_DIR="/dev/null/folder")
    assert "numba kernels" in text
    assert cpu_line(text).endswith("; no folder can be written, so each process compiles anew")


@needs_numba
def test_compiled_code_is_kept_and_spoilt_files_are_not_trusted(tmp_path: Path) -> None:
    folder = {"NUMBA_CACHE_DIR": str(tmp_path)}
    hits = "print('hits', sum(numba_sinusoids._forward.stats.cache_hits.values()))"
    code = f"{FEATURES}\nfrom locenc.kernels import numba_sinusoids\n{hits}"
    assert "hits 0" in run(code, **folder)
    assert "hits 1" in run(code, **folder)
    files = [path for path in tmp_path.rglob("*") if path.suffix in (".nbi", ".nbc")]
    assert files
    for path in files:
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert "hits 0" in run(code, **folder)
    assert "hits 1" in run(code, **folder)


@needs_numba
def test_a_full_disk(tmp_path: Path) -> None:
    limit = "import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))\n"
    signals = "import signal\nsignal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
    assert "numba kernels" in run(limit + signals + FEATURES, NUMBA_CACHE_DIR=str(tmp_path))

"""What is installed, and which implementation of the encoders runs here and why."""

import platform
import sys
from importlib.metadata import PackageNotFoundError, version

PACKAGES = ("torch", "numpy", "numba", "llvmlite", "safetensors", "triton")


def show_versions() -> None:
    """Print what a report of a problem needs: versions, and which implementation runs on which device, and why.

    Examples
    --------
    >>> locenc.show_versions()  # doctest: +SKIP
    locenc 0.1.0, Python 3.11.7, Linux x86_64
    torch 2.13.0+cpu, numpy 2.4.6, numba 0.68.1, llvmlite 0.50.0, safetensors 0.8.0, triton not installed
    CPU: numba kernels for znver4 (512-bit vectors), up to 2 threads; compiled code is kept in .../__pycache__
    CUDA: torch finds no such device
    """
    from locenc import __version__

    print(f"locenc {__version__}, Python {platform.python_version()}, {platform.system()} {platform.machine()}")
    print(", ".join(f"{name} {_version(name)}" for name in PACKAGES))
    print(f"CPU: {_on_cpu()}")
    print(f"CUDA: {_on_cuda()}")
    if sys.platform == "darwin":
        print("MPS: has no float64, which coordinates need; make features on the CPU and move them")


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _on_cpu() -> str:
    import torch

    from locenc.kernels.choice import missing

    if reason := missing("numba"):
        return f"the reference, plain torch, because {reason}"
    from locenc.kernels.compiling import kept_in
    from locenc.kernels.processor import processor

    cpu, folder = processor(), kept_in()
    kept = f"compiled code is kept in {folder}" if folder else "no folder can be written, so each process compiles anew"
    return (
        f"numba kernels for {cpu.name} ({cpu.vector_bits}-bit vectors), up to {torch.get_num_threads()} threads; {kept}"
    )


def _on_cuda() -> str:
    import torch

    from locenc.kernels.choice import missing

    if not torch.cuda.is_available():
        return "torch finds no such device"
    return f"the reference, plain torch, because {missing('triton')}"

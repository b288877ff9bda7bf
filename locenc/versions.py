"""What is installed, and which implementation of the encoders runs here and why."""

import platform
import sys
from importlib.metadata import PackageNotFoundError, version

ABSENT = "not installed"
PACKAGES = ("torch", "numpy", "numba", "llvmlite", "safetensors", "triton")
#: Of the extras, listed where they are installed.
OPTIONAL = ("geopandas", "pandas", "shapely", "pyproj", "pyarrow", "xarray", "matplotlib", "scikit-learn", "dask")


def show_versions() -> None:
    """Print what a report of a problem needs: versions, and which implementation runs on which device, and why.

    Examples
    --------
    >>> locenc.show_versions()  # doctest: +SKIP
    locenc 0.1.0, Python 3.11.7, Linux x86_64
    torch 2.13.0+cpu, numpy 2.4.6, numba 0.68.1, llvmlite 0.50.0, safetensors 0.8.0, triton not installed
    with geopandas 1.2.0, pandas 3.1.1, shapely 2.2.0, pyproj 3.7.2
    CPU: numba kernels for znver4 (512-bit vectors), up to 2 threads; compiled code is kept in .../__pycache__
    CUDA: torch finds no such device
    """
    from locenc import __version__

    print(f"locenc {__version__}, Python {platform.python_version()}, {platform.system()} {platform.machine()}")
    print(", ".join(f"{name} {_version(name)}" for name in PACKAGES))
    if optional := [f"{name} {_version(name)}" for name in OPTIONAL if _version(name) != ABSENT]:
        print(f"with {', '.join(optional)}")
    print(f"CPU: {_on_cpu()}")
    print(f"CUDA: {_on_cuda()}")
    if sys.platform == "darwin":
        print("MPS: has no float64, which coordinates need; make features on the CPU and move them")


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ABSENT


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

    from locenc.kernels.choice import interpreted, missing

    by_hand = "TRITON_INTERPRET=1 is set, so Triton's kernels are interpreted on the CPU where they are asked for"
    if not torch.cuda.is_available():
        return f"torch finds no such device; {by_hand}" if interpreted() else "torch finds no such device"
    cards = " and ".join(_card(index) for index in range(torch.cuda.device_count()))
    if interpreted():
        return f"the reference, plain torch, for {cards}, because {by_hand}"
    if reason := missing("triton"):
        return f"the reference, plain torch, for {cards}, because {reason}"
    return f"triton kernels for {cards}; float64 features by the reference, plain torch"


def _card(index: int) -> str:
    import torch

    name = torch.cuda.get_device_name(index)
    if torch.version.hip is not None:
        return name
    major, minor = torch.cuda.get_device_capability(index)
    return f"{name} (compute capability {major}.{minor})"

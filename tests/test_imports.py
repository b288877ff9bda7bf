"""Imports go one way, and importing the packages stays light."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

# A module may import, at its top level, those of its own row and of the rows below.
ROWS = [
    {"locenc.cli"},
    {f"locenc.commands.{name}" for name in ("facts", "embed", "grid", "map")},
    {"locenc.commands", "locenc.commands.encoders"},
    {"locenc.commands.values"},
    {"locenc.parquet.run"},
    {"locenc.parquet.target"},
    {"locenc.parquet.job", "locenc.parquet.pages", "locenc.parquet.geometry", "locenc.parquet.source"},
    {"locenc.parquet", "locenc.parquet.footer", "locenc.parquet.precision", "locenc.parquet.report"},
    {"locenc.compat._loaded", "locenc.compat.tte"}
    | {f"locenc.compat.{name}" for name in ("torchspatial", "sphere2vec", "csp", "sinr", "geoclip", "satclip")}
    | {f"locenc.compat.{name}" for name in ("_kinds", "_build", "_checkpoint", "_columns")},
    {"locenc.pretrained", "locenc.maps", "locenc.maps.overview", "locenc.maps.html_page", "locenc.encoders"}
    | {
        f"locenc.maps.{name}"
        for name in ("alike_map", "class_maps", "coloured_places", "feature_maps", "likeness", "value_maps")
    }
    | {"locenc.description", "locenc.versions", "locenc.embedding", "locenc.grids", "locenc.alike", "locenc.sklearn"},
    {"locenc.maps.page", "locenc.maps.sheet"},
    {"locenc.maps.land", "locenc.maps.packing", "locenc.maps.patterns"},
    {"locenc.maps.canvas", "locenc.maps.running", "locenc.maps.feature_columns"},
    {"locenc.maps.built_in", "locenc.maps.proj", "locenc.maps.graticule"},
    {"locenc.maps.projection"},
    {"locenc.registry", "locenc.streaming", "locenc.lazy"},
    {"locenc.places"},
    {"locenc.sinusoidal", "locenc.networks", "locenc.location_encoder", "locenc.position", "locenc.voronoi"}
    | {"locenc.random_fourier", "locenc.wrap", "locenc.cartesian", "locenc.rbf", "locenc.tile", "locenc.harmonics"}
    | {"locenc.tiled", "locenc.first_layer", "locenc.fused", "locenc.waves"},
    {"locenc.scales", "locenc.spec", "locenc.coords", "locenc.crs", "locenc.data", "locenc._weights"}
    | {"locenc.grid_axes"},
    {"locenc.kernels", "locenc.residual", "locenc.siren", "locenc.branches"},
    {"locenc.dropout"},
    {f"locenc.kernels.numba_{name}" for name in ("sinusoids", "harmonics", "rbf", "voronoi")}
    | {f"locenc.kernels.triton_{name}" for name in ("sinusoids", "harmonics", "rbf", "voronoi")}
    | {f"locenc.kernels.triton_{name}_linear" for name in ("sinusoids", "harmonics")}
    | {"locenc.kernels.triton_linear"},
    {f"locenc.kernels.triton_{name}" for name in ("outer", "legendre", "partial_sums", "frequencies", "site_slopes")},
    {f"locenc.kernels.triton_{name}" for name in ("waves", "plan", "coordinates", "scores")},
    {f"locenc.kernels.triton_{name}" for name in ("launch", "shapes", "sincos", "exp")},
    {f"locenc.kernels.numba_{name}" for name in ("single_scale", "sphere", "exp", "distances", "hilbert")}
    | {"locenc.kernels.sinusoid_plan", "locenc.kernels.panels"},
    {f"locenc.kernels.reference{part}" for part in ("", "_harmonics", "_rbf", "_voronoi")}
    | {"locenc.kernels.numba_coordinates", "locenc.kernels.operator"},
    {"locenc.kernels.numba_sincos", "locenc.kernels.arrays"},
    {"locenc.kernels.lanes", "locenc.kernels.chunks", "locenc.kernels.thread_state", "locenc.kernels.choice"},
    {f"locenc.kernels.{name}" for name in ("layout", "vectors", "processor", "memory", "compiling")},
    {"locenc.compat", "locenc.compat._files"},
    {"locenc.compat._rehearsal"},
    {"locenc.parquet.thrift"},
    {"locenc.wkb"},
    {"locenc._names", "locenc._files", "locenc._signals", "locenc._extras", "locenc._devices"},
]
HEAVY = ["pandas", "geopandas", "matplotlib", "numba", "triton", "sklearn", "pyarrow", "PIL", "tyro"]
RANK = {name: rank for rank, row in enumerate(reversed(ROWS)) for name in row}


def imports(path: Path) -> set[str]:
    """Modules of ours that a file imports when it is loaded, functions' own imports left out."""
    found = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return {name for name in found if name.partition(".")[0] in ("locenc", "locenc_csp")}


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


@pytest.mark.parametrize("path", sorted((ROOT / "locenc").rglob("*.py")), ids=lambda path: path.stem)
def test_imports_go_one_way(path: Path) -> None:
    name = module_name(path)
    if name == "locenc":
        assert not imports(path)
        return
    assert name in RANK, f"{name} has no place in the order of imports: add it"
    for other in imports(path):
        assert not other.startswith("locenc_csp")
        if other in RANK and other != name.rpartition(".")[0]:  # a package is imported before its modules
            assert RANK[other] <= RANK[name], f"{name} must not import {other}"


def run(code: str) -> str:
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return result.stdout


def test_importing_locenc_loads_nothing_heavy(capsys: pytest.CaptureFixture[str]) -> None:
    heavy = ["torch", "numpy", *HEAVY]
    code = (
        "import sys, time\n"
        "start = time.perf_counter(); import locenc; milliseconds = 1e3 * (time.perf_counter() - start)\n"
        f"print([name for name in {heavy} if name in sys.modules]); print(f'{{milliseconds:.1f}} ms')"
    )
    loaded, milliseconds = run(code).splitlines()
    with capsys.disabled():
        print(f"\nimport locenc adds {milliseconds}")
    assert loaded == "[]"


def test_building_an_encoder_loads_torch_alone() -> None:
    code = f"import sys, locenc; locenc.create('wrap'); print([name for name in {HEAVY} if name in sys.modules])"
    assert run(code) == "[]\n"


@pytest.mark.parametrize("call", ["locenc_csp.cli.main(['--help'])", "locenc.cli.main(['embed', '--help'])"])
def test_the_command_lines_load_no_torch_for_their_help(call: str) -> None:
    code = (
        "import sys, locenc.cli, locenc_csp.cli\n"
        f"try: {call}\n"
        "except SystemExit: print([name for name in ('torch', 'numpy', 'sklearn') if name in sys.modules])"
    )
    assert run(code).endswith("[]\n")


def test_a_name_that_does_not_exist() -> None:
    code = "import locenc\ntry: locenc.nothing\nexcept AttributeError as error: print(error)"
    assert run(code) == "module 'locenc' has no attribute 'nothing'\n"

"""Machine code of the kernels, compiled for cards that are not here: spills, shared memory, instructions."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from locenc.kernels.choice import interpreted

if interpreted():
    pytest.skip("TRITON_INTERPRET=1 is set, so kernels are not compiled", allow_module_level=True)
pytest.importorskip("triton", reason="triton compiles the kernels")

sys.path.append(str(Path(__file__).resolve().parents[2]))  # benchmarks is not installed

import triton
from triton import language as tl

from benchmarks.kernel_cases import BUDGETS, SHARED, Case, call, few
from benchmarks.machine_code import TENSOR, Code, arithmetic, compile_all, compiled, key
from locenc.kernels.triton_launch import Launch

Compile = Callable[..., Code]

#: Float32 additions in the reduction of a phase along an axis, and of one of two terms; see triton_sincos.
ALONG, OBLIQUE = 3, 15
ENCODE = ("sinusoids.encode_kernel", "outer.outer_kernel")
SINUSOIDS = (
    *ENCODE,
    "sinusoids.pull_back_kernel",
    "outer.outer_pull_back_kernel",
    "frequencies.frequencies_kernel",
)
CASES = few()


@pytest.fixture(scope="module")
def code(request: pytest.FixtureRequest) -> Compile:
    """Code of a launch; that of all tests to come is made first, on all cores."""
    wanted: dict[tuple[int, bool], list[Launch]] = {}
    for item in request.session.items:
        given = getattr(item, "callspec", None)
        if item.path == request.path and given and "code" in item.fixturenames:
            capability = given.params.get("capability", 90)
            for fused in (False, True) if item.originalname == "test_fusion_changes_nothing" else (False,):
                wanted.setdefault((capability, fused), []).extend(given.params["case"].launches(capability))
    found = {how: compile_all(launches, how[0], fused=how[1]) for how, launches in wanted.items()}
    return lambda launch, capability, *, fused=False: found[capability, fused][key(launch)]


def ids(case: Case) -> str:
    return case.name


def name(launch: Launch) -> str:
    """Module, without its beginning, and name of a kernel."""
    return f"{launch.kernel.fn.__module__.rpartition('triton_')[2]}.{launch.kernel.__name__}"


def of(what: str, *names: str) -> list[Case]:
    return [case for case in CASES if case.what == what and (not names or case.encoder.partition(" ")[0] in names)]


@pytest.mark.parametrize("capability", SHARED)
@pytest.mark.parametrize("case", CASES, ids=ids)
def test_nothing_spills_and_shared_memory_suffices(case: Case, capability: int, code: Compile) -> None:
    for launch in case.launches(capability):
        made = code(launch, capability)
        assert made.shared <= SHARED[capability], name(launch)
        assert not made.count("LDGSTS(?!.*(64|128))"), f"{name(launch)} copies to shared memory by 4 bytes"
        assert made.stack == 0, f"{name(launch)} spills"


@pytest.mark.parametrize("capability", [80, 90])
@pytest.mark.parametrize("case", of("encode"), ids=ids)
def test_features_are_stored_by_16_bytes(case: Case, capability: int, code: Compile) -> None:
    if case.encoder.partition(" ")[0] in ("wrap", "xyz", "harmonics"):
        pytest.skip("blocks of one column, or of an odd number")
    for launch in case.launches(capability):
        if name(launch) not in ("coordinates.coordinates_kernel", "coordinates.split_kernel", "scores.largest_kernel"):
            assert set(code(launch, capability).stores) == {16}


@pytest.mark.parametrize("capability", [80, 90])
@pytest.mark.parametrize("case", of("encode", *BUDGETS), ids=ids)
def test_instructions_for_each_feature(case: Case, capability: int, code: Compile) -> None:
    if case.precision != "float32":
        pytest.skip("the budget is for float32")
    for launch in case.launches(capability):
        if name(launch) in SINUSOIDS:
            made = code(launch, capability)
            assert arithmetic(made.body) / made.stored(4) <= BUDGETS[case.encoder.partition(" ")[0]]


@pytest.mark.parametrize("capability", [80, 90])
@pytest.mark.parametrize("case", CASES, ids=ids)
def test_sinusoids_take_no_slow_unit(case: Case, capability: int, code: Compile) -> None:
    for launch in case.launches(capability):
        if name(launch) in SINUSOIDS:
            made = code(launch, capability)
            assert not made.count("FRND|F2I|MUFU"), "rounding, conversions and sines of the hardware"
            if not launch.constants["WIDE"]:
                assert not made.count(r"D[A-Z]|F2F\b"), "float64"


@pytest.mark.parametrize("case", of("encode"), ids=ids)
def test_fusion_changes_nothing(case: Case, code: Compile) -> None:
    """No product of the reduction feeds an addition, so a compiler that may fuse them finds nothing to fuse."""
    for launch in case.launches(90):
        if name(launch) in ENCODE:
            apart, fused = (code(launch, 90, fused=own) for own in (False, True))
            for kind in ("FADD", "FMUL", "FFMA", "DADD", "DMUL", "DFMA"):
                assert apart.count(kind) == fused.count(kind), kind


@pytest.mark.parametrize("case", of("encode"), ids=ids)
def test_additions_are_those_of_the_source(case: Case, code: Compile) -> None:
    for launch in case.launches(90):
        constants = launch.constants
        if name(launch) != "sinusoids.encode_kernel" or constants["WIDE"]:
            continue
        expected = single = 0
        for _, length, axis in constants["PHASES"]:
            additions = OBLIQUE if axis < 0 else ALONG
            if length == 1:
                single += additions
            else:
                expected += additions * constants["POINTS"] * constants["SCALES"] // (32 * launch.warps)
        found = code(launch, 90).count("FADD") - expected
        assert (found > 0 and found % single == 0) if single else found == 0


@triton.jit
def trap_kernel(uh, xh, out):
    """A reduction that is right on paper: the rounded product without its integer, and what the rounding lost."""
    at = tl.arange(0, 128)
    u, x = tl.load(uh + at), tl.load(xh + at)
    p = u * x
    q = p + 12582912.0
    tl.store(out + at, (p - (q - 12582912.0)) + tl.fma(u, x, -p))


def test_the_trap_shows_in_the_code() -> None:
    """Fused, the product meets its integer unrounded: two additions are gone, and the lost part is counted twice."""
    launch = Launch(trap_kernel, (torch.zeros(128),) * 3, {}, 4, 1)
    apart, fused = (compiled(launch, 90, fused=own) for own in (False, True))
    assert apart.count("FADD") >= 4  # older Tritons negate by one more
    assert fused.count("FADD") == 2
    assert fused.count("FFMA") >= apart.count("FFMA") + 2


@pytest.mark.parametrize("capability", [80, 90])
@pytest.mark.parametrize("case", [case for case in CASES if case.precision == "tf32"], ids=ids)
def test_products_of_matrices_run_on_tensor_cores(case: Case, capability: int, code: Compile) -> None:
    for launch in case.launches(capability):
        if "PRECISION" in launch.constants:
            assert code(launch, capability).count(TENSOR), name(launch)


SMALL = [Case(name, part, "float32") for name in ("sphereM+ 64", "dfs 16", "xyz") for part in ("encode", "gradient")]


@pytest.mark.parametrize("case", SMALL, ids=ids)
def test_calls_of_any_kind_compile(case: Case) -> None:
    """One point, a number of points that nothing divides, float32 coordinates, columns apart, one gradient for all."""
    operator, arguments = call(case.encoder, torch.float32)
    for points in (1, 1001):
        lonlat = torch.empty(2, points, device="meta").T
        gradient = torch.empty(1, 1, device="meta").expand(points, operator._columns(*arguments))
        for launch in case.launches(90, lonlat, gradient):
            assert compiled(launch, 90).registers

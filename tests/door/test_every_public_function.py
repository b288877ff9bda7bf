"""Every public function takes whatever comes: a result as promised, or one planned error of this library's own.

The table and its generators are those of ``python -m scripts.fuzz``, which makes 100,000 calls; here hypothesis drives
them, and shrinks what fails.
"""

import random
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

sys.path.append(str(Path(__file__).resolve().parents[2]))  # scripts are not installed

import locenc
import locenc_csp
from locenc import coords, data, maps
from scripts.fuzz import drawing, embedding, encoders, files, objectives  # noqa: F401 (they fill the table)
from scripts.fuzz.calls import Call, outcome
from scripts.fuzz.table import DOORS

#: Of the names in the table: constants and modules, whose functions are in it.
NO_FUNCTIONS = {"locenc.coords", "locenc.data", "locenc.maps", "locenc.data.LAND_COVER_CLASSES"}
SLOW = {name for name in DOORS if name.startswith("locenc.maps.")} | {
    *(f"locenc_csp.{name}" for name in ("pretrain", "finetune", "load_dual_encoder", "plot_accuracy")),
    *("locenc.show_versions", "locenc.describe"),
}


def public_names() -> set[str]:
    """Full names of all that is public."""
    functions = {name for name, value in vars(coords).items() if getattr(value, "__module__", "") == coords.__name__}
    listed = {"locenc": locenc, "locenc_csp": locenc_csp, "locenc.maps": maps, "locenc.data": data}
    names = {f"{module}.{name}" for module, one in listed.items() for name in one.__all__}
    return names | {f"locenc.coords.{name}" for name in functions if not name.startswith("_")}


def test_every_public_name_has_a_door() -> None:
    assert set(DOORS) | NO_FUNCTIONS == public_names()


@pytest.mark.parametrize("name", sorted(set(DOORS) - SLOW))
def test_any_input(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # a wrong path may name a file there

    @settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(st.randoms(use_true_random=False))
    @example(random.Random(1))
    @example(random.Random(2))
    def judge(rng: random.Random) -> None:
        call = DOORS[name].door(rng, tmp_path)
        found = outcome(call)
        assert found.fault is None, f"{call}: {found.fault}"

    judge()


@pytest.mark.parametrize("name", sorted(SLOW))
def test_a_few_inputs(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for seed in range(2):
        call = DOORS[name].door(random.Random(f"{name} {seed}"), tmp_path)
        found = outcome(call)
        assert found.fault is None, f"{call}: {found.fault}"


def broken(kind: str) -> Call:
    """A call of a function that does what none may do."""
    values = [1.0]

    def raise_deep(_: object) -> None:
        [][3]

    def change(given: list[float]) -> None:
        given[0] = float("nan")

    def raise_without_words(_: object) -> None:
        raise ValueError

    def raise_elsewhere(_: object) -> None:
        float("x")

    functions = {"index": raise_deep, "changed": change, "silent": raise_without_words, "elsewhere": raise_elsewhere}
    return Call(functions[kind], (values,), {}, lambda found: None)


@pytest.mark.parametrize(
    ("kind", "fault"),
    [
        ("index", "IndexError is no planned error"),
        ("changed", "an argument was changed"),
        ("silent", "with a text of 0 letters"),
        ("elsewhere", "from inside another library: could not convert"),
    ],
)
def test_faults_are_seen(kind: str, fault: str) -> None:
    assert fault in str(outcome(broken(kind)).fault)


def test_a_result_of_another_shape_is_seen() -> None:
    call = Call(lambda: 3, (), {}, lambda found: f"gives {found}")
    assert outcome(call).fault == "gives 3"
    assert outcome(Call(lambda: 3, (), {}, lambda found: found.shape)).fault == (
        "the result cannot be used: AttributeError: 'int' object has no attribute 'shape'"
    )


def test_an_input_is_the_same_again(tmp_path: Path) -> None:
    """What the command prints can be replayed by its number."""
    from scripts.fuzz.__main__ import chosen

    for number in range(20):
        calls = []
        for _ in range(2):
            name, rng = chosen(3, number, ["locenc.embed", "locenc.coords.as_lonlat"])
            calls.append(str(DOORS[name].door(rng, tmp_path)).split("object at")[0])
        assert calls[0] == calls[1]

"""Triton kernels compiled for cards that are not here: registers, spills, shared memory, instructions.

Launches are recorded where the library makes them, with the shapes that it would take for an architecture, and compiled
with ptxas, which Triton brings along; neither a card nor a driver is needed.
"""

import os
import re
import subprocess
import tempfile
import threading
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import torch
import triton
from torch import Tensor
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from locenc.kernels.triton_launch import Launch

_TOOLS = Path(triton.__file__).parent / "backends" / "nvidia" / "bin"
_TYPES = {
    **{torch.float64: "*fp64", torch.float32: "*fp32", torch.float16: "*fp16", torch.bfloat16: "*bf16"},
    **{torch.int64: "*i64", torch.int32: "*i32"},
}
#: Instructions by the unit that they keep busy, as regular expressions. Those of the first are the float32 ones; on
#: newer cards it takes twice as many of them as of integer products. Moves in disguise are left out.
UNITS = {
    "float32": r"F(FMA|MUL|ADD)\b|HMUL2|HADD2",
    "product": r"IMAD(?!\.MOV)",
    "integer": r"FSEL|FSETP|FMNMX|F2FP|I(ADD|SETP|MNMX|ABS)|VI|LOP3|PLOP3|LEA|SHF|SEL\b|PRMT|SGXT|BMSK",
    "float64": r"D(FMA|MUL|ADD|SETP|MNMX)",
    "special": r"MUFU|FRND|F2I|I2F|F2F\b|POPC|FLO|BREV",
}
#: Instructions that multiply matrices.
TENSOR = "HMMA|HGMMA"


class Code(NamedTuple):
    """Machine code of a kernel.

    Attributes
    ----------
    registers : int
        Of a thread.
    stack : int
        Bytes of a thread that do not fit into registers.
    shared : int
        Bytes of a program.
    instructions : Counter
        How often each stands in the code, with its modifiers.
    body : Counter
        Those of the innermost loop, the longest if there are several; all of them if there is no loop.
    loops : int
        Number of loops.
    text : str
        The code.
    """

    registers: int
    stack: int
    shared: int
    instructions: Counter[str]
    body: Counter[str]
    loops: int
    text: str

    def count(self, pattern: str) -> int:
        """Instructions whose name matches a regular expression from its beginning."""
        return count(self.instructions, pattern)

    @property
    def arithmetic(self) -> int:
        """Instructions that calculate, addresses included; no moves, loads, stores, jumps."""
        return arithmetic(self.instructions)

    @property
    def stores(self) -> Counter[int]:
        """How many stores to the card's memory there are of each width in bytes."""
        return widths(self.instructions, "STG")

    def stored(self, size: int) -> float:
        """Numbers of so many bytes that a thread stores in the body."""
        return sum(width * number for width, number in widths(self.body, "STG").items()) / size


def arithmetic(instructions: Counter[str]) -> int:
    """As `Code.arithmetic`."""
    return sum(count(instructions, pattern) for pattern in UNITS.values())


def count(instructions: Counter[str], pattern: str) -> int:
    """Instructions whose name matches a regular expression from its beginning."""
    return sum(number for name, number in instructions.items() if re.match(pattern, name))


def widths(instructions: Counter[str], name: str) -> Counter[int]:
    """How many instructions of a name move so many bytes."""
    found: Counter[int] = Counter()
    for own, number in instructions.items():
        if re.match(rf"{name}\b", own):
            modifiers = own.split(".")
            bits = next((int(part[1:] if part[0] in "SU" else part) for part in modifiers if _SIZE.fullmatch(part)), 32)
            found[bits // 8] += number
    return found


_SIZE = re.compile(r"(?:[SU](?:8|16))|64|128")


def signature(launch: Launch) -> tuple[dict[str, str], dict[Any, Any], dict[Any, Any]]:
    """Types, constants and known divisibility of a launch's parameters, as a call would find them."""
    names = [name for name in launch.kernel.arg_names if name not in launch.constants]
    types: dict[str, str] = dict.fromkeys(launch.constants, "constexpr")
    constants: dict[Any, Any] = dict(launch.constants)
    attributes: dict[Any, Any] = {}
    for name, value in zip(names, launch.arguments, strict=True):
        place = (launch.kernel.arg_names.index(name),)
        if isinstance(value, Tensor):
            types[name] = _TYPES[value.dtype]
            divisible = value.storage_offset() * value.itemsize % 16 == 0  # memory of torch's is aligned
        elif value is None or (isinstance(value, int) and value == 1):
            types[name], divisible = "constexpr", False
            constants[name] = value
        elif isinstance(value, int):
            types[name], divisible = ("i32" if value < 2**31 else "i64"), value % 16 == 0
        else:
            types[name], divisible = "fp32", False
        if divisible:
            attributes[place] = [["tt.divisibility", 16]]
    ordered = {name: types[name] for name in launch.kernel.arg_names}
    return ordered, constants, attributes


def key(launch: Launch) -> tuple[Any, ...]:
    """What decides a launch's code."""
    types, constants, attributes = signature(launch)
    return (
        launch.kernel.fn.__module__,
        launch.kernel.__name__,
        *types.items(),
        repr(constants),
        repr(attributes),
        launch.warps,
        launch.stages,
        launch.registers,
    )


class _Source(ASTSource):  # type: ignore[misc]
    """A kernel's source, of which one thread at a time is read: Python's parser counts depth for all together."""

    _one = threading.RLock()

    def hash(self) -> Any:
        with self._one:
            return super().hash()

    def make_ir(self, *arguments: Any, **options: Any) -> Any:
        with self._one:
            return super().make_ir(*arguments, **options)


def compiled(launch: Launch, capability: int, *, fused: bool = False) -> Code:
    """Compile a launch for a compute capability such as 90; ``fused``: let products and sums be fused anywhere."""
    source = _Source(launch.kernel, *signature(launch))
    options = {"num_warps": launch.warps, "num_stages": launch.stages, "maxnreg": launch.registers}
    options["enable_fp_fusion"] = fused
    program = triton.compile(source, target=GPUTarget("cuda", capability, 32), options=options)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "kernel.cubin"
        path.write_bytes(program.asm["cubin"])
        usage = _run("cuobjdump", "-res-usage", str(path))
        text = _run("nvdisasm", "-c", str(path))
    registers, stack = (int(re.search(rf"{name}:(\d+)", usage)[1]) for name in ("REG", "STACK"))  # type: ignore[index]
    names, loops = read(text)
    inner = [
        loop for loop in loops if not any(loop.start <= own.start and own.stop <= loop.stop for own in loops - {loop})
    ]
    body = max((Counter(names[loop.start : loop.stop]) for loop in inner), key=Counter.total, default=Counter(names))
    return Code(registers, stack, program.metadata.shared, Counter(names), body, len(loops), text)


def read(text: str) -> tuple[list[str], set[range]]:
    """Names of the instructions in order, and the loops: which of them lie between a label and a jump back to it."""
    names: list[str] = []
    labels: dict[str, int] = {}
    loops = set()
    for line in text.splitlines():
        if found := re.match(r"(\.L_x_\d+):", line):
            labels[found[1]] = len(names)
        elif found := re.match(r"\s*/\*[0-9a-f]{4,}\*/\s+(?:@!?U?P\w+\s+)?([A-Z][A-Za-z0-9_.]*)(.*)", line):
            names.append(found[1])
            target = re.search(r"`\((\.L_x_\d+)\)", found[2]) if found[1].startswith("BRA") else None
            if target and labels.get(target[1], len(names)) < len(names) - 1:  # the code ends in a jump to itself
                loops.add(range(labels[target[1]], len(names)))
    return names, loops


def compile_all(launches: Iterable[Launch], capability: int, *, fused: bool = False) -> dict[tuple[Any, ...], Code]:
    """Code of launches by `key`, each compiled once, on all cores: Triton's passes and ptxas hold no lock."""
    distinct = {key(launch): launch for launch in launches}
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        codes = pool.map(lambda launch: compiled(launch, capability, fused=fused), distinct.values())
        return dict(zip(distinct, codes, strict=True))


def _run(tool: str, *arguments: str) -> str:
    return subprocess.run([_TOOLS / tool, *arguments], check=True, capture_output=True, text=True).stdout

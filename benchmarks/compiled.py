"""Triton kernels compiled for cards that are not here: registers, spills, shared memory, instructions.

Launches are recorded where the library makes them, with the shapes that it would take for an architecture, and compiled
with ptxas, which Triton brings along; neither a card nor a driver is needed.
"""

import re
import subprocess
import tempfile
from collections import Counter
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
    text : str
        The code.
    """

    registers: int
    stack: int
    shared: int
    instructions: Counter[str]
    text: str

    def count(self, pattern: str) -> int:
        """Instructions whose name matches a regular expression from its beginning."""
        return sum(number for name, number in self.instructions.items() if re.match(pattern, name))

    @property
    def arithmetic(self) -> int:
        """Instructions that calculate in float32, float64 or integers, addresses included; no moves, loads, jumps."""
        return self.count(
            r"F(FMA|MUL|ADD|SEL|SETP|2F|MNMX)|D(FMA|MUL|ADD|SETP)|I(MAD|ADD|SETP|MNMX)|L(OP3|EA)|SHF|SEL|MUFU|HFMA2|PRMT|I2F|F2I"
        )


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
            divisible = True  # memory of torch's is aligned
        elif isinstance(value, int) and value == 1:
            types[name], divisible = "constexpr", False
            constants[name] = 1
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
    return (launch.kernel.__name__, *types.items(), repr(constants), repr(attributes), launch.warps, launch.stages)


def compiled(launch: Launch, capability: int, *, fused: bool = False) -> Code:
    """Compile a launch for a compute capability such as 90; ``fused``: let products and sums be fused anywhere."""
    source = ASTSource(launch.kernel, *signature(launch))
    options = {"num_warps": launch.warps, "num_stages": launch.stages, "enable_fp_fusion": fused}
    program = triton.compile(source, target=GPUTarget("cuda", capability, 32), options=options)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "kernel.cubin"
        path.write_bytes(program.asm["cubin"])
        usage = _run("cuobjdump", "-res-usage", str(path))
        text = _run("nvdisasm", "-c", str(path))
    registers, stack = (int(re.search(rf"{name}:(\d+)", usage)[1]) for name in ("REG", "STACK"))  # type: ignore[index]
    found = re.findall(r"/\*[0-9a-f]{4,}\*/\s+(?:@!?U?P\w+\s+)?([A-Z][A-Z0-9_.]*)", text)
    return Code(registers, stack, program.metadata.shared, Counter(found), text)


def _run(tool: str, *arguments: str) -> str:
    return subprocess.run([_TOOLS / tool, *arguments], check=True, capture_output=True, text=True).stdout

"""What numba compiles for: asked of the code that LLVM makes of one vector multiply-add."""

import re
from functools import cache
from typing import NamedTuple

PROBE = """
declare <16 x float> @llvm.fma.v16f32(<16 x float>, <16 x float>, <16 x float>)
define void @probe(ptr %a) {
  %x = load <16 x float>, ptr %a
  %y = call <16 x float> @llvm.fma.v16f32(<16 x float> %x, <16 x float> %x, <16 x float> %x)
  store <16 x float> %y, ptr %a
  ret void
}
"""


class Processor(NamedTuple):
    """A CPU as LLVM names it, whether it has fused multiply-add, and the bits of its vectors."""

    name: str
    fuses: bool
    vector_bits: int


@cache
def processor() -> Processor:
    """The CPU that numba compiles for: this machine's, or the one that ``NUMBA_CPU_NAME`` names."""
    from llvmlite import binding
    from numba.core.registry import cpu_target

    triple, name, features = cpu_target.target_context.codegen().magic_tuple()
    machine = binding.Target.from_triple(triple).create_target_machine(cpu=name, features=features, opt=2)
    assembly = machine.emit_assembly(binding.parse_assembly(PROBE))
    fuses = re.search(r"\bfmaf\b", assembly) is None  # else a function of the C library does it, one number at a time
    wide = next((bits for register, bits in (("zmm", 512), ("ymm", 256)) if register in assembly), 128)
    return Processor(name, fuses, wide)

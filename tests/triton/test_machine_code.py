"""How machine code is read and counted: loops, widths, bounds."""

import sys
from collections import Counter
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parents[2]))  # benchmarks is not installed

pytest.importorskip("triton", reason="the code is Triton's")

from benchmarks.machine_code import Code, arithmetic, read, widths
from benchmarks.roofline import CHIPS, cycles, write_share

TEXT = """
        .global         kernel
.text.kernel:
        /*0000*/                   MOV R1, c[0x0][0x28] ;
.L_x_1:
        /*0010*/                   IADD3 R2, R2, 0x1, RZ ;
.L_x_0:
        /*0020*/              @!P0 FFMA R3, R3, R4, 0.5 ;
        /*0030*/                   STG.E.128 desc[UR4][R8.64], R4 ;
        /*0040*/              @P1 BRA `(.L_x_0) ;
        /*0050*/              @!UP0 BRA `(.L_x_1) ;
        /*0060*/                   EXIT ;
.L_x_2:
        /*0070*/                   BRA `(.L_x_2);
        /*0080*/                   NOP;
.L_x_3:
"""


def code(body: dict[str, int]) -> Code:
    return Code(32, 0, 0, Counter(body), Counter(body), 0, "")


def test_names_and_loops() -> None:
    names, loops = read(TEXT)
    assert names == ["MOV", "IADD3", "FFMA", "STG.E.128", "BRA", "BRA", "EXIT", "BRA", "NOP"]
    assert loops == {range(1, 6), range(2, 5)}


def test_widths() -> None:
    found = widths(
        Counter({"STG.E.128": 2, "STG.E": 3, "STG.E.64": 1, "STG.E.U16": 5, "LDG.E": 7, "STS.128": 9}), "STG"
    )
    assert found == {16: 2, 4: 3, 8: 1, 2: 5}


def test_moves_are_no_arithmetic() -> None:
    instructions = {"FFMA": 1, "IMAD.WIDE": 1, "IMAD.MOV.U32": 5, "MOV": 5, "LOP3.LUT": 1, "HFMA2.MMA": 5, "LDG.E": 5}
    assert arithmetic(Counter({**instructions, "DFMA": 1, "MUFU.EX2": 1, "FSEL": 1, "BRA": 5})) == 6


def test_cycles_are_those_of_the_busiest_unit() -> None:
    a100, h100 = CHIPS[80], CHIPS[90]
    assert cycles(Counter({"FFMA": 128, "MOV": 128}), h100) == 2  # 256 instructions, 128 lanes started a cycle
    assert cycles(Counter({"FFMA": 128, "MOV": 32}), a100) == 2  # 64 multiply-adds a cycle
    assert cycles(Counter({"MUFU.SIN": 64, "FFMA": 64}), h100) == 4


def test_bounds() -> None:
    h100 = CHIPS[90]
    affordable = h100.multiprocessors * h100.clock * 128 / (h100.bandwidth / 4)
    assert affordable == pytest.approx(35.4, rel=1e-2)  # instructions for a float32 number
    assert write_share(code({"STG.E.128": 1, "FFMA": 99}), 4, h100) == 1
    assert write_share(code({"STG.E.128": 1, "FFMA": 399}), 4, h100) == pytest.approx(affordable / 100)
    assert write_share(code({"FFMA": 10}), 4, h100) is None

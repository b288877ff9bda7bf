"""Placeholder while the command is written."""

from benchmarks.machine_code import Code, compiled, key

__all__ = ["Code", "compiled", "key"]

"""How long the stages of a command take."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager


class Clock:
    """Announces each stage and keeps its seconds.

    Attributes
    ----------
    seconds : dict
        Of each stage.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        """Time what is done inside."""
        print(f"- {stage}", flush=True)
        start = time.perf_counter()
        yield
        self.seconds[stage] = round(time.perf_counter() - start, 1)

    def report(self) -> str:
        """Say the times in a sentence."""
        stages = ", ".join(f"{stage} {seconds:.0f} s" for stage, seconds in self.seconds.items())
        return f"Time of this run: {stages}; {sum(self.seconds.values()):.0f} s in all on {os.cpu_count()} cores."

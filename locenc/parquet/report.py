"""What became of a job, as its command prints it."""

from dataclasses import dataclass
from pathlib import Path

BILLION = 10**9


@dataclass(frozen=True)
class ParquetReport:
    """What `locenc.embed_parquet` did; printed, it is a few lines for people.

    Attributes
    ----------
    path : Path
        The file that was written.
    rows : int
        Its rows.
    embedded : int
        Those that this run embedded; the others were finished by one before.
    seconds : float
        How long this run took.
    dim : int
        Length of the vectors.
    dtype : str
        Of their numbers.
    error : float
        Largest absolute error that rounding to it made; 0 for float32.
    size : int
        Bytes of the file.
    """

    path: Path
    rows: int
    embedded: int
    seconds: float
    dim: int
    dtype: str
    error: float
    size: int

    @property
    def rows_per_second(self) -> float | None:
        """Rows that this run embedded in a second; None if there were none."""
        return self.embedded / self.seconds if self.embedded and self.seconds else None

    @property
    def seconds_for_a_billion(self) -> float | None:
        """How long 10⁹ such rows would take at this rate; None if there is none."""
        rate = self.rows_per_second
        return None if rate is None else BILLION / rate

    def __str__(self) -> str:
        lines = [f"{self.path}: {self.rows:,} rows, {self.dim} x {self.dtype}, {_size(self.size)}"]
        if self.dtype != "float32":
            lines.append(f"largest error of {self.dtype}: {self.error:.2g}")
        if self.embedded < self.rows:
            lines.append(f"{self.rows - self.embedded:,} of the rows were finished by a run before")
        if self.rows_per_second is not None and self.seconds_for_a_billion is not None:
            lines.append(f"{self.embedded:,} rows in {_time(self.seconds)}: {self.rows_per_second:,.0f} rows/s")
            space = _size(BILLION * self.size / self.rows)
            lines.append(f"10^9 such rows would take {_time(self.seconds_for_a_billion)} and {space}")
        return "\n".join(lines)


def _size(count: float) -> str:
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:,.3g} TB"


def _time(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.3g} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"

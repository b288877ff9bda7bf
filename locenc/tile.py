"""A learned embedding for each cell of a longitude-latitude grid."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from locenc._names import check_count, check_number
from locenc.kernels.reference import reduce_longitude
from locenc.position import PositionEncoder
from locenc.random_fourier import WORLD, check_extent

LARGEST_TABLE = 2**28  # numbers: 1 GB in float32


class Tile(PositionEncoder):
    """A learned vector for each cell of a grid: trainable, and the only thing that the network behind it sees.

    Features are constant within a cell, so their gradient with respect to the coordinates is zero. Places outside
    the extent fall into its border cells. -180 and 180 lie in different cells, and cells meet at the poles.

    Parameters
    ----------
    cell_degrees : float
        Width and height of a cell in degrees; the last column and row may reach beyond the extent.
    num_features : int
        Length of a cell's vector.
    extent : sequence of float
        (west, east, south, north) in degrees. Cells are numbered from its south-west corner, eastward first.
    dtype : torch.dtype, optional
        Of the features; the table, drawn from N(0, 1), has the default dtype and is cast like a network's weights.

    Raises
    ------
    ValueError
        For a size out of range, an extent that is none, or more than 2^28 numbers in all.

    References
    ----------
    The "tile_ffn" encoder of TorchSpatial; Tang et al. 2015 (ICCV) have it with one-hot cells.
    """

    def __init__(
        self,
        *,
        cell_degrees: float = 5.0,
        num_features: int = 64,
        extent: Sequence[float] = WORLD,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(check_count("num_features", num_features), dtype=dtype)
        if not 0 < check_number("cell_degrees", cell_degrees) < math.inf:
            raise ValueError(f"cell_degrees must be positive and finite, got {cell_degrees!r}")
        west, east, south, north = self.extent = check_extent(extent)
        self.cell_degrees = float(cell_degrees)
        self.shape = (_cells(north - south, cell_degrees), _cells(east - west, cell_degrees))
        rows, columns = self.shape
        if rows * columns * num_features > LARGEST_TABLE:
            raise ValueError(
                f"a grid of {rows} x {columns} cells of {cell_degrees} degrees with {num_features} features each is "
                f"larger than {LARGEST_TABLE} numbers; choose larger cells, a smaller extent or fewer features"
            )
        self.table = nn.Parameter(torch.randn(rows * columns, num_features))

    def cell(self, lonlat: Tensor) -> Tensor:
        """Cells, (N,) int64, of places ``(N, 2)`` in degrees: row * columns + column; row 0 is the southernmost."""
        west, _, south, _ = self.extent
        rows, columns = self.shape
        lon, lat = lonlat.to(torch.float64).unbind(1)
        column = torch.floor((reduce_longitude(lon) - west) / self.cell_degrees)
        row = torch.floor((lat - south) / self.cell_degrees)
        # NaN, which passes where nothing is checked, counts as the first cell: no index may lie outside the table.
        row, column = row.nan_to_num().clamp(0, rows - 1), column.nan_to_num().clamp(0, columns - 1)
        return (row * columns + column).to(torch.int64)

    def features(self, lonlat: Tensor, dtype: torch.dtype) -> Tensor:
        """Vectors of the cells: ``(N, F)``."""
        vectors = nn.functional.embedding(self.cell(lonlat), self.table).to(dtype)
        # Adds zero; keeps NaN and infinity visible, and gives the coordinates a gradient: zero.
        return vectors + (0 * lonlat.sum(1, keepdim=True)).to(dtype)


def _cells(length: float, cell_degrees: float) -> int:
    return math.ceil(min(length / cell_degrees, LARGEST_TABLE + 1))

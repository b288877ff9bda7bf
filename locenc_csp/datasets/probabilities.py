"""P(class | image) that others have computed: one folder, dense or sparse, its rows and columns known by name.

A folder holds ``ids.npy`` (M,), ``meta.json`` with the class names of the columns, and either ``probabilities.npy``
(M, K) float32 or the arrays of a sparse matrix (CSR): ``data.npy`` float32 and ``indices.npy`` int32, one entry for
each value that is not 0, and ``indptr.npy`` int64 (M + 1). ``meta.json`` is written last.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from locenc._files import read_json, write_array, write_text
from locenc_csp._chunks import fill_array, open_array
from locenc_csp.datasets.matrices import VALUES_PER_BLOCK, Matrix, Sparse, dense

__all__ = ["ImageProbabilities", "open_probabilities", "write_probabilities"]

ARRAYS = ("data", "indices", "indptr")
_REMEDY = "import the data set again (`locenc-csp import`)"


class ImageProbabilities(NamedTuple):
    """Probabilities of M images, (M, K).

    Attributes
    ----------
    values : ndarray or Sparse
        Memory-mapped.
    ids : ndarray
        str (M,): ids of the places; places that the classifier was not run on are not among them.
    classes : tuple of str
        Names of the K columns.
    meta : dict
        Where they come from.
    """

    values: Matrix
    ids: NDArray[np.str_]
    classes: tuple[str, ...]
    meta: dict[str, Any]

    def of(self, ids: NDArray[np.str_], classes: Sequence[str]) -> NDArray[np.float32]:
        """Probabilities of some places and classes.

        Parameters
        ----------
        ids : ndarray
            str (N,), of places.
        classes : sequence of str
            Names of C classes.

        Returns
        -------
        ndarray
            float32 (N, C), not normalised over the C classes. NaN in the rows of places that the classifier was not
            run on. A row in which none of the classes has a probability says nothing and becomes 1 / C everywhere.

        Raises
        ------
        ValueError
            If the classifier does not know a class; the first is named.
        """
        return self.at(self.find(ids), classes)

    def find(self, ids: NDArray[np.str_]) -> NDArray[np.int64]:
        """Row of each place, int64 (N,); -1 where the classifier was not run on it."""
        if not len(self.ids):
            return np.full(len(ids), -1)
        order = np.argsort(self.ids)
        rows = order[np.minimum(np.searchsorted(self.ids, ids, sorter=order), len(order) - 1)]
        return np.where(self.ids[rows] == ids, rows, -1)

    def at(self, rows: NDArray[np.int64], classes: Sequence[str]) -> NDArray[np.float32]:
        """Probabilities, as `of`, of rows that `find` has found."""
        place = {name: column for column, name in enumerate(self.classes)}
        unknown = [name for name in classes if name not in place]
        if unknown:
            raise ValueError(
                f"the image probabilities have no column for {len(unknown)} classes, {unknown[0]!r} the first of them: "
                f"they were made for {len(self.classes)} classes, {', '.join(self.classes[:3])}, …"
            )
        result = np.full((len(rows), len(classes)), np.nan, dtype=np.float32)
        columns = np.array([place[name] for name in classes], dtype=np.int64)
        chosen = np.flatnonzero(rows >= 0)
        step = max(1, VALUES_PER_BLOCK // max(len(self.classes), 1))
        for start in range(0, len(chosen), step):
            block = chosen[start : start + step]
            values = dense(self.values, rows[block])[:, columns]
            values[~values.any(axis=1)] = 1 / len(classes)
            result[block] = values
        return result


def write_probabilities(
    folder: str | Path,
    parts: Sequence[Matrix],
    *,
    ids: NDArray[np.str_],
    classes: Sequence[str],
    meta: Mapping[str, Any],
) -> None:
    """Write probabilities, part after part, into a folder of our form.

    Parameters
    ----------
    folder : str or Path
        Made if missing.
    parts : sequence of ndarray or Sparse
        Matrices with K columns each, checked by `first_fault`; sparse ones stay sparse where all are.
    ids : ndarray
        str (M,) of all rows.
    classes : sequence of str
        Names of the K columns.
    meta : mapping
        Where they come from; kept in ``meta.json``.

    Raises
    ------
    ValueError
        If ids and rows differ in number.
    OSError
        If the folder cannot be written.
    """
    folder = Path(folder)
    shape = (sum(len(part) for part in parts), len(classes))
    if len(ids) != shape[0]:
        raise ValueError(f"{shape[0]} rows of probabilities, but {len(ids)} ids")
    (folder / "meta.json").unlink(missing_ok=True)
    folder.mkdir(parents=True, exist_ok=True)
    sparse = [part for part in parts if isinstance(part, Sparse)]
    if len(sparse) == len(parts):
        offsets = np.cumsum([0, *(len(part.data) for part in sparse)])
        starts = [part.indptr[:-1] + offset for part, offset in zip(sparse, offsets, strict=False)]
        write_array(folder / "data.npy", np.concatenate([part.data for part in sparse]))
        write_array(folder / "indices.npy", np.concatenate([part.indices for part in sparse]))
        write_array(folder / "indptr.npy", np.concatenate([*starts, offsets[-1:]]).astype(np.int64))
    else:
        bounds = np.cumsum([0, *(len(part) for part in parts)])

        def make(start: int, stop: int) -> NDArray[Any]:
            cuts = [
                dense(part, np.arange(max(start, first) - first, min(stop, last) - first))
                for part, first, last in zip(parts, bounds[:-1], bounds[1:], strict=True)
                if start < last and stop > first
            ]
            return np.concatenate(cuts)

        fill_array(
            folder / "probabilities.npy",
            make,
            shape=shape,
            dtype=np.float32,
            key=json.dumps([dict(meta), list(classes)]),
            rows_per_chunk=max(1, VALUES_PER_BLOCK // max(len(classes), 1)),
            description="image probabilities",
        )
    write_array(folder / "ids.npy", ids)
    form = "sparse" if len(sparse) == len(parts) else "dense"
    content = {"form": form, "num_rows": shape[0], **meta, "classes": list(classes)}
    write_text(folder / "meta.json", json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def open_probabilities(folder: str | Path) -> ImageProbabilities:
    """Open a folder of probabilities, memory-mapped.

    Raises
    ------
    FileNotFoundError
        If the folder holds no finished probabilities.
    ValueError
        If a file is damaged, or the arrays do not fit together.
    """
    folder = Path(folder)
    if not (folder / "meta.json").is_file():
        raise FileNotFoundError(f"no image probabilities in {folder} (meta.json is missing): {_REMEDY}")
    meta = read_json(folder / "meta.json", remedy=_REMEDY)
    classes = tuple(str(name) for name in meta.pop("classes", ()))
    ids = np.array(open_array(folder / "ids.npy", remedy=_REMEDY))
    values: Matrix
    if meta.get("form") == "sparse":
        data, indices, indptr = (open_array(folder / f"{name}.npy", remedy=_REMEDY) for name in ARRAYS)
        values = Sparse(data, indices, indptr, len(classes))
        whole = len(indptr) > 0 and indptr[-1] == len(data) == len(indices)
        whole = whole and indices.max(initial=-1) < len(classes)
    else:
        values = open_array(folder / "probabilities.npy", remedy=_REMEDY)
        whole = values.ndim == 2
    if not whole or values.shape != (len(ids), len(classes)):
        raise ValueError(
            f"the image probabilities in {folder} do not fit together: {values.shape} values, {len(ids)} ids, "
            f"{len(classes)} classes; {_REMEDY}"
        )
    return ImageProbabilities(values, ids, classes, meta)

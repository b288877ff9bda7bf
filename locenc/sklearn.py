"""Location encoders as a transformer of scikit-learn: places in, embeddings out, in any pipeline."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from locenc._extras import require
from locenc._names import among, check_count
from locenc.coords import as_pairs
from locenc.embedding import embed, embedding_dim
from locenc.location_encoder import LocationEncoder
from locenc.places import is_dask, read
from locenc.position import PositionEncoder
from locenc.pretrained import from_pretrained
from locenc.registry import create, list_encoders, position_encoder

if TYPE_CHECKING:
    from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
    from sklearn.utils.validation import check_is_fitted, validate_data
else:
    _base, _validation = (require(f"sklearn.{name}", extra="sklearn") for name in ("base", "utils.validation"))
    BaseEstimator, TransformerMixin = _base.BaseEstimator, _base.TransformerMixin
    ClassNamePrefixFeaturesOutMixin = _base.ClassNamePrefixFeaturesOutMixin
    check_is_fitted, validate_data = _validation.check_is_fitted, _validation.validate_data

LONGITUDES = {"lon", "lng", "long", "longitude", "x"}
LATITUDES = {"lat", "latitude", "y"}


class LocationTransformer(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Places to embeddings, as a transformer of scikit-learn.

    Parameters
    ----------
    encoder : str, Path, LocationEncoder or PositionEncoder
        One of `locenc.list_encoders`, whose fixed features then are the result; a folder that `locenc.from_pretrained`
        reads; or an encoder that is ready. It is used as it is: nothing is trained.
    dim : int, optional
        For an encoder by name: size of the embedding by a network with drawn weights, behind the features.
    options : mapping, optional
        Of an encoder by name, as `locenc.position_encoder` takes them; with ``dim``, as `locenc.create` does.
    lon, lat : str, optional
        Columns of longitude and latitude in degrees; of a table without geometry, by default its two columns, in this
        order.
    random_state : int, RandomState or None
        Of the drawn weights. Equal numbers give equal embeddings; None draws from NumPy's global state.
    device : str or torch.device, optional
        As in `locenc.embed`.
    missing : {"raise", "nan"}
        Whether a missing place is an error or a row of NaN.

    Attributes
    ----------
    encoder_ : LocationEncoder or PositionEncoder
        What embeds.
    n_features_in_ : int
        Columns that `fit` saw; 1 for a GeoSeries.
    feature_names_in_ : ndarray
        Their names, where all are strings.

    Notes
    -----
    `fit` and `transform` take a GeoDataFrame or GeoSeries of points in any CRS, a table of pandas, ``(N, 2)`` arrays
    and lists. `transform` gives float32 ``(N, dim)``, or with ``set_output(transform="pandas")`` a DataFrame that keeps
    the index.

    Examples
    --------
    >>> LocationTransformer("xyz").fit_transform([[30.0, 30.0], [60.0, 45.0]]).round(3)
    array([[0.75 , 0.433, 0.5  ],
           [0.354, 0.612, 0.707]], dtype=float32)
    """

    def __init__(
        self,
        encoder: Any = "sphere2vec-sphereC",
        *,
        dim: int | None = None,
        options: Any = None,
        lon: str | None = None,
        lat: str | None = None,
        random_state: Any = None,
        device: Any = None,
        missing: str = "raise",
    ) -> None:
        self.encoder = encoder
        self.dim = dim
        self.options = options
        self.lon = lon
        self.lat = lat
        self.random_state = random_state
        self.device = device
        self.missing = missing

    def fit(self, X: Any, y: Any = None) -> "LocationTransformer":  # noqa: N803
        """Check the places, and build the encoder.

        Parameters
        ----------
        X : GeoDataFrame, GeoSeries, DataFrame or array_like
            Places.
        y : ignored
            As in every transformer.

        Returns
        -------
        LocationTransformer
            Itself.

        Raises
        ------
        TypeError, ValueError
            For places that `locenc.embed` refuses, a table of which it is not clear which columns hold them, and an
            encoder or options that are unknown.
        """
        self._lonlat(X, reset=True)
        self.encoder_ = self._build()
        self._n_features_out = embedding_dim(self.encoder_)
        return self

    def transform(self, X: Any) -> NDArray[np.float32]:  # noqa: N803
        """Embed places.

        Parameters
        ----------
        X : GeoDataFrame, GeoSeries, DataFrame or array_like
            Places, in columns as `fit` saw them.

        Returns
        -------
        ndarray
            ``(N, dim)`` float32.

        Raises
        ------
        TypeError, ValueError
            As in `fit`, and for other columns than there.
        """
        check_is_fitted(self)
        embedding: NDArray[np.float32] = embed(
            self._lonlat(X, reset=False), self.encoder_, device=self.device, missing=self.missing
        )
        return embedding

    def _lonlat(self, places: Any, *, reset: bool) -> NDArray[np.float64]:
        """Longitudes and latitudes of places; columns are noted, or compared with those noted."""
        if is_dask(places):
            raise TypeError(f"places of dask are embedded by locenc.embed; fit on {type(places).__name__}.compute()")
        if _is_geometry(places):
            frame = places if hasattr(places, "columns") else places.to_frame(places.name or "geometry")
            validate_data(self, frame, reset=reset, skip_check_array=True)
            data, lon, lat = (places, None, None) if self.lon is None and self.lat is None else self._columns(frame)
        elif hasattr(places, "columns"):
            if len(set(names := _names_of(places))) < len(names):
                raise ValueError(f"columns must have different names, got {names}")
            validate_data(self, places, reset=reset, skip_check_array=True)
            data, lon, lat = self._columns(places)
        else:
            places = _numbers(places)
            finite = "allow-nan" if among(self.missing, ("nan",)) else True
            array = validate_data(self, places, reset=reset, dtype="numeric", ensure_all_finite=finite)
            if array.shape[1] != 2:
                raise ValueError(
                    "expected two columns, longitude and latitude in degrees, got an array with "
                    f"{len(array)} sample(s) and {array.shape[1]} feature(s): choose two first, such as with a "
                    "ColumnTransformer"
                )
            data, lon, lat = array, None, None
        return read(data, lon=lon, lat=lat, missing=self.missing).lonlat

    def _columns(self, table: Any) -> tuple[Any, str | None, str | None]:
        if self.lon is not None or self.lat is not None:
            return table, self.lon, self.lat
        names = _names_of(table)
        if len(names) != 2:
            raise ValueError(
                f"which columns hold longitude and latitude? Give lon= and lat=, or the two alone; there are {names}"
            )
        first, second = (str(name).lower() for name in names)
        if first in LATITUDES or second in LONGITUDES:
            raise ValueError(
                f"columns are (longitude, latitude), in that order, but {names} look swapped: give lon= and lat="
            )
        return table, *names

    def _build(self) -> LocationEncoder | PositionEncoder:
        if not isinstance(self.options, Mapping | None):
            raise TypeError(f"options must be a mapping, got {self.options!r:.60}")
        if isinstance(self.encoder, (LocationEncoder, PositionEncoder)):
            if self.dim is not None or self.options:
                raise ValueError("dim and options are for an encoder by name: one that is ready has its own")
            return self.encoder
        if isinstance(self.encoder, Path) or (
            isinstance(self.encoder, str) and self.encoder not in list_encoders() and _looks_like_a_path(self.encoder)
        ):
            if self.dim is not None or self.options:
                raise ValueError("dim and options are for an encoder by name: one that was saved has its own")
            return from_pretrained(self.encoder)
        if not isinstance(self.encoder, str):
            raise TypeError(f"encoder must be a name, a folder or an encoder, got {type(self.encoder).__name__}")
        check_random_state = require("sklearn.utils", extra="sklearn").check_random_state
        try:
            seed = check_random_state(self.random_state).randint(2**31)
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"random_state must be None, a whole number from 0 to 2**32 - 1 or a RandomState, got "
                f"{self.random_state!r:.80}"
            ) from error
        with torch.random.fork_rng(devices=[]):  # torch's own generator stays as it was
            torch.manual_seed(seed)
            options = dict(self.options or {})
            if self.dim is None:
                features: PositionEncoder = position_encoder(self.encoder, **options)  # type: ignore[assignment]
                return features.eval()
            return create(self.encoder, dim=check_count("dim", self.dim), **options).eval()

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = among(self.missing, ("nan",))
        tags.transformer_tags.preserves_dtype = []
        return tags


def _is_geometry(data: Any) -> bool:
    geopandas = sys.modules.get("geopandas")
    if geopandas is None:
        return False
    frame = isinstance(data, geopandas.GeoDataFrame) and data.active_geometry_name is not None
    return frame or isinstance(data, geopandas.GeoSeries)


def _names_of(table: Any) -> list[Any]:
    """Names of a table's columns; tables of Arrow call those something else."""
    return list(getattr(table, "column_names", table.columns))


def _numbers(places: Any) -> Any:
    """Arrays, lists and tensors as scikit-learn takes them; what else there is, it judges."""
    if isinstance(places, Tensor):
        return as_pairs(places).numpy()
    if not isinstance(places, (np.ndarray, list, tuple)):
        return places
    try:
        array = np.asarray(places)
        return array.astype(np.float64) if array.dtype == object else array
    except (TypeError, ValueError) as error:
        raise type(error)(f"places must be rows of two numbers, longitude and latitude in degrees: {error}") from error


def _looks_like_a_path(name: str) -> bool:
    return name.startswith("hf://") or "/" in name or Path(name).is_dir()

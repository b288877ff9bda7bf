"""World maps of what a location encoder has learnt; matplotlib and scikit-learn are imported when a map is drawn."""

from locenc.maps.alike_map import nearest
from locenc.maps.class_maps import probability
from locenc.maps.coloured_places import points
from locenc.maps.feature_maps import scales
from locenc.maps.html_page import html
from locenc.maps.likeness import similarity
from locenc.maps.overview import plot
from locenc.maps.value_maps import values

__all__ = ["html", "nearest", "plot", "points", "probability", "scales", "similarity", "values"]

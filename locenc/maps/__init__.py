"""World maps of what a location encoder has learnt; matplotlib and scikit-learn are imported when a map is drawn."""

from locenc.maps.html_page import html
from locenc.maps.overview import plot

__all__ = ["html", "plot"]

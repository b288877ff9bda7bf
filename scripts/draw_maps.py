"""Draws the pictures of docs/places.md: the scales of Sphere2Vec, and what spherical harmonics take for alike."""

from pathlib import Path

import locenc

IMAGES = Path(__file__).resolve().parent.parent / "docs" / "images"


def main() -> None:
    scales = locenc.maps.scales(locenc.position_encoder("sphere2vec-sphereC", num_scales=12))
    scales.savefig(IMAGES / "maps-scales.png", dpi=72)
    harmonics = locenc.position_encoder("spherical-harmonics", num_degrees=20)
    similarity = locenc.maps.similarity(harmonics, (2.35, 48.86), name="Paris", over="globe")
    similarity.savefig(IMAGES / "maps-similarity.png", dpi=90)


if __name__ == "__main__":
    main()

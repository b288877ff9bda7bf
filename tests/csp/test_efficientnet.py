"""EfficientNet-lite0 where its packages are installed, and what is said where they are not."""

import sys

import pytest
import torch

from locenc_csp.efficientnet import efficientnet_lite0
from locenc_csp.image_networks import FrozenNetwork


def test_without_the_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "efficientnet_lite_pytorch", None)
    with pytest.raises(ImportError, match=r'pip install "locenc\[efficientnet\]"'):
        efficientnet_lite0()


def test_features_of_images() -> None:
    pytest.importorskip("efficientnet_lite_pytorch", reason="the extra efficientnet is not installed")
    frozen = FrozenNetwork(efficientnet_lite0(), image_size=(32, 32), size=64)
    images = torch.randint(0, 256, (3, 32, 32, 3), dtype=torch.uint8)
    features = frozen(images)
    assert features.shape == (3, frozen.dim) == (3, 1280)
    assert torch.equal(frozen(images[:1])[0].isfinite(), torch.ones(1280, dtype=torch.bool))
    assert (features[0] - features[1]).abs().max() > 0.1

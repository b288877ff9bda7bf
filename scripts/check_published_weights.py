"""Print how far published TorchSpatial weights, loaded by us, are from the project's own outputs.

``python scripts/check_published_weights.py FOLDER``: the folder holds ``weights/`` (the published files) and
``weights_outputs.npz`` (``lonlat_float32``, ``rbf_anchors``, and ``<name>/embedding`` of the project's own model).
"""

import sys
from pathlib import Path

import numpy as np
import torch

import locenc

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    outputs = np.load(folder / "weights_outputs.npz")
    lonlat = torch.from_numpy(outputs["lonlat_float32"]).double()
    for path in sorted([*folder.glob("weights/*.pth.tar"), *folder.glob("weights/*.safetensors")]):
        name = path.name.removeprefix("model_").removesuffix(".pth.tar").removesuffix(".safetensors")
        loaded = locenc.load_torchspatial(path, anchors=outputs["rbf_anchors"])  # only an rbf encoder looks at them
        with torch.no_grad():
            embedding = loaded.encoder(lonlat)
            probability = loaded.head(embedding)[:, :20]
        differences = {"embedding": embedding, "prob20": probability}
        text = ", ".join(
            f"{key} {np.abs(ours.numpy() - outputs[f'{name}/{key}']).max():.1e}" for key, ours in differences.items()
        )
        print(f"{name}: {text}")

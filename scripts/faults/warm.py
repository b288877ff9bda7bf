"""Imported in the process from which the jobs are forked: what they would import and compile first is there."""

import matplotlib.figure
import sklearn.linear_model
import torch

import locenc
from scripts.faults.jobs import JOBS

torch.set_num_threads(1)  # threads do not survive a fork
_layer = torch.nn.Linear(2, 1)
torch.optim.AdamW(_layer.parameters())
for _name in ("sphere2vec-sphereC", "sphere2vec-sphereM", "wrap"):
    with torch.no_grad():
        locenc.create(_name, dim=8)(torch.zeros(2, 2))
__all__ = ["JOBS", "matplotlib", "sklearn"]

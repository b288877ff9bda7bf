"""What a recipe of pre-training trains: encoders with seeded weights, and the criterion."""

import torch
from torch import nn

import locenc
from locenc.registry import default_network
from locenc_csp.coordinate_queue import CoordinateQueue
from locenc_csp.criterion import Criterion
from locenc_csp.dual_encoder import DualEncoder
from locenc_csp.features import FeatureMatrix
from locenc_csp.joint_images import JointImages
from locenc_csp.learned_temperature import LearnedTemperature
from locenc_csp.objectives import Objective
from locenc_csp.pretraining_data import Rows
from locenc_csp.projection import FrozenProjection
from locenc_csp.recipes import Encoder, Pretrain

TEMPERATURE = 0.1


def build_encoder(recipe: Encoder, *, seed: int) -> locenc.LocationEncoder:
    """Build a fresh location encoder with seeded weights; torch's global generator is left as it was."""
    network = {"name": recipe.network or default_network(recipe.name), **recipe.network_options}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return locenc.create(recipe.name, dim=recipe.dim, network=network, **recipe.options)


def build_model(recipe: Pretrain, images: FeatureMatrix | JointImages, rows: Rows) -> tuple[DualEncoder, Objective]:
    """Build encoder and image branch, seeded, and the objective; rows are those that a projection of features sees."""
    usual = TEMPERATURE if recipe.objective.startswith(("MC-", "NCE-")) else None
    objective = Objective(
        recipe.objective,
        temperature=usual if recipe.temperature is None else recipe.temperature,
        weight=recipe.weight,
        bias=recipe.bias,
        symmetric=recipe.symmetric,
        same_place_km=recipe.same_place_km,
        csp_compat=recipe.csp_compat,
    )
    encoder = build_encoder(recipe.encoder, seed=recipe.schedule.seed)
    if isinstance(images, JointImages):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(recipe.schedule.seed + 1)
            return DualEncoder(encoder, images.branch(encoder.dim, chunk_size=recipe.image_chunk)), objective
    projection, width = None, images.values.shape[1]
    if recipe.image_components is not None:
        projection = FrozenProjection.fit(images.values, rows=rows, num_components=recipe.image_components)
        width = projection.dim
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.schedule.seed + 1)
        if objective.needs_decoder:
            return DualEncoder(encoder, decoder=nn.Linear(encoder.dim, width), preprocess=projection), objective
        return DualEncoder(encoder, nn.Linear(width, encoder.dim), preprocess=projection), objective


def build_criterion(recipe: Pretrain, objective: Objective) -> Criterion:
    """Build the criterion with what it learns and keeps."""
    learned = LearnedTemperature(objective, recipe.learn) if recipe.learn else None
    return Criterion(
        objective, learned=learned, queue=CoordinateQueue(recipe.queue_size) if objective.takes_queue else None
    )

"""Contrastive spatial pre-training (CSP) on top of locenc: objectives, negatives, heads, data sets, a trainer.

Public names load when they are first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from locenc_csp.accuracy_map import plot_accuracy
    from locenc_csp.calibration import expected_calibration_error, fit_temperature, reliability, temper
    from locenc_csp.contrastive import contrastive_loss
    from locenc_csp.coordinate_queue import CoordinateQueue
    from locenc_csp.datasets.importing import import_published, import_table
    from locenc_csp.dual_encoder import DualEncoder
    from locenc_csp.evaluating import evaluate
    from locenc_csp.evaluation import choose_weights, multiply_prior
    from locenc_csp.finetuned import load_finetuned
    from locenc_csp.finetuning import finetune
    from locenc_csp.geo_bias_relative import relative_information
    from locenc_csp.geo_bias_self import self_information
    from locenc_csp.geolocation import geolocate, within_km
    from locenc_csp.gradient_cache import embed_in_chunks
    from locenc_csp.heads import PresenceHead, SoftmaxHead
    from locenc_csp.learned_temperature import LearnedTemperature
    from locenc_csp.masks import same_place
    from locenc_csp.neighbour_head import NeighbourHead
    from locenc_csp.objectives import Objective
    from locenc_csp.presence import full_loss, slds_loss, ssdl_loss
    from locenc_csp.pretraining import load_dual_encoder, pretrain
    from locenc_csp.probes import linear_probe
    from locenc_csp.ranking import class_scores, ranks, scores
    from locenc_csp.recipes import Encoder, Evaluate, Finetune, Import, ImportTable, Pretrain, Schedule
    from locenc_csp.search import nearest_neighbour, retrieval

_HOME = {
    "CoordinateQueue": "coordinate_queue",
    "DualEncoder": "dual_encoder",
    "Encoder": "recipes",
    "Evaluate": "recipes",
    "Finetune": "recipes",
    "Import": "recipes",
    "ImportTable": "recipes",
    "LearnedTemperature": "learned_temperature",
    "NeighbourHead": "neighbour_head",
    "Objective": "objectives",
    "PresenceHead": "heads",
    "Pretrain": "recipes",
    "Schedule": "recipes",
    "SoftmaxHead": "heads",
    "choose_weights": "evaluation",
    "class_scores": "ranking",
    "contrastive_loss": "contrastive",
    "embed_in_chunks": "gradient_cache",
    "evaluate": "evaluating",
    "expected_calibration_error": "calibration",
    "finetune": "finetuning",
    "fit_temperature": "calibration",
    "full_loss": "presence",
    "geolocate": "geolocation",
    "import_published": "datasets.importing",
    "import_table": "datasets.importing",
    "linear_probe": "probes",
    "load_dual_encoder": "pretraining",
    "load_finetuned": "finetuned",
    "multiply_prior": "evaluation",
    "nearest_neighbour": "search",
    "plot_accuracy": "accuracy_map",
    "pretrain": "pretraining",
    "ranks": "ranking",
    "relative_information": "geo_bias_relative",
    "reliability": "calibration",
    "retrieval": "search",
    "same_place": "masks",
    "scores": "ranking",
    "self_information": "geo_bias_self",
    "slds_loss": "presence",
    "ssdl_loss": "presence",
    "temper": "calibration",
    "within_km": "geolocation",
}

__all__ = [
    "CoordinateQueue",
    "DualEncoder",
    "Encoder",
    "Evaluate",
    "Finetune",
    "Import",
    "ImportTable",
    "LearnedTemperature",
    "NeighbourHead",
    "Objective",
    "PresenceHead",
    "Pretrain",
    "Schedule",
    "SoftmaxHead",
    "choose_weights",
    "class_scores",
    "contrastive_loss",
    "embed_in_chunks",
    "evaluate",
    "expected_calibration_error",
    "finetune",
    "fit_temperature",
    "full_loss",
    "geolocate",
    "import_published",
    "import_table",
    "linear_probe",
    "load_dual_encoder",
    "load_finetuned",
    "multiply_prior",
    "nearest_neighbour",
    "plot_accuracy",
    "pretrain",
    "ranks",
    "relative_information",
    "reliability",
    "retrieval",
    "same_place",
    "scores",
    "self_information",
    "slds_loss",
    "ssdl_loss",
    "temper",
    "within_km",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'locenc_csp' has no attribute {name!r}")
    value = getattr(import_module(f"locenc_csp.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

"""Public names: dropping or adding one is a decision, seen in this file's diff."""

import locenc
import locenc_csp

LOCENC = """
FFN LocationEncoder LocationTransformer PositionEncoder ResidualFCNet Siren Space2Vec Sphere2Vec SphericalHarmonics
Wrap backend coords create data describe embed embed_grid embed_parquet from_pretrained list_encoders load_csp
load_geoclip load_satclip load_sinr load_sphere2vec load_torchspatial load_tte maps nearest position_encoder register
show_versions
"""
LOCENC_CSP = """
CoordinateQueue DualEncoder Encoder Evaluate Finetune Import ImportTable LearnedTemperature NeighbourHead Objective
PresenceHead Pretrain Schedule SoftmaxHead choose_weights class_scores contrastive_loss embed_in_chunks evaluate
expected_calibration_error finetune fit_temperature full_loss geolocate import_published import_table linear_probe
load_dual_encoder load_finetuned multiply_prior nearest_neighbour plot_accuracy pretrain ranks relative_information
reliability retrieval same_place scores self_information slds_loss ssdl_loss temper within_km
"""


def test_public_names() -> None:
    assert sorted(locenc.__all__) == sorted(LOCENC.split())
    assert sorted(locenc_csp.__all__) == sorted(LOCENC_CSP.split())


def test_every_public_name_exists_and_is_documented() -> None:
    for package in (locenc, locenc_csp):
        for name in package.__all__:
            assert getattr(package, name).__doc__, name
            assert name in dir(package)


def test_encoders() -> None:
    assert locenc.list_encoders() == [
        "sphere2vec-sphereC",
        "sphere2vec-sphereC+",
        "sphere2vec-sphereM",
        "sphere2vec-sphereM+",
        "sphere2vec-dfs",
        "space2vec-grid",
        "space2vec-theory",
        "wrap",
        "nerf",
        "xyz",
        "direct",
        "rff",
        "geoclip",
        "rbf",
        "tile",
        "spherical-harmonics",
        "spherical-voronoi",
    ]

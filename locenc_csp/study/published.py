"""Published numbers that the study stands beside: Mai et al. 2023 (CSP, ICML), top-1 accuracy in percent.

They are read from the authors' slides of the paper's tables; real photographs and satellite images, at 5, 10, 20 and
100 % of the labels, image and location multiplied.
"""

LABEL_SHARES = ("5 %", "10 %", "20 %", "100 %")

#: Main tables: iNat2018 validation and fMoW validation. None where the slides have no number.
MAIN: dict[str, dict[str, tuple[float | None, ...]]] = {
    "iNat2018": {
        "image only": (5.28, 12.44, 25.33, 60.20),
        "supervised, wrap": (7.12, 12.50, 25.36, 72.41),
        "supervised, Space2Vec grid": (8.16, 14.65, 25.40, 72.98),
        "MSE": (8.15, 17.80, 27.56, 73.27),
        "CSP-NCE-BLD": (8.65, 18.75, 28.15, 73.33),
        "CSP-MC-BLD": (9.01, 19.68, 29.61, 73.79),
    },
    "fMoW": {
        "image only": (65.22, 66.46, 67.66, 69.83),
        "supervised, wrap": (66.67, 68.22, 69.45, 70.30),
        "supervised, Space2Vec grid": (67.01, 68.91, 70.20, 70.77),
        "MSE": (67.06, 68.90, 70.16, 70.45),
        "CSP-NCE-BLD": (None, None, 70.65, None),
        "CSP-MC-BLD": (67.47, 69.23, 70.66, 71.00),
    },
}
#: Ablation of the terms of MC, iNat2018.
TERMS: dict[str, tuple[float | None, ...]] = {
    "CSP-MC-B": (8.16, 16.58, 25.89, 73.10),
    "CSP-MC-BL": (8.40, 17.17, 26.63, 73.36),
    "CSP-MC-BD": (8.63, 19.60, 29.52, 73.15),
    "CSP-MC-BLD": (9.01, 19.68, 29.61, 73.79),
}
#: Size of the embedding, MC-BLD, iNat2018, 5 % of the labels.
SIZES = {64: 7.64, 128: 8.50, 256: 9.01, 512: 8.97, 1024: 8.78}
#: Other image features (a vision transformer's), iNat2018, 5 % of the labels.
IMAGES = {"image only": 12.46, "supervised, Space2Vec grid": 18.68, "CSP-MC-BLD": 20.78}

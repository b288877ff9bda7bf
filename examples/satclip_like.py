"""A SatCLIP-like run (Klemmer et al. 2025): spherical harmonics, SIREN and symmetric CLIP on satellite images.

    python examples/satclip_like.py --data data/s2-100k --out runs/satclip

The folder holds S2-100K's index.csv (columns lat, lon, url, fn), and features.npy: a row of features of a frozen image
network for each row of it, in its order. The embedding is then judged by a linear probe: land cover (MODIS, inside
locenc) from the location alone. What differs from the published run: the image branch is one linear layer, places are
moved within a disc of 1,100 m instead of to the north-east by up to 0.01 degrees, and the learned scale stays at or
below 100.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from locenc.data import LAND_COVER_CLASSES, land_cover, sample_raster
from locenc_csp import (
    Encoder,
    Evaluate,
    Finetune,
    ImportTable,
    Pretrain,
    Schedule,
    evaluate,
    finetune,
    import_table,
    pretrain,
)
from locenc_csp.datasets.table import PlaceTable
from locenc_csp.datasets.table_files import read_table, write_table


def main(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    """Import, pre-train, probe, evaluate; what is there is found, and what was stopped goes on."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with index.csv and features.npy")
    parser.add_argument("--out", type=Path, required=True, help="folder of the results")
    parser.add_argument("--degrees", type=int, default=40, help="degrees of the harmonics; 10 and 40 are published")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--tiny", action="store_true", help="two epochs and a small encoder, to see it run")
    given = parser.parse_args(arguments)

    index, features = given.data / "index.csv", given.data / "features.npy"
    data = import_table(ImportTable(index, given.out / "data", id="fn", features=features, make_split="random"))
    table = read_table(data.table)
    names = np.array(LAND_COVER_CLASSES)[sample_raster(land_cover(), table.lonlat)]
    places = given.out / "places.parquet"
    if not places.is_file():
        write_table(PlaceTable(table.ids, table.lonlat, {**table.columns, "land_cover": names}), places)

    run = Pretrain(
        table=places,
        features=data.features,
        out=given.out / "pretrained",
        split="split",
        encoder=Encoder(
            "spherical-harmonics",
            dim=16 if given.tiny else 256,
            options={"num_degrees": given.degrees},
            network="siren",
            network_options={"hidden_dim": 512, "num_hidden_layers": 2},
        ),
        objective="CLIP-B",  # both directions, their mean
        temperature=0.07,
        learn="B",
        image_components=None,
        jitter_m=1100.0,
        validation_pairs=10_000,
        device=given.device,
        schedule=Schedule(
            epochs=2 if given.tiny else 500,
            batch_size=512,
            lr=1e-4,
            lr_decay=1.0,
            weight_decay=0.01,
            vector_decay=0.0,  # none on biases
            max_grad_norm=None,
        ),
    )
    pretrain(run)
    probe = Finetune(
        places, given.out / "probe", "land_cover", pretrained=run.out, modes=("linear-probe",), device=given.device
    )
    finetune(probe)
    report = evaluate(Evaluate(probe.out, places, features=data.features, device=given.device))
    last = [json.loads(line) for line in (run.out / "metrics.jsonl").read_text().splitlines()][-1]
    print(f"retrieval of held-out pairs: {last['validation_recall_at_10']:.3f} among the first 10")
    for branch, scores in report["scores"].items():
        print(f"{branch:10} top-1 {100 * scores['top1']:.2f} % of {scores['count']} rows")
    return report


if __name__ == "__main__":
    main()

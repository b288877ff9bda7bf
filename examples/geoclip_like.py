"""A GeoCLIP-like run (Vivanco Cepeda et al. 2023): where was a photograph taken? Trained on MP-16, tested on Im2GPS3k.

    python examples/geoclip_like.py --data data/mp16 --out runs/geoclip

The folder holds mp16_places365.csv and im2gps3k_places365.csv as GeoEstimation publishes them (IMG_ID, AUTHOR, LAT,
LON, S3_Label, …), mp16_features.npy and im2gps3k_features.npy (a row of CLIP's image features for each row of the
tables), and coordinates_100K.csv (LAT, LON), the gallery of the geoclip package; without it the training places are
the gallery. What differs from the published run: the image branch is one linear layer instead of two, noise is uniform
in a disc, for the batch and the queue alike, the queue starts empty, and its places are those of the last batches.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch

import locenc
from locenc_csp import (
    Encoder,
    Evaluate,
    Finetune,
    ImportTable,
    Pretrain,
    Schedule,
    evaluate,
    finetune,
    geolocate,
    import_table,
    load_dual_encoder,
    pretrain,
    within_km,
)
from locenc_csp.datasets.foreign_table import read_foreign_table
from locenc_csp.datasets.store import Imported
from locenc_csp.datasets.table_files import read_table
from locenc_csp.features import open_features


def main(arguments: Sequence[str] | None = None) -> dict[float, float]:
    """Import, pre-train, locate the test photographs, and probe the embedding for the kind of scene."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with the tables and features named above")
    parser.add_argument("--out", type=Path, required=True, help="folder of the results")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--tiny", action="store_true", help="two epochs and a small encoder, to see it run")
    given = parser.parse_args(arguments)

    def imported(name: str) -> Imported:
        return import_table(
            ImportTable(
                file=given.data / f"{name}_places365.csv",
                out=given.out / name,
                id="IMG_ID",
                lon="LON",
                lat="LAT",
                label="S3_Label",
                make_split="random",
                features=given.data / f"{name}_features.npy",
            )
        )

    train, test = imported("mp16"), imported("im2gps3k")
    run = Pretrain(
        table=train.table,
        features=train.features,
        out=given.out / "pretrained",  # without split: the test photographs are in a table of their own
        encoder=Encoder("geoclip", dim=16 if given.tiny else 512),  # Fourier features of three widths, three networks
        objective="GEOCLIP-B",
        temperature=0.07,
        learn="B",
        queue_size=4096,
        image_components=None,
        jitter_m=150.0,
        device=given.device,
        schedule=Schedule(
            epochs=2 if given.tiny else 10,
            batch_size=32 if given.tiny else 512,
            lr=3e-5,
            lr_decay=0.87,
            weight_decay=1e-6,
            max_grad_norm=None,
        ),
    )
    encoder = locenc.from_pretrained(pretrain(run))

    photographs, file = read_table(test.table), given.data / "coordinates_100K.csv"
    gallery = (read_foreign_table(file, lon="LON", lat="LAT") if file.is_file() else read_table(train.table)).lonlat
    features = torch.tensor(open_features(given.out / "im2gps3k" / "features").values)
    images = load_dual_encoder(run).embed_image(features).detach()
    best = geolocate(images, torch.from_numpy(locenc.embed(gallery, encoder, device=given.device)))
    shares = within_km(gallery[best], photographs.lonlat)
    for km, share in shares.items():
        print(f"within {km:6g} km: {100 * share:.2f} %")

    probe = Finetune(
        table=train.table,
        out=given.out / "scene",
        label="S3_Label",  # 0 indoor, 1 natural, 2 urban
        pretrained=run.out,
        modes=("linear-probe", "knn-probe"),
        device=given.device,
    )
    finetune(probe)
    scores = evaluate(Evaluate(probe.out, train.table, device=given.device))["scores"]["location"]
    print(f"kind of scene from the location alone: top-1 {100 * scores['top1']:.2f} % of {scores['count']} photographs")
    return shares


if __name__ == "__main__":
    main()

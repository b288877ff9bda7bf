"""CSP on iNat2018 with the settings of the published run (Mai et al. 2023): MC-BLD, 5 % of the labels.

    python examples/csp_inat2018.py --data data/inat_2018 --out runs/inat2018

The folder is the one that docs/data.md describes. The published run differs in these points: it continued Adam's
moments from pre-training in fine-tuning, kept the last batch of an epoch, drew the 5 % without a seed, and left out
training rows without a photographer. It also showed at most 100 images of each species in an epoch, in pre-training
too, which reads labels: --balanced does so.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from locenc_csp import (
    Encoder,
    Evaluate,
    Finetune,
    Import,
    Pretrain,
    Schedule,
    evaluate,
    finetune,
    import_published,
    pretrain,
)

PUBLISHED = "image alone 5.28, supervised grid 8.16, MC-BLD 9.01"  # top-1 in percent with 5 % of the labels


def main(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    """Import, pre-train, fine-tune, evaluate; each part is found if it is there, and continued if it was stopped."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of iNat2018 as it is published")
    parser.add_argument("--out", type=Path, required=True, help="folder of the results")
    parser.add_argument("--balanced", action="store_true", help="at most 100 images of a species in an epoch")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--tiny", action="store_true", help="two epochs and a small encoder, to see it run")
    given = parser.parse_args(arguments)

    data = import_published(Import("inat2018", given.data, given.out / "data"))
    encoder = Encoder(
        "space2vec-grid",
        dim=16 if given.tiny else 256,
        options={"num_scales": 32, "min_radius": 0.1, "max_radius": 360.0},
        network="ffn",  # the last layer has activation and dropout too, as published
        network_options={"num_hidden_layers": 1, "hidden_dim": 512, "activation": "leakyrelu", "dropout": 0.5},
    )
    run = Pretrain(
        table=data.table,
        features=data.features,
        out=given.out / "pretrained",
        split="split",  # the published validation images, `test` here, are left out
        encoder=encoder,
        objective="csp-inat2018",  # MC-BLD; temperatures 20, 1, 1; weights 1, 1, 1
        csp_compat=True,
        negatives="official-ellipse",
        num_negatives=1,
        image_components=None,  # all 2,048 features, and one linear layer
        max_per_class=100 if given.balanced else None,
        label="label" if given.balanced else None,
        device=given.device,
        schedule=Schedule(
            epochs=2 if given.tiny else 30, batch_size=1024, lr=5e-4, lr_decay=1.0, weight_decay=0.0, max_grad_norm=None
        ),
    )
    pretrain(run)
    tuned = Finetune(
        table=data.table,
        out=given.out / "tuned",
        label="label",
        pretrained=run.out,
        label_ratio=0.05,
        modes=("full",),
        lrs=(1e-3,),
        lr_decay=0.98,
        weight_decay=0.0,
        max_grad_norm=None,
        head="presence-csp",  # the full loss of Mac Aodha et al. 2019
        negatives="official-ellipse",
        epochs=2 if given.tiny else 200,
        batch_size=1024,
        max_per_class=100 if given.balanced else None,
        device=given.device,
    )
    finetune(tuned)
    few = given.out / "data" / "probabilities" / "fewshot-ratio0.050"  # of a classifier that saw the same share
    image = {"image_probabilities": few} if few.is_dir() else {"features": data.features}
    report = evaluate(Evaluate(tuned.out, data.table, device=given.device, **image))
    for branch, scores in report["scores"].items():
        print(f"{branch:10} top-1 {100 * scores['top1']:.2f} % of {scores['count']} rows")
    print(f"published: {PUBLISHED}")
    return report


if __name__ == "__main__":
    main()

"""Small data sets in exactly the formats in which iNat2018, fMoW and LocBench are published."""

import json
from pathlib import Path

import numpy as np
from scipy import sparse

NUM_FEATURES = 6
COUNTS = {"train": 12, "val": 5, "test": 4}
SPECIES = ["Turdus merula", "Erithacus rubecula", "Pica pica"]


def rng(name: str) -> np.random.Generator:
    return np.random.default_rng(list(name.encode()))


def features_of(part: str, count: int) -> np.ndarray:
    return rng(f"features {part}").normal(size=(count, NUM_FEATURES)).astype(np.float32)


def probabilities_of(part: str, count: int, classes: int = len(SPECIES)) -> np.ndarray:
    """Rows that sum to 1, with zeros in them."""
    values = rng(f"probabilities {part}").random((count, classes)).astype(np.float32)
    values[values < 0.3] = 0
    values[:, 0] += 0.1
    return values / values.sum(1, keepdims=True)


def inat_records(part: str, *, first_id: int) -> tuple[dict, list]:
    """Annotations as in train2018.json, and locations; the fourth row has no place, the fifth no user."""
    count, draw = COUNTS[part], rng(f"places {part}")
    ids = (first_id + draw.permutation(count)).tolist()  # the order of images is not that of ids
    labels = (np.arange(count) % len(SPECIES)).tolist()
    pairs = list(zip(ids, labels, strict=True))
    images = [{"id": i, "file_name": f"train_val2018/Aves/{k}/{i}.jpg", "license": 1} for i, k in pairs]
    annotations = [{"id": i, "image_id": i, "category_id": k} for i, k in pairs]
    locations = [
        {
            "id": i,
            "lon": round(float(draw.uniform(-180, 180)), 5),
            "lat": round(float(draw.uniform(-80, 80)), 5),
            "user_id": 10 + row,
            "date_c": round(float(draw.uniform(-1, 1)), 4),
            "valid": True,
        }
        for row, i in enumerate(ids)
    ]
    locations[3] |= {"lon": None, "lat": None}
    locations[4] |= {"user_id": None}
    content = {"info": {"year": 2018}, "images": images, "annotations": annotations, "licenses": []}
    return content, locations


def write_json(path: Path, content: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def write_array(path: Path, values: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, values)


def write_sparse(path: Path, values: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    sparse.save_npz(path, sparse.csr_matrix(values))


def write_inat2018(folder: Path) -> Path:
    for part, first_id in (("train", 1), ("val", 1001)):
        content, locations = inat_records(part, first_id=first_id)
        write_json(folder / f"{part}2018.json", content)
        write_json(folder / f"{part}2018_locations.json", locations)
        features = features_of(part, COUNTS[part])
        write_array(folder / "features_inception_pretrain" / f"inat2018_{part}_pretrain_net_feats.npy", features)
        write_array(folder / "features_inception" / f"inat2018_{part}_net_feats.npy", features + 1)
    write_json(folder / "categories2018.json", [{"id": i, "name": name} for i, name in enumerate(SPECIES)][::-1])
    write_sparse(folder / "features_inception" / "inat2018_val_preds_sparse.npz", probabilities_of("val", 5))
    few = probabilities_of("few", 5)
    write_sparse(folder / "fewshot" / "inat2018_val_preds_sparse_ratio0.050.npz", few)
    return folder


def write_fmow(folder: Path) -> Path:
    for part in ("train", "val"):
        content, locations = inat_records(part, first_id=0)  # both parts count from 0
        write_json(folder / f"{part}.json", content)
        write_json(folder / f"{part}_location.json", locations)
        name = f"fmow_{part}_pretrain_net_feats.npy"
        write_array(folder / "features_inception_pretrain" / name, features_of(part, COUNTS[part]).astype(np.float64))
    write_json(folder / "category.json", {"zoo": 2, "airport": 0, "crop_field": 1})
    write_array(folder / "feature_moco" / "fmow_val_preds.npy", probabilities_of("val", 5))
    return folder


def write_birds(folder: Path, prefix: str) -> Path:
    """BirdSnap or NABirds; the second image of each part was not found again, the third has no place."""
    content: dict[str, object] = {"classes": SPECIES, "info": "made for a test"}
    for part, count in COUNTS.items():
        draw = rng(f"birds {part}")
        content[part] = [
            {
                "class_id": row % len(SPECIES),
                "im_path": f"{row}.jpg",
                "valid_image": row != 1,
                **{
                    f"{kind}_meta": {
                        "lon": float("nan") if row == 2 else float(draw.uniform(-120, -60)),
                        "lat": float("nan") if row == 2 else float(draw.uniform(20, 60)),
                        "date": float("nan") if row == 2 else 0.5,
                        "user_id": None if row == 2 else row,
                    }
                    for kind in ("ebird", *(["orig"] if prefix == "birdsnap" else []))
                },
            }
            for row in range(count)
        ]
        write_array(folder / "features_inception" / f"{prefix}_{part}_net_feats.npy", features_of(part, count - 1))
        write_sparse(
            folder / "features_inception" / f"{prefix}_{part}_preds_sparse.npz", probabilities_of(part, count - 1)
        )
    write_json(folder / f"{prefix}_with_loc_2019.json", content)  # with NaN, as Python writes it
    return folder


def write_yfcc(folder: Path) -> Path:
    draw = rng("yfcc")
    parts = draw.permutation([part for part, count in COUNTS.items() for _ in range(count)])
    lines = ["id,lon,lat,class,split"]
    for row, part in enumerate(parts):
        lines.append(f"{9000 + row},{draw.uniform(-120, -70):.5f},{draw.uniform(25, 48):.5f},{row % 3},{part}")
    folder.mkdir(parents=True)
    (folder / "train_test_split.csv").write_text("\n".join(lines) + "\n")
    (folder / "class_names.csv").write_text('id,name\n0,beach\n1,bridge\n2,"church, old"\n')
    for part, count in COUNTS.items():
        write_array(folder / "features_inception" / f"YFCC_{part}_net_feats.npy", features_of(part, count))
    write_array(folder / "features_inception" / "YFCC_test_preds.npy", probabilities_of("test", COUNTS["test"]))
    return folder

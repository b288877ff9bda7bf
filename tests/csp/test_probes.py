"""Probes of a frozen embedding: the linear one against its objective, the nearest-neighbour one by brute force."""

import io

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

from locenc_csp.evaluating import evaluate
from locenc_csp.finetuned import load_finetuned, location_classes, location_probabilities
from locenc_csp.finetuning import finetune
from locenc_csp.heads import SoftmaxHead
from locenc_csp.neighbour_head import NeighbourHead
from locenc_csp.probes import linear_probe
from locenc_csp.recipes import Encoder, Evaluate, Finetune

ENCODER = Encoder(dim=16, network="residual", network_options={"depth": 1, "dropout": 0.1})


def places(seed: int, rows: int = 60, dim: int = 5, classes: int = 3) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    codes = np.concatenate([np.arange(classes), rng.integers(classes, size=rows - classes)])
    return rng.normal(size=(rows, dim)) * rng.uniform(0.1, 10, dim) + 0.5 * codes[:, None] + 3, codes


def objective(standard: np.ndarray, codes: np.ndarray, penalty: float, weight: np.ndarray, bias: np.ndarray) -> float:
    logits = standard @ weight.T + bias
    largest = logits.max(1)
    surprise = largest + np.log(np.exp(logits - largest[:, None]).sum(1)) - logits[np.arange(len(codes)), codes]
    return surprise.mean() + penalty / 2 * (weight**2).sum()


@pytest.mark.parametrize("penalty", [1.0, 1e-2, 1e-4])
@pytest.mark.parametrize("classes", [2, 3, 6])
def test_the_linear_probe_is_at_the_minimum(classes: int, penalty: float) -> None:
    values, codes = places(classes, classes=classes)
    head = linear_probe(values, codes, classes, penalty)
    assert type(head) is SoftmaxHead
    standard = (values - values.mean(0)) / values.std(0)
    weight, bias = (head.state_dict()[name].double().numpy() for name in ("weight", "bias"))
    bias, weight = bias + weight @ values.mean(0), weight * values.std(0)
    found = objective(standard, codes, penalty, weight, bias)
    rng = np.random.default_rng(0)
    for size in (1e-1, 1e-2):
        for _ in range(20):
            other = objective(standard, codes, penalty, weight + size * rng.normal(size=weight.shape),
                              bias + size * rng.normal(size=bias.shape))  # fmt: skip
            assert other > found
    likely = np.exp(standard @ weight.T + bias)
    error = likely / likely.sum(1, keepdims=True) - np.eye(classes)[codes]
    slope = error.T @ standard / len(codes) + penalty * weight
    assert np.abs(slope).max() < 4e-6  # the solver leaves 1e-6, float32 weights the rest
    assert np.abs(error.mean(0)).max() < 4e-6


def test_the_scale_of_the_embedding_does_not_matter() -> None:
    values, codes = places(1)
    first = linear_probe(values, codes, 3, 1e-2)
    other = linear_probe(values * [1e-3, 1, 7, 100, 3] - [5, 0, 0, 2, 1], codes, 3, 1e-2)
    moved = torch.tensor(values * [1e-3, 1, 7, 100, 3] - [5, 0, 0, 2, 1]).float()
    assert_close(other.probabilities(moved), first.probabilities(torch.tensor(values).float()), rtol=1e-3, atol=1e-5)


def test_classes_without_a_place_and_constant_columns() -> None:
    values, codes = places(2)
    values[:, 2] = 0.1  # in float64 neither sum nor mean of it is exact
    head = linear_probe(values, codes * 2, 6, 1e-2)
    probabilities = head.probabilities(torch.tensor(values).float())
    assert (probabilities[:, [1, 3, 5]] == 0).all()
    assert_close(probabilities.sum(1), torch.ones(60))
    assert (head.weight[:, 2] == 0).all()
    alone = linear_probe(values, np.full(60, 4), 6, 1e-2)
    assert_close(alone.probabilities(torch.tensor(values).float()), torch.eye(6)[[4] * 60])


def test_what_a_linear_probe_refuses() -> None:
    values, codes = places(3)
    with pytest.raises(ValueError, match=r"penalty must be positive and finite, got 0\.0"):
        linear_probe(values, codes, 3, 0.0)
    with pytest.raises(ValueError, match=r"labels must be in 0 \.\. 1, but row 2 has 2"):
        linear_probe(values, codes, 2, 1.0)
    values[7, 1] = np.nan
    with pytest.raises(ValueError, match="embeddings must be finite, but row 7 is not"):
        linear_probe(values, codes, 3, 1.0)


def test_no_convergence_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("locenc_csp.probes.MAX_ITERATIONS", 3)
    with pytest.raises(
        ValueError, match=r"with penalty 0\.001 has not converged in 3 iterations: leave small penalties"
    ):
        linear_probe(*places(4), 3, 1e-3)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 999), k=st.integers(1, 80), temperature=st.sampled_from([0.01, 0.1, 1.0, 100.0]))
def test_neighbours_vote(seed: int, k: int, temperature: float) -> None:
    values, codes = places(seed)
    queries = np.random.default_rng(seed + 1).normal(size=(4, 5)) + 2
    head = NeighbourHead(torch.tensor(values), torch.tensor(codes), 4, k=k, temperature=temperature)
    found = head.probabilities(torch.tensor(queries).reshape(2, 2, 5)).reshape(4, 4)
    for query, row in zip(queries, found.tolist(), strict=True):
        cosine = values @ query / np.linalg.norm(values, axis=1) / np.linalg.norm(query)
        voters = np.argsort(-cosine)[:k]
        votes = np.exp((cosine[voters] - cosine.max()) / temperature)
        expected = [votes[codes[voters] == c].sum() / votes.sum() for c in range(4)]
        assert row == pytest.approx(expected, abs=2e-4)


def test_a_neighbour_head_in_pieces_and_on_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    values, codes = (torch.tensor(one) for one in places(5))
    head = NeighbourHead(values, codes, 3, k=7, temperature=0.1)
    queries = torch.randn(50, 5, generator=torch.Generator().manual_seed(0))
    whole = head.probabilities(queries)
    monkeypatch.setattr("locenc_csp.neighbour_head.BLOCK", 180)
    assert_close(head.probabilities(queries), whole)
    assert head.probabilities(queries[:0]).shape == (0, 3)
    file = io.BytesIO()
    torch.save(head.state_dict(), file)
    file.seek(0)
    again = NeighbourHead.empty(5, 3)
    again.load_state_dict(torch.load(file))
    assert torch.equal(again.probabilities(queries), head.probabilities(queries))
    with pytest.raises(RuntimeError, match="size mismatch for embedding"):
        NeighbourHead.empty(6, 3).load_state_dict(head.state_dict())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"k": 0}, "k must be a whole number of at least 1, got 0"),
        ({"temperature": 0.0}, r"temperature must be positive and finite, got 0\.0"),
        ({"codes": torch.zeros(3, dtype=torch.int64)}, r"classes \(N,\), at least one, got \(2, 5\) and \(3,\)"),
    ],
)
def test_what_a_neighbour_head_refuses(changes: dict[str, object], message: str) -> None:
    given = {"codes": torch.zeros(2, dtype=torch.int64), "k": 1, "temperature": 1.0, **changes}
    with pytest.raises(ValueError, match=message):
        NeighbourHead(torch.zeros(2, 5), given.pop("codes"), 3, **given)


def recipe(small: object, **changes: object) -> Finetune:
    return Finetune(small.table_path, small.folder / "tuned", "label", encoder=ENCODER, batch_size=32, **changes)


@pytest.mark.parametrize("mode", ["linear-probe", "knn-probe"])
def test_a_probe_is_saved_loaded_and_scored_as_any_head(small: object, mode: str) -> None:
    job = recipe(small, modes=(mode,), label_ratio=0.5, penalties=(1.0, 1e-3), neighbours=(100, 3))
    result = finetune(job, progress=False)
    names = {"linear-probe": ["penalty"], "knn-probe": ["k", "temperature"]}[mode]
    assert [list(one) for one in result["candidates"]] == [["mode", *names, "val_top1"]] * len(result["candidates"])
    best = max(one["val_top1"] for one in result["candidates"])
    assert result["chosen"] == next(one for one in result["candidates"] if one["val_top1"] == best)
    encoder, head, read = load_finetuned(job.out)
    assert read == result
    val = np.flatnonzero(small.table.columns["split"] == "val")
    probabilities = location_probabilities(encoder, head, small.table.lonlat[val])
    assert np.allclose(probabilities.sum(1), 1, atol=1e-5)
    codes = small.table.labels("label").codes[val]
    assert (probabilities.argmax(1) == codes).mean() == best
    assert np.array_equal(
        location_classes(encoder, head, small.table.lonlat[val], batch_size=7), probabilities.argmax(1)
    )
    report = evaluate(Evaluate(job.out, small.table_path, features=small.features))
    assert report["scores"]["location"]["top1"] > 0.5
    head_bytes = (job.out / "head.safetensors").read_bytes()
    (job.out / "result.json").unlink()
    assert finetune(job, progress=False) == result
    assert (job.out / "head.safetensors").read_bytes() == head_bytes


def test_probes_beside_trained_heads(small: object) -> None:
    job = recipe(small, modes=("frozen", "linear-probe", "knn-probe"), head="presence", steps=5, penalties=(1e-3,))
    result = finetune(job, progress=False)
    assert [one["mode"] for one in result["candidates"]] == ["frozen", "linear-probe", *["knn-probe"] * 10]
    assert result["chosen"]["mode"] != "frozen"  # five steps are few
    assert "positive_weight" not in vars(load_finetuned(job.out)[1])

"""A step of contrastive spatial pre-training beside the arithmetic of the published code: time and memory.

CSP-MC-BLD as published for iNat2018: Space2Vec grid of 32 scales, layers of 512 and 256, dropout 0.5, image features of
2,048 columns; one random location for each pair.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

import locenc
from benchmarks import memory, official_csp
from benchmarks.cases import coordinates
from benchmarks.command import options
from benchmarks.correct import check
from benchmarks.official_csp import DIM, FEATURES, LEAST, MOST, NUM_SCALES, Official
from benchmarks.peer_encoders import torchspatial_order
from benchmarks.report import Report
from benchmarks.timing import interleave
from locenc_csp import DualEncoder, Objective
from locenc_csp.negatives import sphere

OFFICIAL, OURS, OURS_BFLOAT16, OFFICIAL_BFLOAT16 = "official", "ours", "ours, bfloat16", "official, bfloat16"
#: Times as fast as the official step in float32, by batch size.
LEAST_FASTER = {1_024: 1.3, 4_096: 1.4}
LEAST_BFLOAT16, MOST_MEMORY, LARGE = 2.2, 1 / 6, 16_384


def main(arguments: Sequence[str] | None = None) -> Report:
    """Run the command; see ``--help``."""
    given = options("csp_step", __doc__, arguments)
    report = Report("csp_step", "A step of CSP on the CPU", {"threads": given.threads, "quick": given.quick})
    torch.manual_seed(0)
    equal(report)
    times(report, (64,) if given.quick else tuple(LEAST_FASTER), 0.0 if given.quick else 10.0)
    memories(report, 512 if given.quick else LARGE, given.threads)
    report.finish(path=given.json, save=given.save)
    return report


def ours(dropout: float = 0.5) -> DualEncoder:
    """The same model of our parts."""
    encoder = locenc.create(
        "space2vec-grid",
        dim=DIM,
        network={"name": "ffn", "dropout": dropout},
        num_scales=NUM_SCALES,
        min_radius=LEAST,
        max_radius=MOST,
    )
    return DualEncoder(encoder, nn.Linear(FEATURES, DIM))


def official(model: DualEncoder, dropout: float = 0.5) -> Official:
    """The official model with the weights of ours."""
    peer = Official(dropout)
    layers = model.location.network.layers  # type: ignore[union-attr]
    peer.hidden[0].load_state_dict(layers[0].linear.state_dict())  # type: ignore[index, union-attr]
    order = torchspatial_order("grid", NUM_SCALES, 4 * NUM_SCALES)
    weight = peer.hidden[0].weight
    with torch.no_grad():
        weight.copy_(weight[:, order])  # type: ignore[operator, index]
    peer.hidden[3].load_state_dict(layers[0].norm.state_dict())  # type: ignore[index, union-attr]
    peer.last[0].load_state_dict(layers[1].linear.state_dict())  # type: ignore[index, union-attr]
    peer.image.load_state_dict(model.image.state_dict())
    return peer


def batch(size: int) -> tuple[Tensor, Tensor]:
    """Locations and image features."""
    return coordinates(size), torch.randn(size, FEATURES, generator=torch.Generator().manual_seed(1))


def equal(report: Report) -> None:
    """Without dropout both give one loss, and one gradient, for the same random locations."""
    lonlat, features = batch(200)
    random = coordinates(400)[200:]
    model = ours(dropout=0.0)
    peer = official(model, dropout=0.0)
    loss, _ = Objective("csp-inat2018")(*model(lonlat, features, negatives=random, twin=True))
    expected = peer(lonlat, features, random)
    error = check("loss", loss, expected, tolerance=1e-5)
    given = [(model.image, peer.image), (model.location.network.layers[1].linear, peer.last[0])]  # type: ignore[union-attr, index]
    for total in (loss, expected):
        total.backward()
    for mine, theirs in given:
        found, wanted = (next(part.parameters()).grad for part in (mine, theirs))
        assert wanted is not None
        check("gradient", found, wanted, tolerance=1e-5 * float(wanted.abs().max()))
    report.keep("difference of the losses", error)


def trainer(model: DualEncoder, lonlat: Tensor, features: Tensor, *, bfloat16: bool) -> Callable[[], float]:
    """A step as our loop makes it, as a function without arguments, which returns the loss."""
    objective, sampler, generator = Objective("csp-inat2018"), sphere(), torch.Generator().manual_seed(2)
    optimiser = torch.optim.AdamW(model.parameters(), lr=5e-4, fused=True)

    def step() -> float:
        with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
            loss, _ = objective(*model(lonlat, features, negatives=sampler(lonlat, 1, generator), twin=True))
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        return float(loss.detach())

    return step


def times(report: Report, sizes: Sequence[int], seconds: float) -> None:
    """Time steps."""
    rows = []
    for size in sizes:
        lonlat, features = batch(size)
        model = ours()
        cases = {
            OFFICIAL: official_csp.trainer(official(model), lonlat, features),
            OURS: trainer(model, lonlat, features, bfloat16=False),
            OURS_BFLOAT16: trainer(ours(), lonlat, features, bfloat16=True),
        }
        timings = interleave(cases, seconds=seconds)
        report.keep(f"batch {size}", timings.data())
        for case in cases:
            ratio = timings.times_faster(case, than=OFFICIAL).text() if case != OFFICIAL else None
            rows.append((size, case, timings.rate(case, size).text(), 1e3 * timings.time(case).median, ratio))
        faster = {case: timings.times_faster(case, than=OFFICIAL).median for case in cases}
        report.target(f"batch of {size:,}: against the official step", faster[OURS], least=LEAST_FASTER.get(size, 1.3))
        report.target(f"batch of {size:,}: bfloat16 against it", faster[OURS_BFLOAT16], least=LEAST_BFLOAT16)
    heads = ("batch", "step", "samples/s", "ms", "× official")
    report.table("A step of CSP-MC-BLD", heads, rows, note="Median (quartiles). Official: float32.")


def memories(report: Report, size: int, threads: int) -> None:
    """Memory of the objective and its gradients alone."""
    setup = f"""
import torch, benchmarks.official_csp as official
from locenc_csp import Objective
torch.set_num_threads({threads})
def made(size):
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(size, {DIM}, generator=generator).requires_grad_() for _ in range(4)]
ours = lambda *rows: Objective("csp-inat2018")(*rows)[0]
for objective in (official.objective, ours): objective(*made(9)).backward()
rows = made({size})
"""
    free = memory.available()
    needed = 7 * 4 * size**2
    found = {}
    for case, code in ((OFFICIAL, "official.objective"), (OURS, "ours")):
        if case == OURS or free is None or needed < free:
            found[case] = memory.peak(f"{code}(*rows).backward()", setup=setup)
    rows = [(case, size, grown / 1e6, seconds) for case, (grown, seconds) in found.items()]
    heads = ("objective", "batch", "peak, MB", "seconds")
    note = "Growth of the resident memory over the embeddings, in a process of its own; gradients are in it."
    report.table("Memory of the objective", heads, rows, note=note)
    if OFFICIAL in found:
        share = found[OURS][0] / found[OFFICIAL][0]
        report.target(
            f"memory of the objective at {size:,}, share of the official one", share, most=MOST_MEMORY, unit=""
        )
        faster = found[OFFICIAL][1] / found[OURS][1]  # the rest of a step is the same at every size, and faster
        report.target(f"objective at {size:,}: against the official one", faster, least=1.0)


if __name__ == "__main__":
    main()

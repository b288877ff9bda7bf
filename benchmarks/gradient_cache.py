"""Memory and time of a large batch of images through a network that trains: at once, and by `embed_in_chunks`."""

from collections.abc import Sequence

from benchmarks import memory
from benchmarks.command import options
from benchmarks.report import Report

SETUP = """
import torch
from torch import nn
from locenc_csp import contrastive_loss, embed_in_chunks
torch.manual_seed(0)
torch.set_num_threads({threads})
def layer(a, b):
    return nn.Conv2d(a, b, 3, stride=2, padding=1), nn.GELU()
network = nn.Sequential(*layer(3, 32), *layer(32, 64), *layer(64, 128), nn.AdaptiveAvgPool2d(1), nn.Flatten())
images, locations = torch.randn({batch}, 3, 64, 64), torch.randn({batch}, 128)
contrastive_loss(network(images[:{chunk}]), locations[:{chunk}]).backward()  # what is made once
"""
CODE = "contrastive_loss({embed}, locations).backward()"
CHUNK, MOST = 32, 0.25


def main(arguments: Sequence[str] | None = None) -> Report:
    """Run the command; see ``--help``."""
    given = options("gradient_cache", __doc__, arguments)
    batch = 128 if given.quick else 1024
    settings = {"threads": given.threads, "quick": given.quick, "batch": batch, "chunk": CHUNK}
    report = Report("gradient_cache", "Gradient caching", settings)
    setup = SETUP.format(batch=batch, chunk=CHUNK, threads=given.threads)
    cases = {"at once": "network(images)", "in chunks": f"embed_in_chunks(network, images, {CHUNK})"}
    found = {case: memory.peak(CODE.format(embed=embed), setup=setup) for case, embed in cases.items()}
    report.table(
        f"{batch:,} images of 64 x 64 pixels, three convolutions, loss and gradients",
        ("embedded", "peak, MB", "seconds"),
        [(case, grown / 1e6, seconds) for case, (grown, seconds) in found.items()],
        note=f"Growth of the resident memory over images and network, in a process of its own. Chunks of {CHUNK}.",
    )
    share = found["in chunks"][0] / found["at once"][0]
    report.target("memory, share of that at once", share, most=1.0 if given.quick else MOST, unit="")
    report.finish(path=given.json, save=given.save)
    return report


if __name__ == "__main__":
    main()

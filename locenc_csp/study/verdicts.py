"""Whether an order of two methods, published or looked for, is found in the study."""

from collections.abc import Sequence
from typing import NamedTuple

from locenc_csp.study.markdown import spread
from locenc_csp.study.records import SUPERVISED, Record, paired


class Claim(NamedTuple):
    """One method is better than another: where that is published, the part that says it here, and the two rows."""

    where: str
    part: str
    better: str
    worse: str


CLAIMS = (
    Claim("main tables", "main", "CSP-MC-BLD", SUPERVISED),
    Claim("main tables", "main", "CSP-NCE-BLD", SUPERVISED),
    Claim("main tables", "main", "CSP-MC-BLD", "MSE"),
    Claim("main tables", "main", "CSP-MC-BLD", "CSP-NCE-BLD"),
    Claim("", "main", "CSP-NCE-B", SUPERVISED),
    Claim("", "main", "CSP-MC-B", SUPERVISED),
    Claim("", "main", "CSP-MC-B", "CSP-NCE-B"),
    Claim("", "main", "CSP-NCE-B, shuffled pairs", SUPERVISED),
    Claim("", "terms", "CSP-MC-D", "CSP-MC-B"),
    Claim("terms", "terms", "CSP-MC-BL", "CSP-MC-B"),
    Claim("terms", "terms", "CSP-MC-BD", "CSP-MC-B"),
    Claim("terms", "terms", "CSP-MC-BLD", "CSP-MC-BL"),
    Claim("terms", "terms", "CSP-MC-BLD", "CSP-MC-BD"),
    Claim("sizes", "sizes", "CSP-MC-BLD, 256 dimensions", "CSP-MC-BLD, 64 dimensions"),
    Claim("sizes", "sizes", "CSP-MC-BLD, 256 dimensions", "CSP-MC-BLD, 1024 dimensions"),
)


def verdicts(records: dict[str, list[Record]], branch: str = "product") -> str:
    """Make a table of orders of two methods and whether they hold here.

    A difference is the mean over the label shares up to 20 %, taken on each split. It holds, or is the other way
    round, where every split says so; otherwise it is open.

    Parameters
    ----------
    records : dict of list
        Of each part.
    branch : str
        Which accuracy.

    Returns
    -------
    str
        Markdown; empty where no part is there.
    """
    lines = []
    for claim in CLAIMS:
        values = list(paired(_few(records.get(claim.part, [])), claim.better, claim.worse, branch).values())
        if values:
            lines.append(
                f"| {claim.better} over {claim.worse} | {claim.where} | {spread(values, '+')} | {_say(values)} |"
            )
    head = ["| order | published in | here, points | holds? |", "| --- | --- | --- | --- |"]
    return "\n".join([*head, *lines]) if lines else ""


def _few(records: Sequence[Record]) -> list[Record]:
    return [record for record in records if record["ratio"] <= 0.2]


def _say(values: Sequence[float]) -> str:
    if all(value > 0 for value in values):
        return "yes, in every split"
    if all(value < 0 for value in values):
        return "no: the other way round in every split"
    return "open: splits differ"

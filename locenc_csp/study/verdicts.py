"""Whether the study's order of two methods agrees with the published one."""

from collections.abc import Sequence
from typing import NamedTuple

from locenc_csp.study.markdown import spread
from locenc_csp.study.records import SUPERVISED, Record, paired


class Claim(NamedTuple):
    """One method is better than another, as published: where the numbers are, and the two rows."""

    where: str
    part: str
    better: str
    worse: str


CLAIMS = (
    Claim("main tables", "main", "CSP-MC-BLD", SUPERVISED),
    Claim("main tables", "main", "CSP-NCE-BLD", SUPERVISED),
    Claim("main tables", "main", "CSP-MC-BLD", "MSE"),
    Claim("main tables", "main", "CSP-MC-BLD", "CSP-NCE-BLD"),
    Claim("terms", "terms", "CSP-MC-BL", "CSP-MC-B"),
    Claim("terms", "terms", "CSP-MC-BD", "CSP-MC-B"),
    Claim("terms", "terms", "CSP-MC-BLD", "CSP-MC-BL"),
    Claim("terms", "terms", "CSP-MC-BLD", "CSP-MC-BD"),
    Claim("sizes", "sizes", "CSP-MC-BLD, 256 dimensions", "CSP-MC-BLD, 64 dimensions"),
    Claim("sizes", "sizes", "CSP-MC-BLD, 256 dimensions", "CSP-MC-BLD, 1024 dimensions"),
)


def verdicts(records: dict[str, list[Record]], branch: str = "product") -> str:
    """Make a table of the published orders and whether ours agree.

    A difference is the mean over the label shares up to 20 %, taken on each split. It agrees, or is the other way
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
    head = ["| published order | published in | here, points | |", "| --- | --- | --- | --- |"]
    return "\n".join([*head, *lines]) if lines else ""


def _few(records: Sequence[Record]) -> list[Record]:
    return [record for record in records if record["ratio"] <= 0.2]


def _say(values: Sequence[float]) -> str:
    if all(value > 0 for value in values):
        return "agrees, in every split"
    if all(value < 0 for value in values):
        return "the other way round, in every split"
    return "open: splits differ"

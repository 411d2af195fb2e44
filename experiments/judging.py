"""Claims, and the kinds of judgement that several claims share."""

import dataclasses
import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from experiments.pictures import Picture


class Finding(NamedTuple):
    """The measurement in words, and whether the claim holds; None if it could not be judged."""

    measured: str
    holds: bool | None


@dataclasses.dataclass(frozen=True)
class Claim:
    """A claim of the paper.

    Attributes:
      text: the claim in words.
      criterion: when the claim counts as held, and why.
      judge: measures the claim on the pictures of its experiment.
      reason: the likeliest reason if the claim does not hold; a guess, not a measurement.
      unverified: the report's text if the claim cannot be judged.
    """

    text: str
    criterion: str
    judge: Callable[[Sequence[Picture]], Finding]
    reason: str
    unverified: str = "a picture that it needs is missing"

    def find(self, pictures: Sequence[Picture]) -> Finding:
        """Judges the claim; if pictures are missing, it stays unjudged."""
        try:
            return self.judge(pictures)
        except MissingPictureError as error:
            return Finding(f"{error} is missing", None)


class MissingPictureError(LookupError):
    """The experiment lacks a picture that the claim needs."""


def by_label(pictures: Sequence[Picture], *labels: str) -> list[Picture]:
    """Returns the pictures with these labels, in the order of the labels."""
    found = {picture.label: picture for picture in pictures}
    for label in labels:
        if label not in found:
            raise MissingPictureError(label)
    return [found[label] for label in labels]


def pairs(pictures: Sequence[Picture]) -> Mapping[tuple[str, str], list[Picture]]:
    """Groups pictures by photograph and painting."""
    groups: dict[tuple[str, str], list[Picture]] = {}
    for picture in pictures:
        groups.setdefault((picture.photograph, picture.painting), []).append(picture)
    return groups


def each_pair(judge: Callable[[Sequence[Picture]], Finding]) -> Callable[[Sequence[Picture]], Finding]:
    """Turns a judgement of one photograph and painting into one of all pairs, which must hold for each."""

    def judge_all(pictures: Sequence[Picture]) -> Finding:
        groups = pairs(pictures)
        if not groups:
            raise MissingPictureError("every picture")
        one_painting = len({painting for _, painting in groups}) == 1
        findings = {
            photograph if one_painting else f"{photograph}, {painting}": judge(group)
            for (photograph, painting), group in groups.items()
        }
        text = ", ".join(f"{name} ({finding.measured})" for name, finding in findings.items())
        return Finding(text, all(finding.holds for finding in findings.values()))

    return judge_all


def listed(values: Mapping[str, float]) -> str:
    """Returns names and values as text."""
    return ", ".join(f"{name}: {value:.3g}" for name, value in values.items())


def in_order(term: str, labels: Sequence[str], rising: bool) -> Callable[[Sequence[Picture]], Finding]:
    """Returns a judgement that a final loss rises, or falls, strictly from label to label."""

    def judge(pictures: Sequence[Picture]) -> Finding:
        values = {picture.label: picture.losses[term] for picture in by_label(pictures, *labels)}
        steps = itertools.pairwise(values.values())
        return Finding(listed(values), all((before < after) is rising and before != after for before, after in steps))

    return each_pair(judge)


def less(
    value: Callable[[Picture], float], smaller: str, larger: str, name: str
) -> Callable[[Sequence[Picture]], Finding]:
    """Returns a judgement that a measure is smaller for one label than for another."""

    def judge(pictures: Sequence[Picture]) -> Finding:
        few, many = by_label(pictures, smaller, larger)
        text = f"{name} {listed({smaller: value(few), larger: value(many)})}"
        return Finding(text, value(few) < value(many))

    return each_pair(judge)

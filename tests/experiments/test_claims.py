"""Every claim is judged on made-up pictures for which it plainly holds and for which it plainly does not."""

import dataclasses
from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest

from experiments.claims import CLAIMS
from experiments.judging import Claim, Finding
from experiments.measure import colour_distance, mean_frequency
from experiments.pictures import Picture, Yardstick

LAYERS = ("conv1_1", "conv2_1", "conv3_1", "conv4_1", "conv5_1")
WEIGHTS = {"content_weight": 1e5, "style_weight": 1e3, "tv_weight": 10.0}
FLAT = {"content": 1.0, "style": 1.0, "tv": 1.0, "total": 1.0}


def history(**terms: Iterable[float]) -> tuple[dict[str, float], ...]:
    """Losses after 0, 10, 25, 50 and 100 iterations; terms that are not given stay 1."""
    points = [dict(FLAT, iteration=iteration) for iteration in (0, 10, 25, 50, 100)]
    for term, values in terms.items():
        for point, value in zip(points, values, strict=True):
            point[term] = value
    return tuple(points)


def picture(label: str = "basic", photograph: str = "cat", painting: str = "waves", **given: Any) -> Picture:
    """A picture in which nothing stands out but what is given: losses, history and fields of the yardstick."""
    content, style = given.pop("content", 1.0), given.pop("style", 1.0)
    yardstick = Yardstick(
        content=given.pop("to_photographs", {photograph: {"conv4_2": content, "conv5_2": content}}),
        style=given.pop("to_paintings", {painting: dict.fromkeys(LAYERS, style)}),
        painting_content={"conv4_2": 10.0, "conv5_2": 10.0},
        colour=given.pop("colour", 1.0),
        frequency=given.pop("frequency", 0.1),
        reduced=given.pop("reduced", np.zeros((2, 2, 3))),
    )
    losses = {**FLAT, **given.pop("losses", {})}
    points = given.pop("history", history())
    assert not given
    return Picture(label, photograph, painting, WEIGHTS, losses, points, yardstick)


def final(term: str, **values: float) -> list[Picture]:
    """A picture for each value of a final loss; labels as keywords, `_` for what a keyword cannot have."""
    return [picture(label.strip("_").replace("p", "."), losses={term: value}) for label, value in values.items()]


def logged(label: str, **terms: Iterable[float]) -> Picture:
    return picture(label, history=history(**terms))


def seeds(*rows: Iterable[float], total: Iterable[float] = (1, 1)) -> list[Picture]:
    return [
        picture(str(seed), reduced=np.array(row, float), losses={"total": value})
        for seed, (row, value) in enumerate(zip(rows, total, strict=True))
    ]


def variants(left: float, content: float = 0.5) -> list[Picture]:
    names = ("average pooling", "from content", "from style")
    return [picture("basic"), *(picture(name, losses={"total": left, "content": content}) for name in names)]


WEIGHTED_1E8 = {"content": 1e3, "style": 1e5, "tv": 1e7}
STEEP = (1e8, 1e7, 1e5, 1e4, 9e3)
STRAIGHT = (1e8, 1e7, 1e6, 1e4, 1e2)
ALIKE, OTHER = (1, 2, 3, 4), (4, 1, 3, 2)

# section, number of the claim in it, pictures for which it holds, pictures for which it does not
CASES = [
    (
        "4.1",
        0,
        [picture(history=history(**{term: [value] * 5 for term, value in WEIGHTED_1E8.items()}))],
        [picture(history=history(**{term: [value] * 5 for term, value in {**WEIGHTED_1E8, "tv": 1e4}.items()}))],
    ),
    (
        "4.2",
        0,
        final("content", _0p1=4, _1=3, _10=2, _100=1),
        final("content", _0p1=4, _1=2, _10=3, _100=1),
    ),
    ("4.2", 1, final("style", _0p1=1, _1=2, _10=3, _100=4), final("style", _0p1=1, _1=2, _10=2, _100=4)),
    (
        "4.2",
        2,
        [logged("10", content=[8, 2, 1, 1, 1]), logged("0.1", content=[4, 3, 1, 1, 1])],
        [logged("10", content=[8, 7, 1, 1, 1]), logged("0.1", content=[4, 3, 1, 1, 1])],
    ),
    ("4.2", 3, [picture("0.0001", content=9.5)], [picture("0.0001", content=5.0)]),
    ("4.3", 0, final("tv", _0=3, _10=2, _100=1), final("tv", _0=3, _10=1, _100=2)),
    ("4.3", 1, final("content", _10=1, _100=2), final("content", _10=2, _100=1)),
    ("4.4", 0, [logged("basic", total=STEEP)], [logged("basic", total=STRAIGHT)]),
    ("4.4", 1, [logged("basic", total=STEEP)], [logged("basic", total=STRAIGHT)]),
    (
        "4.4",
        2,
        [logged("basic", total=[5, 6, 4, 3, 2])],
        [logged("basic", total=[6, 5, 4, 3, 3.5])],
    ),
    (
        "4.5",
        0,
        [picture("L2", losses={"content": 3}, history=history(content=[9] * 5)), picture("L1")],
        [picture("L2", losses={"content": 0.5}, history=history(content=[9] * 5)), picture("L1")],
    ),
    (
        "4.5",
        1,
        [logged("L2", content=[8, 2, 1, 1, 1]), logged("L1", content=[4, 3, 1, 1, 1])],
        [logged("L2", content=[8, 7, 1, 1, 1]), logged("L1", content=[4, 3, 1, 1, 1])],
    ),
    ("4.5", 2, [picture("L2", content=1), picture("L1", content=2)], [picture("L2", content=2), picture("L1")]),
    (
        "4.6",
        0,
        [picture("VGG19 (2)", content=1), picture("VGG19 (1)", content=2)],
        [picture("VGG19 (2)", content=2), picture("VGG19 (1)", content=1)],
    ),
    ("4.7", 0, [picture("low"), picture("high", content=2)], [picture("low", content=2), picture("high")]),
    ("4.7", 1, [picture("low", frequency=0.2), picture("high")], [picture("low"), picture("high", frequency=0.2)]),
    ("4.7", 2, [picture("low", colour=2), picture("high")], [picture("low"), picture("high", colour=2)]),
    ("4.7", 3, [picture("low", style=2), picture("high")], [picture("low"), picture("high", style=2)]),
    (
        "4.8",
        0,
        [logged("15", total=[9, 1, 1, 1, 1]), logged("5", total=[9, 5, 1, 1, 1])],
        [logged("15", total=[9, 5, 1, 1, 1]), logged("5", total=[9, 4, 1, 1, 1])],
    ),
    (
        "4.8",
        1,
        [logged("15"), logged("5", content=[9, 2, 1, 1, 1], style=[9, 4, 1, 1, 1], tv=[9, 3, 1, 1, 1])],
        [logged("15"), logged("5", content=[9, 2, 1, 1, 1], style=[9, 4, 1, 1, 1], tv=[9, 1, 1, 1, 1])],
    ),
    ("4.9", 0, seeds(ALIKE, ALIKE, total=(1, 1.05)), seeds(ALIKE, ALIKE, total=(1, 1.2))),
    ("4.9", 1, seeds(ALIKE, (1, 2, 3, 5)), seeds(ALIKE, OTHER)),
    ("4.10", 0, [picture("VGG19"), picture("ResNet50", style=3)], [picture("VGG19"), picture("ResNet50", style=1.5)]),
    ("4.10", 1, final("tv", VGG19=1, ResNet50=2), final("tv", VGG19=2, ResNet50=1)),
    (
        "5",
        0,
        [picture(to_photographs={"cat": {"conv5_2": 1}, "cup": {"conv5_2": 2}})],
        [picture(to_photographs={"cat": {"conv5_2": 2}, "cup": {"conv5_2": 1}})],
    ),
    (
        "5",
        1,
        [picture(to_paintings={"waves": dict.fromkeys(LAYERS, 1), "forms": dict.fromkeys(LAYERS, 2)})],
        [picture(to_paintings={"waves": dict.fromkeys(LAYERS, 2), "forms": dict.fromkeys(LAYERS, 1)})],
    ),
    ("6-7", 0, variants(0.5), variants(2.0)),
    ("6-7", 1, variants(0.5), variants(0.5, content=3.0)),
]
IDS = [f"{section} claim {number + 1}" for section, number, *_ in CASES]


def find(section: str, number: int, pictures: list[Picture]) -> Finding:
    return CLAIMS[section][number].find(pictures)


def test_every_claim_has_its_cases():
    assert {(section, number) for section, number, *_ in CASES} == {
        (section, number) for section, claims in CLAIMS.items() for number in range(len(claims))
    }


@pytest.mark.parametrize(("section", "number", "holding", "failing"), CASES, ids=IDS)
def test_a_claim_that_holds_and_one_that_does_not(section, number, holding, failing):
    good, bad = find(section, number, holding), find(section, number, failing)
    assert good.holds is True and bad.holds is False
    assert any(character.isdigit() for character in good.measured + bad.measured)
    assert "\n" not in good.measured and "|" not in good.measured


@pytest.mark.parametrize(("section", "number"), [case[:2] for case in CASES], ids=IDS)
def test_without_pictures_a_claim_is_not_judged(section, number):
    assert find(section, number, []) == ("every picture is missing", None)


@pytest.mark.parametrize(("section", "number", "holding", "failing"), CASES, ids=IDS)
def test_a_claim_must_hold_for_every_photograph(section, number, holding, failing):
    elsewhere = [moved(bad) for bad in failing]
    finding = find(section, number, [*holding, *elsewhere])
    assert finding.holds is False
    if section != "5":
        assert "cat (" in finding.measured and "cup (" in finding.measured


def moved(one: Picture) -> Picture:
    """The same picture, made from another photograph."""
    content = one.yardstick.content
    swapped = {"cat": content["cup"], "cup": content["cat"]} if "cup" in content else {"cup": content["cat"]}
    return dataclasses.replace(one, photograph="cup", yardstick=dataclasses.replace(one.yardstick, content=swapped))


def test_a_missing_variant_is_named():
    claim: Claim = CLAIMS["4.3"][0]
    assert claim.find(final("tv", _0=3, _10=2)) == ("100 is missing", None)


def test_every_claim_says_its_criterion_and_the_likeliest_reason_against_it():
    for claim in (claim for claims in CLAIMS.values() for claim in claims):
        assert claim.text and claim.criterion and claim.reason
        assert not any("|" in text or "\n" in text for text in (claim.text, claim.criterion, claim.unverified))


def test_a_fraction_of_the_iterations_is_the_last_recorded_point_within_it():
    one = logged("basic", content=[8, 4, 3, 2, 1])
    assert (one.at(0, "content"), one.at(0.3, "content"), one.at(1, "content")) == (8, 3, 1)
    assert one.left(0.1, "content") == 0.5


def test_colours_are_compared_without_places():
    image = np.random.default_rng(0).integers(0, 200, (6, 5, 3))
    assert colour_distance(image, image[::-1, ::-1]) == 0
    assert colour_distance(image, image + np.array([3, 0, 0])) == pytest.approx(1)


@pytest.mark.parametrize("period", [2, 4, 8])
def test_the_frequency_of_stripes(period):
    stripes = np.tile(127 + 100 * np.cos(2 * np.pi * np.arange(32) / period), (16, 1))
    assert mean_frequency(np.repeat(stripes[..., np.newaxis], 3, axis=2)) == pytest.approx(1 / period)

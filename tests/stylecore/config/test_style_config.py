"""StyleConfig: what it refuses and how it says so, the paper's presets, one canonical form, strict JSON."""

import json
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stylecore.config.style_config import MAX_SEED, ConfigError, StyleConfig, defining_fields

BAD = [
    ({"learning_rate": -15.0}, "learning_rate must be > 0, got -15.0"),
    ({"learning_rate": 0}, "learning_rate must be > 0, got 0"),
    ({"learning_rate": "15"}, "learning_rate must be a number, got '15'"),
    ({"learning_rate": True}, "learning_rate must be a number, got True"),
    ({"learning_rate": float("nan")}, "learning_rate must be a finite number, got nan"),
    ({"learning_rate": float("inf")}, "learning_rate must be a finite number, got inf"),
    ({"tv_weight": -0.5}, "tv_weight must be >= 0, got -0.5"),
    ({"beta_1": 1}, "beta_1 must be >= 0 and < 1, got 1"),
    ({"beta_2": -0.1}, "beta_2 must be >= 0 and < 1, got -0.1"),
    ({"epsilon": 0.0}, "epsilon must be > 0, got 0.0"),
    ({"iterations": 1.5}, "iterations must be a whole number from 0 to 1000000, got 1.5"),
    ({"iterations": -1}, "iterations must be a whole number from 0 to 1000000, got -1"),
    ({"iterations": False}, "iterations must be a number, got False"),
    ({"history_size": 0}, "history_size must be a whole number from 1 to 200, got 0"),
    ({"early_stop_tolerance": 1.5}, "early_stop_tolerance must be >= 0 and <= 1, got 1.5"),
    ({"seed": 2**63}, f"seed must be a whole number from 0 to {MAX_SEED}, got {2**63}"),
    ({"image_size": 0}, "image_size must be a whole number from 1 to 16384, got 0"),
    ({"style_scale": 9}, "style_scale must be > 0 and <= 8, got 9"),
    (
        {"preset": "nice"},
        "preset must be one of basic, two_content_layers, gatys, fast, fine, gaussian, resnet50, resnet50_swag, "
        "got 'nice'",
    ),
    ({"backbone": "vgg"}, "backbone must be one of vgg19, vgg16, resnet50, got 'vgg'"),
    ({"pooling": "average"}, "pooling must be one of max, avg, got 'average'"),
    ({"content_loss": ["l2"]}, "content_loss must be one of l2, l1, got ['l2']"),
    ({"content_layers": []}, "content_layers must name at least one layer, got []"),
    ({"content_layers": {"conv5_2": None}}, "content_layers must name at least one layer, got {'conv5_2': None}"),
    ({"content_layers": "conv5_2"}, "content_layers must be a list or a mapping, got 'conv5_2'"),
    ({"content_layers": ["conv5_2", 3]}, "content_layers must be pairs, got ['conv5_2', 3]"),
    ({"style_layers": {"conv5_2": -1}}, "style_layers must have a weight >= 0 for 'conv5_2', got {'conv5_2': -1}"),
    ({"style_layers": {"conv5_2": "1"}}, "style_layers must have a weight >= 0 for 'conv5_2', got {'conv5_2': '1'}"),
    ({"style_layers": ["conv1_1", "block1_conv1"]}, "style_layers names 'block1_conv1' twice"),
    (
        {"content_layers": ["conv5_9"]},
        "content_layers: vgg19 has no layer 'conv5_9', the nearest one is 'block5_conv4'",
    ),
    ({"backbone": "resnet50"}, "(the preset 'resnet50' has layers for it)"),
    (
        {"backbone": "vgg16", "content_layers": ["conv3_4"]},
        "vgg16 has no layer 'conv3_4', the nearest one is 'block3_conv",
    ),
    ({"weights": ""}, "weights must be text, got ''"),
    ({"weights": "random:-1"}, "weights must be random:SEED with a whole number, got 'random:-1'"),
    ({"weights": "random:"}, "weights must be random:SEED with a whole number, got 'random:'"),
    ({"weights": "some.ckpt"}, "weights must be imagenet, random:SEED or a .h5 file, got 'some.ckpt'"),
    ({"pyramid": [{"scale": 2, "share": 1}]}, "pyramid must be a list of {scale, share}, each > 0 and <= 1, got"),
    ({"pyramid": [{"scale": 1}]}, "pyramid must be a list of {scale, share}, each > 0 and <= 1, got"),
    ({"pyramid": [{"scale": 1, "share": 0.5}]}, "pyramid must have shares that sum to 1"),
    ({"pyramid": [{"scale": 0.5, "share": 1}]}, "pyramid must have rising scales that end with 1, got [0.5]"),
    ({"pyramid": [[1, 0.5], [1, 0.5]]}, "pyramid must have rising scales that end with 1, got [1.0, 1.0]"),
    ({"learning_rate": 1e39}, "learning_rate must be a finite number in float32, got 1e+39"),
    ({"normalize_gradients": 1}, "normalize_gradients must be true or false, got 1"),
    (
        {"normalize_gradients": True, "preset": "fast"},
        "normalize_gradients must be false with optimizer lbfgs, got true",
    ),
    ({"average_decay": 0.5, "optimizer": "lbfgs"}, "average_decay must be 0 with optimizer lbfgs, got 0.5"),
    ({"content_layers": {1: 0.5}}, "content_layers"),
    ({"style_layers": [[["conv1_1"], 1]]}, "style_layers"),
    ({"weights": f"random:{'1' * 5000}"}, "weights must be random:SEED with a whole number, got 'random:111"),
    ({"learnig_rate": 3}, "unknown field 'learnig_rate', did you mean 'learning_rate'?"),
    ({"alpha": 3}, "unknown field 'alpha'"),
    ({"zzz": 3}, "; the fields are preset, backbone, weights"),
]


@pytest.mark.parametrize(("values", "message"), BAD, ids=[str(values)[:50] for values, _ in BAD])
def test_bad_values_are_named_with_what_is_legal(values, message):
    with pytest.raises(ConfigError) as error:
        StyleConfig.from_dict(values)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"seed": 1, "seed": 2}', "config is not valid JSON: 'seed' is given twice"),
        ('{"content_layers": {"conv5_2": 1, "conv5_2": 1}}', "config is not valid JSON: 'conv5_2' is given twice"),
        ('{"tv_weight": NaN}', "config is not valid JSON: NaN is not a number in JSON"),
        ('{"tv_weight": -Infinity}', "config is not valid JSON: -Infinity is not a number in JSON"),
        ('{"tv_weight": 1e999}', "tv_weight must be a finite number, got inf"),
        ("[]", "config must be a JSON object, got []"),
        ("null", "config must be a JSON object, got None"),
        ("{'seed': 1}", "config is not valid JSON: "),
        ('{"seed": 1,}', "config is not valid JSON: "),
        ("", "config is not valid JSON: "),
        ("[" * 100_000, "config is nested too deeply"),
        ('{"sed": 1}', "unknown field 'sed', did you mean 'seed'?"),
    ],
)
def test_json_is_strict(text, message):
    with pytest.raises(ConfigError) as error:
        StyleConfig.from_json(text)
    assert message in str(error.value)


VGG_STYLE = {f"block{block}_conv1": 0.2 for block in range(1, 6)}
BASIC = {
    "backbone": "vgg19", "weights": "imagenet", "content_layers": {"block5_conv2": 1.0}, "style_layers": VGG_STYLE,
    "content_loss": "l2", "content_weight": 1e5, "style_weight": 1e3, "tv_weight": 10.0, "reduction": "mean",
    "optimizer": "adam", "learning_rate": 15.0, "beta_1": 0.9, "beta_2": 0.999, "iterations": 1500, "init": "noise",
    "seed": 30, "image_size": None, "style_fit": "stretch", "pooling": "max", "early_stop_window": 0, "pyramid": [],
    "precision": "float32",
}  # fmt: skip
PRESETS = {
    "basic": BASIC,
    "two_content_layers": {**BASIC, "content_layers": {"block4_conv4": 1.0, "block5_conv2": 1.0}},
    "gatys": {
        **BASIC, "content_layers": {"block4_conv2": 1.0}, "content_weight": 1.0, "style_weight": 2e4, "tv_weight": 0.0,
        "optimizer": "lbfgs", "iterations": 500, "init": "content", "style_fit": "keep",
    },
    "resnet50": {
        **BASIC, "backbone": "resnet50", "content_layers": {"conv5_block1_1_conv": 1.0},
        "style_layers": {
            "conv1_relu": 1 / 8, "conv2_block1_1_conv": 1 / 8, "conv2_block3_2_conv": 1 / 8,
            "conv3_block1_1_conv": 1 / 8, "conv3_block3_3_conv": 2 / 8, "conv4_block6_3_conv": 1 / 8,
            "conv5_block2_2_conv": 1 / 8,
        },
    },
}  # fmt: skip

PRESETS["fast"] = {
    **PRESETS["gatys"], "iterations": 100, "precision": "auto", "precondition": "spectral",
    "pyramid": [{"scale": 0.5, "share": 0.3}, {"scale": 1.0, "share": 0.7}],
}  # fmt: skip
PRESETS["fine"] = {
    **PRESETS["gatys"], "iterations": 320, "precision": "float32", "precondition": "spectral",
    "pyramid": [{"scale": 0.5, "share": 0.25}, {"scale": 1.0, "share": 0.75}],
}  # fmt: skip


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_are_the_papers(preset):
    values = StyleConfig(preset=preset).to_dict()
    assert {name: values[name] for name in PRESETS[preset]} == PRESETS[preset]


def test_own_values_go_before_the_presets():
    config = StyleConfig.from_dict({"preset": "gatys", "iterations": 7, "tv_weight": None, "optimizer": "adam"})
    assert (config.iterations, config.tv_weight, config.optimizer, config.init) == (7, 0.0, "adam", "content")


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        (["conv1_1", "block2_conv1"], {"block1_conv1": 0.5, "block2_conv1": 0.5}),
        ({"conv1_1": 3, "conv2_1": None}, {"block1_conv1": 3.0}),
        ([["pool1", 0.25], ("conv4_4", 0)], {"block1_pool": 0.25, "block4_conv4": 0.0}),
    ],
)
def test_layers_in_every_form(layers, expected):
    assert dict(StyleConfig(style_layers=layers).style_layers) == expected


def test_content_layers_weigh_one_each_by_default():
    assert dict(StyleConfig.from_dict({"content_layers": ["conv1_1", "conv2_1"]}).content_layers) == {
        "block1_conv1": 1.0,
        "block2_conv1": 1.0,
    }


@pytest.mark.parametrize("value", [300, 300.0])
def test_a_whole_number_in_a_float_column_is_one(value):
    assert repr(StyleConfig(iterations=value).iterations) == "300"


SAME_WORK = [
    ({}, {"preset": "basic"}),
    ({}, {"iterations": 1500.0, "content_weight": 100_000, "tv_weight": 10}),
    ({"preset": "two_content_layers"}, {"content_layers": {"block5_conv2": 1, "conv4_4": 1}}),
    ({"style_layers": {"conv1_1": 1, "conv2_1": 2}}, {"style_layers": {"block2_conv1": 2.0, "block1_conv1": 1.0}}),
    ({}, {"history_size": 7}),
    ({}, {"style_scale": 3.0}),
    ({}, {"early_stop_tolerance": 0.5}),
    ({"init": "content"}, {"init": "content", "seed": 4}),
    ({"init": "image"}, {"init": "image", "seed": 4}),
    (
        {"optimizer": "lbfgs"},
        {"optimizer": "lbfgs", "learning_rate": 1, "beta_1": 0, "beta_2": 0, "epsilon": 1},
    ),
    ({}, {"pyramid": [], "precision": "float32"}),
    ({}, {"pyramid": [{"scale": 1, "share": 1}]}),
    ({}, {"weights": "elsewhere.h5"}),
    ({"tv_weight": 0.0}, {"tv_weight": -0.0}),
    ({}, {"noise_blend": 0.5}),
    ({"init": "content"}, {"init": "content", "seed": 31}),
    ({}, {"style_loss": "gram", "feature_map": "none"}),
]
OTHER_WORK = [
    ({}, {"seed": 31}),
    ({}, {"optimizer": "lbfgs"}),
    ({"optimizer": "lbfgs"}, {"optimizer": "lbfgs", "history_size": 7}),
    ({"style_fit": "keep"}, {"style_fit": "keep", "style_scale": 3.0}),
    ({"early_stop_window": 5}, {"early_stop_window": 5, "early_stop_tolerance": 0.5}),
    ({}, {"precision": "bfloat16"}),
    ({}, {"color": "content"}),
    ({}, {"average_decay": 0.9}),
    ({}, {"normalize_gradients": True}),
    ({}, {"style_loss": "gaussian"}),
    ({"style_loss": "gaussian"}, {"style_loss": "sliced"}),
    ({"init": "content", "style_loss": "sliced"}, {"init": "content", "style_loss": "sliced", "seed": 31}),
    ({}, {"feature_map": "softmax"}),
    ({"init": "content"}, {"init": "content", "noise_blend": 0.5}),
    ({"init": "content"}, {"init": "image"}),
    ({"init": "image", "noise_blend": 0.5}, {"init": "image", "noise_blend": 0.5, "seed": 31}),
    ({"init": "content", "noise_blend": 0.5}, {"init": "content", "noise_blend": 0.5, "seed": 31}),
    ({"color": "match"}, {"color": "content"}),
    ({}, {"pyramid": [{"scale": 0.5, "share": 0.5}, {"scale": 1, "share": 0.5}]}),
    ({"style_layers": {"conv1_1": 1, "conv2_1": 2}}, {"style_layers": {"conv1_1": 2, "conv2_1": 1}}),
]


@pytest.mark.parametrize(
    ("one", "other", "same"), [(*pair, True) for pair in SAME_WORK] + [(*pair, False) for pair in OTHER_WORK]
)
def test_canonical_form_is_equal_for_equal_work_alone(one, other, same):
    assert (StyleConfig(**one).canonical_json() == StyleConfig(**other).canonical_json()) is same


def test_canonical_form_leaves_out_what_has_no_effect():
    canonical = StyleConfig().canonical()
    left_out = {"preset", "weights", "history_size", "style_scale", "early_stop_window", "early_stop_tolerance"}
    assert set(StyleConfig().to_dict()) - set(canonical) == left_out | {
        "pyramid",
        "precision",
        "color",
        "precondition",
        "noise_blend",
        "average_decay",
        "normalize_gradients",
        "style_loss",
        "feature_map",
    }
    assert StyleConfig().canonical_json() == json.dumps(canonical, sort_keys=True, separators=(",", ":"))


positive = st.floats(min_value=0, exclude_min=True, max_value=1e6, width=32)
weight = st.floats(min_value=0, max_value=1e6, width=32)
vgg_layers = st.dictionaries(
    st.sampled_from(["conv1_1", "conv2_2", "conv3_1", "conv4_2", "block5_conv1", "pool4"]), weight, min_size=1
)
optional = {
    "preset": st.sampled_from(["basic", "two_content_layers", "gatys"]),
    "backbone": st.sampled_from(["vgg19"]),
    "weights": st.integers(0, MAX_SEED).map("random:{}".format) | st.just("imagenet"),
    "pooling": st.sampled_from(["max", "avg"]),
    "content_layers": vgg_layers,
    "style_layers": vgg_layers,
    "reduction": st.sampled_from(["mean", "sum"]),
    "content_weight": weight,
    "optimizer": st.sampled_from(["adam", "lbfgs"]),
    "learning_rate": positive,
    "beta_1": st.floats(0, 1, exclude_max=True, width=32),
    "iterations": st.integers(0, 1_000_000),
    "early_stop_window": st.integers(0, 10_000),
    "init": st.sampled_from(["noise", "content", "style", "image"]),
    "seed": st.integers(0, MAX_SEED),
    "image_size": st.none() | st.integers(1, 16_384),
    "style_fit": st.sampled_from(["stretch", "keep"]),
    "style_scale": st.floats(0, 8, exclude_min=True, width=32),
    "pyramid": st.sets(st.floats(0, 1, exclude_min=True, exclude_max=True, width=32), max_size=3).map(
        lambda scales: [{"scale": scale, "share": 1 / (len(scales) + 1)} for scale in (*sorted(scales), 1)]
    ),
    "precision": st.sampled_from(["float32", "bfloat16"]),
}
configs = st.fixed_dictionaries({}, optional=optional).map(StyleConfig.from_dict)


@given(configs)
def test_json_round_trip(config):
    again = StyleConfig.from_json(config.to_json())
    assert again == config
    assert again.canonical_json() == config.canonical_json()


@given(configs)
def test_the_canonical_form_names_the_same_work_by_itself(config):
    again = StyleConfig.from_json(config.canonical_json())
    assert again.canonical_json() == config.canonical_json()
    assert hash(again) == hash(StyleConfig.from_dict(again.to_dict()))


def test_which_fields_define_what_losses_mean():
    terms, total = defining_fields("terms"), defining_fields("total")
    assert {"backbone", "content_layers", "reduction", "color"} < terms < total
    assert total - terms == {"content_weight", "style_weight", "tv_weight", "image_size"}
    assert not total & {"seed", "learning_rate", "iterations", "optimizer", "precision"}


def test_configurations_are_pickled_as_what_differs_from_the_preset_and_shared():
    config = StyleConfig.from_dict(
        {"preset": "fast", "iterations": 7, "style_layers": {"conv1_1": 0.25, "conv2_1": 0.75}}
    )
    copies = [pickle.loads(pickle.dumps(config)) for _ in range(2)]
    assert copies[0] == config and copies[0] is copies[1]
    assert len(pickle.dumps(config)) < 300
    assert all(pickle.loads(pickle.dumps(StyleConfig(preset=name))) == StyleConfig(preset=name) for name in PRESETS)

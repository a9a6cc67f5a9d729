"""Configurations: defaults, presets, files, specs, and what they build."""

import json

import numpy as np
import pytest
from tolerances import FLOAT64_ROUNDING

import minidrop as md
from minidrop.building import build_model, build_optimizer, build_scaling, build_schedules, check_fit
from minidrop.config import PRESETS, TrainConfig, from_dict, read_config, resolve
from minidrop.data import load
from minidrop.errors import ArgumentError, BackendError, DataError
from minidrop.initializers import INITIALIZERS
from minidrop.optim import OPTIMIZERS
from minidrop.optim.schedules import SCHEDULES
from minidrop.specs import build, options, parse, usage

# -- specs ---------------------------------------------------------------------------------------------------


def test_a_spec_is_a_name_with_arguments():
    assert parse("relu") == ("relu", [], {})
    assert parse("linear:0.99,500") == ("linear", [0.99, 500], {})
    assert parse("adam: beta2=0.5, corrected=false") == ("adam", [], {"beta2": 0.5, "corrected": False})


@pytest.mark.parametrize("name", INITIALIZERS)
def test_every_initializer_can_be_named(name):
    assert isinstance(build("init", name, INITIALIZERS), INITIALIZERS[name])


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(ArgumentError, match=r"init must be one of constant, normal.*got 'normall'"):
        build("init", "normall", INITIALIZERS)


@pytest.mark.parametrize("spec", ["normal:1,2,3", "normal:sigma=1"])
def test_an_argument_that_does_not_fit_shows_the_usage(spec):
    with pytest.raises(ArgumentError, match=r"it is used as normal:std=0.01,mean=0.0"):
        build("init", spec, INITIALIZERS)


def test_an_option_that_no_optimizer_takes_is_refused():
    parameters = md.Linear(2, 2).parameters()
    with pytest.raises(ArgumentError, match=r"'adam:beta3=1' does not fit; it is used as adam:.*beta1=0.9"):
        build("optimizer", "adam:beta3=1", OPTIMIZERS, parameters)


def test_usage_names_what_has_no_default():
    assert usage("linear", options(SCHEDULES["linear"], 1)) == "linear:final,epochs"


def test_an_option_that_a_base_class_takes_can_be_said():
    assert build("optimizer", "nadam:beta1=0.5", OPTIMIZERS, md.Linear(2, 2).parameters()).beta1 == 0.5


@pytest.mark.parametrize(
    ("spec", "match"),
    [
        ("normal:abc", "std must be a number, got abc"),
        ("normal:std=true", "std must be a number, got true"),
        ("kaiming-normal:fan=1", "fan must be a text, got 1"),
        ("normal:1,std=2", "does not fit; it is used as normal:std=0.01,mean=0.0"),
    ],
)
def test_a_value_of_another_kind_is_refused(spec, match):
    with pytest.raises(ArgumentError, match=match):
        build("init", spec, INITIALIZERS)


@pytest.mark.parametrize(
    ("spec", "match"),
    [
        ("adam:corrected=no", "corrected must be true or false, got no"),
        ("adam:groups=x", "does not fit"),
        ("adam:lr=1", "lr has a key of its own"),
        ("hinton:limit=3", "limit has a key of its own"),
    ],
)
def test_optimizer_options_that_are_refused(spec, match):
    config = from_dict({**TrainConfig().to_dict(), "optimizer": spec, "momentum": None})
    with pytest.raises(ArgumentError, match=match):
        build_optimizer(config, build_model(config))


# -- keys and values -----------------------------------------------------------------------------------------


def test_a_configuration_survives_json():
    config = TrainConfig(lr=None, layers="64-10", dropout="0.3", drop_last=True)
    assert from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_explicit_beats_file_beats_preset(tmp_path):
    file = tmp_path / "study.toml"
    file.write_text("epochs = 7\nseed = 3\nlayers = [784, 50, 10]\ndropout = [0.2, 0.5]\n")
    config = resolve({"seed": 9}, file=file, preset="hinton-relu")
    assert (config.seed, config.epochs, config.layers, config.lr) == (9, 7, "784-50-10", 1.0)


def test_the_data_set_chooses_its_preset():
    assert resolve({"dataset": "mnist"}).layers == "784-800-800-10"
    assert resolve({}).layers == TrainConfig().layers


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_are_valid(preset):
    assert isinstance(resolve({}, preset=preset), TrainConfig)


def test_the_paper_preset_is_appendix_a():
    config = resolve({}, preset="hinton-2012")
    assert (config.unit, config.lr, config.lr_schedule) == ("sigmoid", 10.0, "exponential:0.998")
    assert (config.momentum, config.momentum_schedule, config.epochs) == (0.5, "linear:0.99,500", 3000)
    assert (config.dropout, config.mode, config.batch_size) == ("0.2,0.5,0.5", "paper", 100)
    assert (config.init, config.limit, config.limit_kind) == ("normal:0.01", 15.0, "squared")
    assert config.limit_layers == "hidden"


def test_another_optimizer_brings_its_own_defaults():
    config = resolve({"optimizer": "adam"})
    assert (config.lr, config.momentum, config.lr_schedule, config.momentum_schedule) == (
        None,
        None,
        "constant",
        "constant",
    )
    assert build_optimizer(config, build_model(config)).lr == 1e-3
    assert resolve({"optimizer": "hinton:slips=published"}).lr == TrainConfig().lr
    assert resolve({"optimizer": "adam", "lr": 0.01}).lr == 0.01


BAD = [
    ({"layers": "64"}, "layers must be sizes such as"),
    ({"layers": "64-x-10"}, "layers must be sizes such as"),
    ({"layers": "64-0-10"}, "layers must be sizes such as"),
    ({"dropout": "0.5,0.5"}, "dropout has 2 numbers, but 64-256-256-10 has 3 layers"),
    ({"dropout": "half"}, "dropout must be numbers such as"),
    ({"dropout": "1.5"}, r"dropout must be a number in \[0, 1\], got 1.5"),
    ({"dropout": "-0.1"}, r"dropout must be a number in \[0, 1\], got -0.1"),
    ({"dropout": "nan"}, r"dropout must be a number in \[0, 1\], got nan"),
    ({"lr": float("nan")}, "lr must be a number in .*got nan"),
    ({"lr": -1.0}, "lr must be a number in .*got -1.0"),
    ({"momentum": 1.0}, r"momentum must be a number in \[0, 1\), got 1.0"),
    ({"epochs": 0}, "epochs must be an integer of at least 1, got 0"),
    ({"batch_size": 0}, "batch size must be an integer of at least 1, got 0"),
    ({"seed": -1}, "seed must be an integer of at least 0, got -1"),
    ({"seed": 2**64}, r"seed must be below 2\^64"),
    ({"validation": -1}, "validation must be an integer of at least 0"),
    ({"checkpoint_every": 0}, "checkpoint every must be"),
    ({"limit": -1}, "limit must be a number in"),
    ({"weight_decay": float("inf")}, "weight decay must be a number in"),
    ({"unit": "swish"}, "unit must be one of relu, sigmoid, tanh, identity; got 'swish'"),
    ({"dataset": "cifar"}, "data set must be one of digits, mnist, fashion-mnist; got 'cifar'"),
    ({"mode": "other"}, "mode must be one of"),
    ({"dtype": "float16"}, "dtype must be one of float32, float64"),
    ({"lr": 10**400}, "lr is too large: 1000"),
    ({"dataset": ["mnist"]}, "dataset must be of type str"),
    ({"match_paper": True}, "match_paper rescales mode inverted"),
    ({"layer": "64-10"}, "unknown key 'layer'; did you mean layers?"),
    ({"zzz": 1}, "unknown key 'zzz'; the keys are dataset, "),
    ({"epochs": "3"}, "epochs must be of type int, got '3'"),
    ({"epochs": True}, "epochs must be of type int, got True"),
    ({"epochs": 2.5}, "epochs must be of type int, got 2.5"),
    ({"drop_last": 1}, "drop_last must be of type bool, got 1"),
    ({"unit": None}, "unit must be of type str, got None"),
    ({"lr": "fast"}, "lr must be of type float"),
]


@pytest.mark.parametrize(("values", "match"), BAD, ids=[str(values) for values, _ in BAD])
def test_what_cannot_be_used_is_named(values, match):
    with pytest.raises(ArgumentError, match=match) as caught:
        resolve(values)
    assert "\n" not in str(caught.value)


def test_unknown_preset():
    with pytest.raises(ArgumentError, match="preset must be one of digits, hinton-relu, hinton-2012"):
        resolve({}, preset="hinton")


@pytest.mark.parametrize(
    ("name", "text", "match"),
    [
        ("a.toml", "epochs = ", "is not valid TOML"),
        ("a.json", "{", "is not valid JSON"),
        ("a.json", "[1]", "must be a table of keys and values"),
    ],
)
def test_files_that_cannot_be_read(tmp_path, name, text, match):
    (tmp_path / name).write_text(text)
    with pytest.raises(DataError, match=match):
        read_config(tmp_path / name)


def test_a_missing_file(tmp_path):
    with pytest.raises(DataError, match=r"cannot read the configuration .*No such file"):
        read_config(tmp_path / "none.toml")


# -- what a configuration builds -----------------------------------------------------------------------------


def test_the_model_has_one_dropout_before_each_matrix():
    model = build_model(
        TrainConfig(layers="64-32-16-10", dropout="0.1,0.2,0.3", unit="tanh", mode="inverted")
    )
    kinds = [type(layer).__name__ for layer in model.layers]
    assert kinds == ["Dropout", "Linear", "Tanh", "Dropout", "Linear", "Tanh", "Dropout", "Linear"]
    assert [model[i].drop_prob for i in (0, 3, 6)] == [0.1, 0.2, 0.3]
    assert {model[i].mode for i in (0, 3, 6)} == {"inverted"}


def test_initial_weights_do_not_depend_on_dropout():
    with_dropout, without = (build_model(TrainConfig(dropout=drop)) for drop in ("0.5", "0"))
    np.testing.assert_array_equal(with_dropout.parameters().flat_values, without.parameters().flat_values)


def test_a_configuration_reaches_the_optimizer():
    config = TrainConfig(optimizer="momentum:form=ema", lr=0.3, momentum=0.7, weight_decay=0.01, limit=2.0)
    optimizer = build_optimizer(config, build_model(config))
    assert (optimizer.form, optimizer.lr, optimizer.momentum, optimizer.weight_decay) == (
        "ema",
        0.3,
        0.7,
        0.01,
    )
    (projection,) = optimizer.projections
    assert projection.lengths(optimizer.parameters) == {"1.weight": 2.0**0.5, "4.weight": 2.0**0.5}


def test_the_hinton_optimizer_has_the_limit_itself():
    config = TrainConfig(limit=15.0)
    (projection,) = build_optimizer(config, build_model(config)).projections
    assert (projection.limit, projection.squared, projection.layers) == (15.0, True, "hidden")
    config = TrainConfig(limit=2.0, limit_kind="length", limit_layers="all")
    (projection,) = build_optimizer(config, build_model(config)).projections
    assert (projection.limit, projection.squared, projection.layers) == (2.0, False, "all")
    assert build_optimizer(TrainConfig(limit=0), build_model(config)).projections == []


def test_momentum_for_an_optimizer_without_is_refused():
    config = resolve({"optimizer": "adam", "momentum": 0.9})
    with pytest.raises(ArgumentError, match="optimizer adam has no momentum"):
        build_optimizer(config, build_model(config))
    config = resolve({"optimizer": "sgd", "momentum_schedule": "linear:0.9,5"})
    with pytest.raises(ArgumentError, match="optimizer sgd has no momentum to schedule"):
        build_schedules(config, build_optimizer(config, build_model(config)))


def test_schedules_begin_with_the_optimizers_values():
    config = resolve({"lr": 2.0, "momentum": 0.6})
    schedules = build_schedules(config, build_optimizer(config, build_model(config)))
    assert (schedules["lr"](0), schedules["momentum"](0)) == (2.0, 0.6)


def test_sizes_that_do_not_fit_the_data():
    digits = load("digits")
    for layers in ("784-10", "64-11"):
        with pytest.raises(DataError, match=f"layers {layers} do not fit digits.*use 64-...-10"):
            check_fit(TrainConfig(layers=layers, dropout="0"), digits)


def test_scalings():
    digits = load("digits")
    pixels = digits.train.inputs.astype(np.float64)
    assert build_scaling(TrainConfig(normalise="none"), digits) == (1, 0, 1)
    assert build_scaling(TrainConfig(normalise="unit"), digits) == (16, 0, 1)
    divisor, mean, std = build_scaling(TrainConfig(normalise="standard"), digits)
    x = (pixels / divisor - mean) / std
    assert abs(x.mean()) < 1e-3  # mean and std are rounded to four digits
    assert abs(x.std() - 1) < 1e-3


# -- the paper's trajectory by inverted dropout --------------------------------------------------------------


@pytest.mark.parametrize("limit_kind", ["squared", "length"])
def test_inverted_dropout_follows_the_papers_trajectory(limit_kind):
    """With W' = k W, lr k², limit c k and std k the two modes are one algorithm: 60 steps in float64."""
    common = {
        "layers": "64-24-16-10",
        "dropout": "0.2,0.5,0.3",
        "init": "normal:0.3",
        "dtype": "float64",
        "limit": 1.5,
        "limit_kind": limit_kind,
        "lr_schedule": "exponential:0.9",
        "momentum_schedule": "linear:0.95,4",
    }
    runs = {}
    for mode in ("paper", "inverted"):
        config = resolve({**common, "mode": mode, "match_paper": mode == "inverted"})
        model = build_model(config)
        optimizer = build_optimizer(config, model)
        schedules = build_schedules(config, optimizer)
        step = md.TrainStep(model, md.SoftmaxCrossEntropy(), optimizer)
        digits = load("digits")
        batches = md.data.Batches(digits.train, 100, scaling=md.Scaling(16), dtype="float64")
        losses = []
        for epoch in range(4):
            optimizer.lr, optimizer.momentum = schedules["lr"](epoch), schedules["momentum"](epoch)
            losses += [float(step(x, labels)) for x, labels in batches.epoch(epoch)]
        runs[mode] = losses, model, optimizer
    paper, inverted = runs["paper"], runs["inverted"]
    np.testing.assert_allclose(inverted[0], paper[0], rtol=100 * FLOAT64_ROUNDING)
    for dropout, linear in ((0, 1), (3, 4), (6, 7)):
        keep = paper[1][dropout].rate.keep
        np.testing.assert_allclose(
            inverted[1][linear].weight.value,
            keep * paper[1][linear].weight.value,
            atol=100 * FLOAT64_ROUNDING,
        )
        np.testing.assert_allclose(
            inverted[1][linear].bias.value, paper[1][linear].bias.value, atol=100 * FLOAT64_ROUNDING
        )
    lengths = np.linalg.norm(paper[1][1].weight.value, axis=1)
    limit = 1.5**0.5 if limit_kind == "squared" else 1.5
    assert (lengths > limit * 0.999).any(), "the limit must bind, or it proves nothing"


def trajectory(**keys):
    """Losses of 3 epochs on the digits in float64."""
    config = resolve({"layers": "64-24-16-10", "dropout": "0.2,0.5,0.3", "dtype": "float64", **keys})
    model = build_model(config)
    optimizer = build_optimizer(config, model)
    step = md.TrainStep(model, md.SoftmaxCrossEntropy(), optimizer)
    batches = md.data.Batches(load("digits").train, 100, scaling=md.Scaling(16), dtype="float64")
    return [float(step(x, labels)) for epoch in range(3) for x, labels in batches.epoch(epoch)]


@pytest.mark.parametrize(
    "options",
    [
        {"weight_decay": 1e-2},
        {"weight_decay": 1e-2, "limit": 0},
        {"optimizer": "momentum:form=torch,nesterov=true", "lr": 0.05, "momentum": 0.9, "limit": 1.0},
        {"optimizer": "sgd", "limit_layers": "all", "limit": 1.0},
    ],
    ids=str,
)
def test_the_papers_trajectory_with_other_options(options):
    paper = trajectory(mode="paper", **options)
    np.testing.assert_allclose(
        trajectory(mode="inverted", match_paper=True, **options), paper, rtol=100 * FLOAT64_ROUNDING
    )


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"optimizer": "adam"}, "match_paper holds for the optimizers sgd, momentum and hinton"),
        ({"optimizer": "hinton:slips=published"}, "without slips"),
        ({"dropout": "0.2,1,0.5"}, "match_paper needs drop probabilities below 1"),
    ],
)
def test_where_there_is_no_paper_trajectory(options, match):
    with pytest.raises(ArgumentError, match=match):
        trajectory(mode="inverted", match_paper=True, **options)


# -- what is resolved ----------------------------------------------------------------------------------------


def test_the_backend_is_named(monkeypatch):
    assert resolve({}).backend == "numpy"
    with pytest.raises(BackendError, match="unknown backend 'tpu'"):
        resolve({"backend": "tpu"})


def test_the_data_folder_is_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert resolve({"data_dir": "data"}).data_dir == str(tmp_path / "data")


def test_weight_decay_is_the_optimizers_own_unless_given():
    for keys, expected in (({}, 0.01), ({"weight_decay": 0.0}, 0.0)):
        config = resolve({"optimizer": "adamw", **keys})
        assert build_optimizer(config, build_model(config)).weight_decay == expected


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"momentum_schedule": "linear:1,5"}, r"momentum schedule, epoch 6: momentum must be .*got 1\.0"),
        ({"lr_schedule": "exponential:1e300"}, "lr schedule, epoch 3"),
        ({"momentum_schedule": "constant", "optimizer": "sgd", "lr": 0.1}, None),
    ],
)
def test_a_schedule_is_tried_out_before_the_run(options, match):
    config = resolve(options)
    optimizer = build_optimizer(config, build_model(config))
    if match is None:
        assert build_schedules(config, optimizer).keys() == {"lr"}
        return
    before = optimizer.lr, optimizer.momentum
    with pytest.raises(ArgumentError, match=match):
        build_schedules(config, optimizer)
    assert before == (config.lr, config.momentum)

"""Configurations: defaults, presets, files, and what is refused."""

import json

import pytest

from minidrop.building import build_model, build_optimizer, build_schedules
from minidrop.config import PRESETS, TrainConfig, from_dict, read_config, resolve
from minidrop.errors import ArgumentError, BackendError, DataError
from minidrop.experiments import Plan
from minidrop.experiments.sweep import read_sweep
from minidrop.run_folder import read_changed


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


def test_a_preset_brings_its_data_set():
    assert {preset: resolve({}, preset=preset).dataset for preset in PRESETS} == {
        "digits": "digits",
        "hinton-relu": "mnist",
        "hinton-2012": "mnist",
    }
    assert resolve({"dataset": "fashion-mnist"}, preset="hinton-2012").dataset == "fashion-mnist"
    assert resolve({"dataset": "fashion-mnist"}).dataset == "fashion-mnist"


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
    ({"dropout": "0.5,0.5"}, "dropout 0.5,0.5 has 2 numbers, but 64-256-256-10 has 3 layers"),
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
    ({"threads": -1}, "threads must be an integer of at least 0, got -1"),
    ({"examples": -1}, "examples must be an integer of at least 0"),
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
        ("a.json", 100_000 * "[", "is not valid JSON"),
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


def test_the_backend_is_named(monkeypatch):
    assert resolve({}).backend == "numpy"
    with pytest.raises(BackendError, match="unknown backend 'tpu'"):
        resolve({"backend": "tpu"})


def test_the_data_folder_is_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert resolve({"data_dir": "data"}).data_dir == str(tmp_path / "data")


def test_the_data_folder_may_be_in_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    config = resolve({"data_dir": "~/data"})
    assert config.data_dir == str(tmp_path / "data")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.json").write_text(json.dumps(config.to_dict()))
    changed, different = read_changed(tmp_path / "run", {"data_dir": "~/other"}, ["data_dir"])
    assert (changed.data_dir, different) == (str(tmp_path / "other"), True)


def test_a_folder_of_a_user_who_is_not_there_is_no_crash(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert resolve({"data_dir": "~nobody-of-that-name/x"}).data_dir == f"{tmp_path}/~nobody-of-that-name/x"


@pytest.mark.parametrize("path", ["a\0b", "a\udcffb"])
def test_what_can_be_no_path_is_refused(path, tmp_path):
    for make in (lambda: resolve({"data_dir": path}), lambda: Plan(data_dir=path)):
        with pytest.raises(ArgumentError, match="data_dir must be a path in UTF-8 without a null byte"):
            make()
    (tmp_path / "sweep.json").write_text(json.dumps({"name": path, "grid": {"lr": [0.1]}}))
    with pytest.raises(ArgumentError, match="name must be a path in UTF-8 without a null byte"):
        read_sweep(tmp_path / "sweep.json")


def test_a_files_rates_belong_to_the_optimizer_that_it_names(tmp_path):
    file = tmp_path / "config.json"
    file.write_text(json.dumps(resolve({"optimizer": "momentum", "lr": 0.3, "seed": 9}).to_dict()))
    adam = resolve({"optimizer": "adam"}, file=file)
    assert (adam.lr, adam.momentum, adam.seed) == (None, None, 9)
    assert resolve({"optimizer": "momentum:nesterov=true"}, file=file).lr == 0.3
    assert resolve({"optimizer": "adam", "lr": 0.01}, file=file).lr == 0.01
    file.write_text('{"lr": 0.3}')
    assert resolve({"optimizer": "adam"}, file=file).lr == 0.3  # it names none: the rate is for any


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

"""The kernel of each update, and of the projection with it, against the optimizer's own formula on NumPy."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from optim_helpers import EVERY, assert_same_states, net, schedule, states_along

import minidrop as md
from minidrop.backends import Moving
from minidrop.optim import Group

#: those whose published slips no kernel has
WITHOUT_KERNEL = ("published",)


def count_launches(device, monkeypatch):
    """The names of the kernels that are launched from now on."""
    names, launch = [], device._launch
    monkeypatch.setattr(
        device, "_launch", lambda name, *rest, **more: (names.append(name), launch(name, *rest, **more))
    )
    return names


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", sorted(EVERY))
def test_every_update(device, monkeypatch, name, dtype):
    """With schedules, weight decay, groups and a limit, around the sizes of warps and blocks."""
    options = {"weight_decay": 0.05, "groups": {"*.bias": Group(lr_scale=0.5, weight_decay=0.0)}}
    if not issubclass(EVERY[name][0], md.SGDHinton):
        options["projections"] = [md.MaxNorm(0.9)]
    arguments = name, dtype, (33, 7, 257, 1), 6, schedule
    expected = states_along("numpy", *arguments, **options)
    names = count_launches(device, monkeypatch)
    assert_same_states(states_along(device, *arguments, **options), expected, dtype)
    assert any(launched.startswith("update_") for launched in names) == (name not in WITHOUT_KERNEL)
    if name not in WITHOUT_KERNEL:
        assert [launched for launched in names if launched.endswith("_rows")]


@settings(deadline=None, max_examples=20, suppress_health_check=list(HealthCheck))
@given(
    name=st.sampled_from([name for name in sorted(EVERY) if name not in WITHOUT_KERNEL]),
    sizes=st.lists(st.sampled_from([1, 2, 31, 32, 33, 255, 256, 257, 300]), min_size=2, max_size=3),
    dtype=st.sampled_from(["float32", "float64"]),
    limit=st.sampled_from([0, 0.3, 15.0]),
)
def test_updates_of_all_sizes(device, name, sizes, dtype, limit):
    options = {"projections": [md.MaxNorm(limit, layers="all")] if limit else []}
    if issubclass(EVERY[name][0], md.SGDHinton):
        options = {"limit": limit}
    arguments = name, dtype, sizes, 2
    expected = states_along("numpy", *arguments, **options)
    assert_same_states(states_along(device, *arguments, **options), expected, dtype)


def test_a_step_that_only_counts_takes_nothing_from_the_host(device, monkeypatch):
    """A captured step is launched again as it is: the device advances the step by itself."""
    names = count_launches(device, monkeypatch)
    model = net(device, "float32", (5, 4, 3))
    optimizer = md.Momentum(model.parameters(), lr=0.1, momentum=0.5)
    for _ in range(4):
        optimizer.step()
    assert [name for name in names if name.endswith("numbers")] == ["set_numbers", *["advance_numbers"] * 3]
    optimizer.lr = 0.2
    optimizer.step()
    assert [name for name in names if name.endswith("numbers")][-1] == "set_numbers"


def test_what_the_device_counted_is_what_the_host_would_have_said(device):
    numbers = device.numbers(Moving(0.5, 0.0, steps=7, velocity_steps=3, momentum_product=0.25))
    for moving in (
        Moving(0.5, 0.0, steps=8, velocity_steps=3, momentum_product=0.25),
        Moving(0.5, 0.9, steps=9, velocity_steps=4, momentum_product=0.25),
        Moving(0.5, 0.9, steps=10, velocity_steps=5, momentum_product=0.25),
    ):
        numbers = device.numbers(moving, numbers)
        there = device.to_host(numbers.array)
        integers = there.view("int64")
        assert (there[0], there[1], integers[2], integers[3], there[4]) == tuple(moving)


def test_formulas_of_the_users_own_are_computed_by_their_own_update(device, monkeypatch):
    """Of a class that overrides the update, or the projection, no kernel knows anything."""

    class Half(md.SGD):
        def update(self, xp, w, g, lr, *slots):
            w -= 0.5 * lr * g

    class Unprojected(md.SGD):
        def project(self, share=0, shares=1):
            pass

    names = count_launches(device, monkeypatch)
    for cls in (Half, Unprojected):
        model = net(device, "float64", (3, 2))
        before = device.to_host(model.parameters().flat_values)
        optimizer = cls(model.parameters(), lr=1.0, projections=[md.MaxNorm(0.1, layers="all")])
        optimizer.parameters.flat_gradients[...] = 1
        optimizer.step()
        if cls is Unprojected:
            np.testing.assert_array_equal(device.to_host(model.parameters().flat_values), before - 1)
    assert not [name for name in names if name.startswith("update_")]


def test_several_projections_are_applied_in_their_order(device):
    options = {"projections": [md.MaxNorm(0.5, layers="all"), md.MaxNorm({"0.weight": 0.2})]}
    arguments = "adam", "float64", (9, 4, 3), 3
    expected = states_along("numpy", *arguments, **options)
    assert_same_states(states_along(device, *arguments, **options), expected, "float64")

"""Nets: deterministic per seed and block, the same in parts as whole, and they learn."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from models.errors import InputError
from models.nets import catalog
from models.nets.net import Net, build_block, build_net, seed_of

LIGHT = ("cnn_digits", "imu_motions", "vit_digits")


def weights(block: nn.Module) -> Tensor:
    return torch.cat([weight.flatten() for weight in block.parameters()])


@pytest.mark.parametrize("name", LIGHT)
def test_a_process_that_builds_some_blocks_gets_the_same_weights(name: str) -> None:
    whole = catalog.build(name, seed=3)
    few = list(whole.blocks)[2:4]
    torch.manual_seed(99)
    part = catalog.build(name, seed=3, only=few)
    assert list(part.blocks) == few
    assert (part.edges, part.losses, part.sources) == (whole.edges, whole.losses, whole.sources)
    for block in few:
        assert torch.equal(weights(part.blocks[block]), weights(whole.blocks[block]))


def test_building_leaves_the_global_generator_alone() -> None:
    torch.manual_seed(5)
    state = torch.get_rng_state()
    catalog.build("imu_motions")
    assert torch.equal(torch.get_rng_state(), state)


def test_seed_and_name_make_the_weights() -> None:
    one, other = catalog.build("vit_digits", 0), catalog.build("vit_digits", 1)
    first, twin = one.blocks["layer0.mlp"], one.blocks["layer1.mlp"]
    assert not torch.equal(weights(first), weights(other.blocks["layer0.mlp"]))
    assert not torch.equal(weights(first), weights(twin))
    assert seed_of(0, "head") == seed_of(0, "head") != seed_of(1, "head")


def test_double_precision_starts_from_the_same_values() -> None:
    only = ["layer0.attention"]
    single = catalog.build("vit_digits", only=only)
    double = catalog.build("vit_digits", dtype=torch.float64, only=only)
    assert torch.equal(weights(single.blocks[only[0]]).double(), weights(double.blocks[only[0]]))


def test_meta_device_allocates_nothing() -> None:
    net = catalog.build("llama2_7b", dtype=torch.bfloat16, device="meta", only=["layer0.mlp"])
    assert {(weight.device.type, weight.dtype) for weight in net.blocks["layer0.mlp"].parameters()} == {
        ("meta", torch.bfloat16)
    }


def test_unknown_block_is_a_fault() -> None:
    with pytest.raises(InputError, match="no such block"):
        build_block(catalog.spec("vit_digits"), "layer9.mlp")


@pytest.mark.parametrize("name", LIGHT)
def test_blocks_are_listed_in_topological_order(name: str) -> None:
    net = catalog.build(name, device="meta")
    order = list(net.blocks)
    assert all(order.index(source) < order.index(target) for source, target in net.edges)
    sinks = set(order) - {source for source, _ in net.edges}
    assert sinks == set(net.losses)
    assert set(net.sources) == set(order) - {target for _, target in net.edges}


def run_by_edges(net: Net, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
    """Run a net knowing its public fields alone, as an executor does."""
    outputs: dict[str, Tensor] = {}
    for name, block in net.blocks.items():
        arguments = [outputs[source] for source, target in net.edges if target == name]
        outputs[name] = block(inputs[net.sources[name]]) if name in net.sources else block(*arguments)
    return outputs


@pytest.mark.parametrize("name", LIGHT)
def test_block_by_block_is_the_whole(name: str) -> None:
    net = catalog.build(name)
    assert net.dataset is not None
    batch = net.dataset.batch(0, 4)
    outputs = run_by_edges(net, batch.inputs)
    for sink, output in net.forward(batch.inputs).items():
        assert torch.equal(output, outputs[sink])
    assert all(output.shape[0] == 4 for output in outputs.values())


@pytest.mark.parametrize("name", LIGHT)
def test_samples_do_not_see_one_another(name: str) -> None:
    net = catalog.build(name, dtype=torch.float64)
    assert net.dataset is not None
    batch = net.dataset.batch(0, 5, dtype=torch.float64)
    whole = net.loss_sum(net.forward(batch.inputs), batch.targets)
    parts = []
    for part in (slice(0, 2), slice(2, 5)):
        outputs = net.forward({key: tensor[part] for key, tensor in batch.inputs.items()})
        parts.append(net.loss_sum(outputs, {key: tensor[part] for key, tensor in batch.targets.items()}))
    torch.testing.assert_close(parts[0] + parts[1], whole, rtol=1e-12, atol=0)


@pytest.mark.parametrize("name", LIGHT)
def test_nets_learn_from_real_data(name: str) -> None:
    net = catalog.build(name)
    assert net.dataset is not None
    parameters = [weight for block in net.blocks.values() for weight in block.parameters()]
    optimizer = torch.optim.SGD(parameters, lr=0.01, momentum=0.9)
    losses = []
    for step in range(16):
        batch = net.dataset.batch(step, 16)
        optimizer.zero_grad()
        loss = net.loss_sum(net.forward(batch.inputs), batch.targets) / 16
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert sum(losses[-4:]) < 0.8 * sum(losses[:4])


@pytest.mark.parametrize("name", LIGHT)
def test_trained_nets_have_nothing_that_couples_or_drops_samples(name: str) -> None:
    net = catalog.build(name, device="meta")
    kinds = {type(module).__name__ for block in net.blocks.values() for module in block.modules()}
    assert not {kind for kind in kinds if "BatchNorm" in kind or "Dropout" in kind}


def test_weighted_losses_add_up() -> None:
    spec = catalog.spec("vit_digits")
    head = spec.blocks[-1]
    assert head.loss is not None
    half = replace(head, loss=replace(head.loss, weight=0.5))
    net, halved = build_net(spec), build_net(replace(spec, blocks=(*spec.blocks[:-1], half)))
    assert spec.dataset is not None
    batch = spec.dataset.batch(0, 2)
    outputs = net.forward(batch.inputs)
    assert halved.loss_sum(outputs, batch.targets) == net.loss_sum(outputs, batch.targets) / 2

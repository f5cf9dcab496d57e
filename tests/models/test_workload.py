"""Workloads: the graph of blocks and its faults."""

from __future__ import annotations

from typing import Any

import pytest

from models.document import parse, sha256_of, validate
from models.errors import InputError
from models.workload import Workload


def block(name: str, **words: Any) -> dict[str, Any]:
    return {"name": name, "forward_flop": 1e6, **words}


def graph(*edges: str, names: str = "abcd", **words: Any) -> dict[str, Any]:
    """Return a workload of one-letter blocks; the edge "ab" goes from a to b."""
    pairs = [{"source": edge[0], "target": edge[1]} for edge in edges]
    return {"name": "tiny", "blocks": [block(name) for name in names], "edges": pairs, **words}


def with_a(words: dict[str, Any]) -> dict[str, Any]:
    """Return a workload of two blocks, of which a has other words."""
    return {"name": "tiny", "blocks": [{**block("a"), **words}, block("b")]}


def load(data: object) -> Workload:
    return validate(Workload, data, "tiny")


def faults_of(data: object) -> dict[str, str]:
    with pytest.raises(InputError) as caught:
        load(data)
    return {fault.path: fault.message for fault in caught.value.faults}


def test_a_chain_is_a_chain() -> None:
    assert load(graph("ab", "bc", "cd")).is_chain


def test_a_fork_is_no_chain() -> None:
    assert not load(graph("ab", "ac", "bd", "cd")).is_chain


def test_two_loose_chains_are_no_chain() -> None:
    assert not load(graph("ab", "cd")).is_chain


def test_one_block_is_a_chain() -> None:
    assert load(graph(names="a")).is_chain


def test_a_chain_with_a_skip_is_no_chain() -> None:
    assert not load(graph("ab", "bc", "cd", "ac")).is_chain


def test_order_is_topological_whatever_the_order_of_the_card() -> None:
    assert load(graph("cb", "bd", "da")).order == ("c", "b", "d", "a")


def test_blocks_free_to_choose_keep_the_order_of_the_card() -> None:
    assert load(graph("db", names="dcba")).order == ("d", "c", "b", "a")


def test_sources_and_sinks_of_two_towers() -> None:
    towers = load(graph("ac", "bc", "cd"))
    assert towers.sources == ("a", "b")
    assert towers.sinks == ("d",)


def test_neighbours_are_edges() -> None:
    towers = load(graph("ac", "bc", "cd"))
    assert [edge.source for edge in towers.predecessors["c"]] == ["a", "b"]
    assert [edge.target for edge in towers.successors["c"]] == ["d"]
    assert towers.successors["d"] == ()


def test_a_workload_round_trips() -> None:
    workload = load(graph("ab", "bc", "cd"))
    again = load(workload.model_dump(mode="json"))
    assert again == workload
    assert sha256_of(again) == sha256_of(workload)


def test_a_cycle_is_named() -> None:
    assert "b -> c -> d -> b" in faults_of(graph("ab", "bc", "cd", "db"))["edges"]


def test_a_block_that_feeds_itself_is_a_cycle() -> None:
    assert "a -> a" in faults_of(graph("aa"))["edges"]


def test_an_edge_to_nowhere_is_a_fault() -> None:
    assert "'x'" in faults_of(graph("ab", "bx"))["edges.1.target"]


def test_an_edge_from_nowhere_is_a_fault() -> None:
    assert set(faults_of(graph("xb"))) == {"edges.0.source"}


def test_an_edge_given_twice_is_a_fault() -> None:
    assert set(faults_of(graph("ab", "bc", "ab"))) == {"edges.2"}


def test_a_name_given_twice_is_a_fault_that_says_who_has_it() -> None:
    assert "blocks.1" in faults_of(graph(names="abb"))["blocks.2.name"]


def test_all_faults_of_the_graph_are_listed_at_once() -> None:
    assert set(faults_of(graph("ax", "ab", "ab", names="abb"))) == {
        "blocks.2.name",
        "edges.0.target",
        "edges.2",
    }


def test_no_blocks_is_a_fault() -> None:
    assert set(faults_of({"name": "tiny", "blocks": []})) == {"blocks"}


@pytest.mark.parametrize(
    "word", ["forward_flop", "backward_weight_flop", "weight_bytes", "kept_bytes", "weight"]
)
def test_a_negative_number_is_a_fault(word: str) -> None:
    assert set(faults_of(with_a({word: -1}))) == {f"blocks.0.{word}"}


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_nan_and_infinity_are_faults(value: float) -> None:
    assert set(faults_of(with_a({"forward_flop": value}))) == {"blocks.0.forward_flop"}


def test_nan_in_a_json_card_is_a_fault() -> None:
    text = (
        '{"name": "tiny", "blocks": [{"name": "a", "forward_flop": 1}, {"name": "b", "forward_flop": NaN}]}'
    )
    assert set(faults_of(parse(text, "tiny", is_json=True))) == {"blocks.1.forward_flop"}


def test_missing_numbers_are_faults() -> None:
    assert set(faults_of({"name": "tiny", "blocks": [{"name": "a"}, block("b")]})) == {
        "blocks.0.forward_flop"
    }


def test_unknown_words_are_faults() -> None:
    assert set(faults_of({**with_a({"flops": 3}), "colour": "green"})) == {"blocks.0.flops", "colour"}


def test_a_newer_version_is_a_fault() -> None:
    assert set(faults_of({**graph(names="a"), "version": 2})) == {"version"}


@pytest.mark.parametrize("share", [0, -0.5, 1.5])
def test_a_share_of_tokens_is_above_zero_and_at_most_one(share: float) -> None:
    data = {**graph(names="ab"), "edges": [{"source": "a", "target": "b", "share": share}]}
    assert set(faults_of(data)) == {"edges.0.share"}


def profile(**words: Any) -> dict[str, Any]:
    table = {"samples": [1, 4], "forward_s": [0.1, 0.3], "backward_s": [0.2, 0.6], **words}
    return graph(names="a", profiles={"jetson_nano": {"a": table}})


def test_a_measured_profile_is_read() -> None:
    assert load(profile()).profiles["jetson_nano"]["a"].forward_s == (0.1, 0.3)


@pytest.mark.parametrize(
    "words",
    [
        {"samples": [1]},
        {"samples": [4, 1]},
        {"samples": [0, 1]},
        {"forward_s": [-1, 0.3]},
        {"forward_s": [0.1]},
    ],
)
def test_a_profile_that_makes_no_sense_is_a_fault(words: dict[str, Any]) -> None:
    assert set(faults_of(profile(**words))) == {"profiles.jetson_nano.a"}


def test_a_profile_of_an_unknown_block_is_a_fault() -> None:
    data = profile()
    data["profiles"]["jetson_nano"]["x"] = data["profiles"]["jetson_nano"]["a"]
    assert set(faults_of(data)) == {"profiles.jetson_nano.x"}

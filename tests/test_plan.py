"""Plans as documents: what a person writes, what comes back byte for byte, and what is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.document import parse, validate
from models.errors import InputError
from solver.plan import VERSION, Plan, Stage, share_devices, with_shares

EXAMPLE = """
{"version": 1, "workload": {"name": "tiny_chain"}, "cluster": {"name": "three_boards"},
 "job": {"batch": 16, "optimizer": "sgd", "precision": "fp32", "tune": "full"}, "schedule": "1f1b",
 "pipelines": [{"micro_batches": 2, "samples": 8, "stages": [
     {"blocks": ["a", "b"], "mode": "data", "shares": {"nano0": 5, "nano1": 3}, "in_flight": 2},
     {"blocks": ["c"],      "mode": "data", "shares": {"tx2": 8},               "in_flight": 1}]}]}
"""

names = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), min_size=1, max_size=8)
units = st.integers(1, 64)
positive = st.floats(1e-9, 1e12, allow_nan=False)


def maybe(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | strategy


def document(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=fields)


flat = st.dictionaries(
    names.filter(lambda n: n not in ("heads", "columns", "tokens")), units, min_size=1, max_size=3
)
groups = st.fixed_dictionaries(
    {"samples": units, "mode": st.sampled_from(["tensor", "sequence", "data"]), "shares": flat}
)
explicit = st.builds(
    lambda shares, words: {word: shares for word in words},
    flat,
    st.lists(st.sampled_from(["heads", "columns", "tokens"]), unique=True, min_size=1),
)
nested = st.dictionaries(
    names.filter(lambda n: n not in ("heads", "columns", "tokens")), units | groups, min_size=1, max_size=3
)
stages = st.builds(
    lambda needed, more: {**needed, **more},
    st.fixed_dictionaries(
        {"blocks": st.lists(names, min_size=1, max_size=3), "shares": flat | explicit | nested}
    ),
    document(
        mode=st.sampled_from(["data", "tensor", "sequence"]),
        in_flight=maybe(units),
        recompute=st.lists(names, max_size=2),
        ring=st.lists(names, max_size=3),
        instances=flat,
        routing=maybe(st.dictionaries(names, positive, max_size=2)),
    ),
)
micro_batches = units | st.lists(
    st.builds(lambda tasks: {"samples": sum(tasks.values()), "tasks": tasks}, flat)
    | st.fixed_dictionaries({"samples": units, "modalities": st.lists(names, max_size=2)}),
    min_size=1,
    max_size=3,
)
pipelines = st.fixed_dictionaries(
    {"micro_batches": micro_batches, "samples": units, "stages": st.lists(stages, min_size=1, max_size=3)}
)
jobs = st.builds(
    lambda needed, more: {**needed, **more},
    st.fixed_dictionaries({"batch": units}),
    document(
        optimizer=st.sampled_from(["sgd", "momentum", "adamw"]),
        precision=st.sampled_from(["fp32", "bf16"]),
        frozen=st.lists(names, max_size=2),
        deadline_s=maybe(positive),
        energy_budget_j=maybe(positive),
        untrusted_limit_bytes=maybe(st.integers(0, 10**12)),
    ),
)
references = st.builds(
    lambda name, digest: {"name": name, "sha256": digest},
    names,
    maybe(st.text("0123456789abcdef", min_size=64, max_size=64)),
)
plans = st.builds(
    lambda needed, more: {**needed, **more},
    st.fixed_dictionaries(
        {
            "workload": references,
            "cluster": references,
            "job": jobs,
            "pipelines": st.lists(pipelines, min_size=1, max_size=2),
        }
    ),
    document(
        schedule=st.sampled_from(["1f1b", "gpipe"]),
        sync=st.sampled_from(
            [
                {},
                {"topology": "star", "server": "s"},
                {"every": 3, "topology": "star", "server": "s", "rule": "stack"},
            ]
        ),
        copies=st.sampled_from(["shared", "per_pipeline"]),
        devices=st.dictionaries(
            names,
            document(rank=units, power_mode=names, bandwidth_hz=positive, tx_power_w=positive),
            max_size=2,
        ),
        left_out=st.sampled_from(["idle", "sleep", "off"]),
        backup=st.lists(
            st.fixed_dictionaries({"stage": st.tuples(units, units), "on": names, "every": units}), max_size=2
        ),
    ),
)


def example(**changes: Any) -> dict[str, Any]:
    return {**json.loads(EXAMPLE), **changes}


def faults_of(data: Any) -> dict[str, str]:
    with pytest.raises(InputError) as error:
        validate(Plan, data, "plan")
    return {fault.path: fault.message for fault in error.value.faults}


def test_the_example_of_the_design_is_a_plan():
    plan = validate(Plan, json.loads(EXAMPLE), "plan")
    assert plan.pipelines[0].num_samples == 16
    assert share_devices(plan.pipelines[0].stages[0].shares) == ("nano0", "nano1")


@settings(max_examples=150, deadline=None, derandomize=True)
@given(plans)
def test_text_comes_back_byte_for_byte(data: dict[str, Any]):
    plan = validate(Plan, data, "plan")
    text = plan.to_json()
    again = validate(Plan, parse(text, "plan", is_json=True), "plan")
    assert again == plan
    assert again.to_json() == text
    assert again.key == plan.key


def test_order_of_devices_is_kept():
    """Shares are laid side by side in the order given."""
    data = example()
    data["pipelines"][0]["stages"][0]["shares"] = {"nano1": 3, "nano0": 5}
    plan = validate(Plan, json.loads(validate(Plan, data, "plan").to_json()), "plan")
    assert share_devices(plan.pipelines[0].stages[0].shares) == ("nano1", "nano0")


def test_defaults_are_not_written():
    text = validate(Plan, example(), "plan").to_json()
    assert "left_out" not in text and "sync" not in text and '"mode"' not in text
    assert json.loads(text)["version"] == VERSION


def test_key_tells_what_is_decided_and_not_how_it_is_written():
    written_out = example(left_out="idle", copies="shared", sync={"every": 1})
    assert validate(Plan, written_out, "plan").key == validate(Plan, example(), "plan").key
    assert validate(Plan, example(schedule="gpipe"), "plan").key != validate(Plan, example(), "plan").key


def test_plan_is_immutable():
    plan = validate(Plan, example(), "plan")
    with pytest.raises(ValueError, match="frozen"):
        plan.schedule = "gpipe"


def test_schema_describes_the_example():
    schema = Plan.model_json_schema()
    assert json.loads(json.dumps(schema)) == schema
    assert set(example()) <= set(schema["properties"])
    assert set(schema["required"]) == {"workload", "cluster", "job", "pipelines"}
    assert schema["additionalProperties"] is False
    stage = schema["$defs"]["Stage"]
    assert set(json.loads(EXAMPLE)["pipelines"][0]["stages"][0]) <= set(stage["properties"])
    # Numbers, groups in groups, and tables per dimension: three ways to write shares.
    assert {"Group", "Explicit"} <= set(schema["$defs"])


@pytest.mark.parametrize("version", [2, 99, 2.0])
def test_newer_version_is_refused(version: float):
    (message,) = faults_of(example(version=version)).values()
    assert f"version {version}" in message and f"up to {VERSION}" in message


@pytest.mark.parametrize("version", [0, -1, "one", None])
def test_impossible_version_is_refused(version: Any):
    assert list(faults_of(example(version=version))) == ["version"]


@pytest.mark.parametrize("end", [10, 100, 300])
def test_truncated_text_is_refused(end: int):
    with pytest.raises(InputError, match="not valid JSON"):
        parse(EXAMPLE[:end], "plan.json", is_json=True)


def test_unknown_words_and_wrong_numbers_are_all_listed():
    data = example(colour="red")
    data["job"]["batch"] = -16
    data["job"]["optimizer"] = "lion"
    stage = data["pipelines"][0]["stages"][0]
    stage["shares"] = {"nano0": 0, "nano1": 2.5}
    stage["in_flght"] = 2
    del data["cluster"]
    del data["pipelines"][0]["samples"]
    assert set(faults_of(data)) == {
        "colour",
        "job.batch",
        "job.optimizer",
        "pipelines.0.stages.0.shares.nano0",
        "pipelines.0.stages.0.shares.nano1",
        "pipelines.0.stages.0.in_flght",
        "cluster",
        "pipelines.0.samples",
    }


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf"), -1.0, 0.0])
def test_no_nan_no_infinity_nothing_negative(value: float):
    data = example(devices={"tx2": {"bandwidth_hz": value}})
    data["job"]["deadline_s"] = value
    assert set(faults_of(data)) == {"devices.tx2.bandwidth_hz", "job.deadline_s"}


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_counts_are_not_nan_or_infinite(value: float):
    data = example()
    data["pipelines"][0]["samples"] = value
    assert list(faults_of(data)) == ["pipelines.0.samples"]


def test_numbers_inside_a_nested_group_have_their_path():
    data = example()
    pair = {"samples": 5, "mode": "tensr", "shares": {"nano0": -1}}
    data["pipelines"][0]["stages"][0]["shares"] = {"pair": pair, "nano1": 3}
    assert set(faults_of(data)) == {
        "pipelines.0.stages.0.shares.pair.mode",
        "pipelines.0.stages.0.shares.pair.shares.nano0",
    }


def test_tables_of_explicit_shares_name_the_same_devices():
    data = example()
    data["pipelines"][0]["stages"][0]["shares"] = {"heads": {"a": 1, "b": 2}, "columns": {"b": 2, "a": 1}}
    (message,) = faults_of(data).values()
    assert "same devices in the same order" in message


def test_tasks_add_up_to_the_samples():
    data = example()
    data["pipelines"][0]["micro_batches"] = [{"samples": 8, "tasks": {"one": 3, "two": 4}}]
    faults = faults_of(data)
    assert list(faults) == ["pipelines.0.micro_batches.0"]
    assert "add up to 7, samples is 8" in faults["pipelines.0.micro_batches.0"]


@pytest.mark.parametrize(
    ("sync", "words"),
    [
        ({"topology": "star"}, "needs a server"),
        ({"every": 4, "server": "s"}, "topology must be star"),
        ({"every": 0}, "greater than or equal to 1"),
    ],
)
def test_sync_that_cannot_be(sync: dict[str, Any], words: str):
    (message,) = faults_of(example(sync=sync)).values()
    assert words in message


@pytest.mark.parametrize(
    ("job", "words"),
    [
        ({"tune": "lora"}, "give lora_rank"),
        ({"lora_rank": 4}, "belong to tune lora"),
        ({"trained": ["a"]}, "belong to tune lora"),
    ],
)
def test_job_that_cannot_be(job: dict[str, Any], words: str):
    (message,) = faults_of(example(job={"batch": 16, **job})).values()
    assert words in message


@pytest.mark.parametrize(
    "empty", [{"pipelines": []}, {"pipelines": [{"micro_batches": 2, "samples": 8, "stages": []}]}]
)
def test_nothing_is_not_a_plan(empty: dict[str, Any]):
    assert len(faults_of(example(**empty))) == 1


@pytest.mark.parametrize("data", [None, [], "plan", 3])
def test_what_is_no_mapping_is_refused(data: Any):
    assert len(faults_of(data)) == 1


def test_micro_batches_are_a_number_or_a_list():
    data = example()
    data["pipelines"][0]["micro_batches"] = [{"samples": 8}, {"samples": 4}]
    pipeline = validate(Plan, data, "plan").pipelines[0]
    assert (pipeline.num_micro_batches, pipeline.num_samples) == (2, 12)
    data["pipelines"][0]["micro_batches"] = 3
    pipeline = validate(Plan, data, "plan").pipelines[0]
    assert [batch.samples for batch in pipeline.batches] == [8, 8, 8]


def test_a_ring_follows_the_shares_of_its_stage():
    """Who leaves the group leaves the ring; who is new to the group is in no ring."""
    stage = Stage(blocks=("a",), shares={"x": 2, "y": 1, "z": 1}, ring=("x", "z", "y"))
    assert with_shares(stage, {"y": 2, "z": 2}).ring == ("z", "y")
    assert with_shares(stage, {"x": 2, "w": 2}).ring == ()
    assert with_shares(stage, {"x": 1, "y": 1, "z": 2}).ring == stage.ring

"""Reading and writing documents: every fault with its path, files whole or not at all."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from models import catalog
from models.document import Document, canonical, dump_json, parse, read, sha256_of, validate, write_text
from models.errors import InputError


class Leaf(Document):
    name: str
    size_bytes: float = Field(default=0, ge=0)


class Tree(Document):
    leaves: tuple[Leaf, ...] = ()
    notes: dict[str, float] = Field(default_factory=dict)


def faults_of(kind: type[Document], data: object) -> dict[str, str]:
    with pytest.raises(InputError) as caught:
        validate(kind, data, "tree")
    return {fault.path: fault.message for fault in caught.value.faults}


def test_every_fault_is_listed_with_its_path() -> None:
    faults = faults_of(Tree, {"leaves": [{"name": "a", "size_bytes": -1}, {"size_bytes": "much"}]})
    assert set(faults) == {"leaves.0.size_bytes", "leaves.1.name", "leaves.1.size_bytes"}


def test_a_fault_shows_what_was_given() -> None:
    assert "-1" in faults_of(Leaf, {"name": "a", "size_bytes": -1})["size_bytes"]


def test_the_error_counts_its_faults_and_names_the_document() -> None:
    with pytest.raises(InputError, match=r"tree cannot be used \(1 fault\):\n  - name: "):
        validate(Leaf, {}, "tree")


def test_unknown_words_are_faults() -> None:
    assert set(faults_of(Leaf, {"name": "a", "colour": "green"})) == {"colour"}


@pytest.mark.parametrize("text", ["size_bytes: .nan", "size_bytes: .inf", "size_bytes: -.inf"])
def test_yaml_nan_and_infinity_are_faults(text: str) -> None:
    assert "size_bytes" in faults_of(Leaf, parse(f"name: a\n{text}\n", "leaf", is_json=False))


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_json_nan_and_infinity_are_faults(number: str) -> None:
    data = parse(f'{{"name": "a", "size_bytes": {number}}}', "leaf", is_json=True)
    assert "size_bytes" in faults_of(Leaf, data)


def test_nan_in_a_table_is_a_fault() -> None:
    assert set(faults_of(Tree, {"notes": {"x": float("nan")}})) == {"notes.x"}


@pytest.mark.parametrize("data", [None, 3, "text", [1, 2]])
def test_what_is_no_mapping_is_a_fault(data: object) -> None:
    assert set(faults_of(Tree, data)) == {""}


def test_documents_are_immutable() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Leaf(name="a").name = "b"


@pytest.mark.parametrize("text", ['{"name": "a"', '{"name": "a",', "", '{"name": "a"} {'])
def test_truncated_json_is_a_fault(text: str) -> None:
    with pytest.raises(InputError, match="not valid JSON"):
        parse(text, "leaf", is_json=True)


def test_broken_yaml_is_a_fault() -> None:
    with pytest.raises(InputError, match="not valid YAML"):
        parse("name: [a, b", "leaf", is_json=False)


@pytest.mark.parametrize(
    ("text", "is_json"), [('{"a": {"b": 1, "b": 2}}', True), ("a:\n  b: 1\n  b: 2\n", False)]
)
def test_duplicate_keys_are_faults(text: str, is_json: bool) -> None:
    with pytest.raises(InputError, match="key given twice: b"):
        parse(text, "leaf", is_json=is_json)


def test_yaml_cannot_make_python_objects() -> None:
    with pytest.raises(InputError, match="not valid YAML"):
        parse("!!python/object/apply:os.getcwd []", "leaf", is_json=False)


def test_a_missing_file_is_a_fault(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot read"):
        read(tmp_path / "nothing.yaml")


def test_a_file_that_is_no_text_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "bytes.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="cannot read"):
        read(tmp_path / "bytes.json")


def test_the_suffix_says_the_format(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("name: a\n")
    (tmp_path / "a.json").write_text('{"name": "a"}')
    assert read(tmp_path / "a.yaml") == read(tmp_path / "a.json") == {"name": "a"}


def test_write_makes_the_folder_and_leaves_nothing_else(tmp_path: Path) -> None:
    write_text(tmp_path / "new" / "a.json", "text")
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["a.json"]
    assert (tmp_path / "new" / "a.json").read_text() == "text"


def test_write_keeps_an_existing_file(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("old")
    with pytest.raises(InputError, match="exists"):
        write_text(tmp_path / "a.json", "new")
    assert (tmp_path / "a.json").read_text() == "old"


def test_write_replaces_when_asked(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("old")
    write_text(tmp_path / "a.json", "new", overwrite=True)
    assert (tmp_path / "a.json").read_text() == "new"


def test_a_failed_write_keeps_the_old_file_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full_disk(_: int) -> None:
        raise OSError("no space left on device")

    (tmp_path / "a.json").write_text("old")
    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(InputError, match="no space left"):
        write_text(tmp_path / "a.json", "new", overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]
    assert (tmp_path / "a.json").read_text() == "old"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_write_into_a_protected_folder_is_a_fault(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(InputError, match="cannot write"):
        write_text(tmp_path / "a.json", "new")


def test_write_below_a_file_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot write"):
        write_text(tmp_path / "file" / "a.json", "new")


def test_dumped_json_has_no_nan() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        dump_json({"x": float("nan")})


def test_dumped_json_ends_with_a_newline_and_reads_back() -> None:
    text = dump_json({"name": "é"})
    assert text.endswith("}\n")
    assert json.loads(text) == {"name": "é"}


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


def reversed_keys(data: Any) -> Any:
    if isinstance(data, dict):
        return {key: reversed_keys(data[key]) for key in reversed(data)}
    return [reversed_keys(item) for item in data] if isinstance(data, list) else data


@given(plain)
def test_canonical_text_does_not_depend_on_the_order_of_keys(data: Any) -> None:
    assert canonical(data) == canonical(reversed_keys(data))


@given(plain)
def test_canonical_text_reads_back_as_the_same_data(data: Any) -> None:
    assert json.loads(canonical(data)) == data


@given(st.dictionaries(st.text(), st.floats(0, 1e12)))
def test_digest_does_not_depend_on_the_order_of_keys(notes: dict[str, float]) -> None:
    assert sha256_of(Tree(notes=notes)) == sha256_of(Tree(notes=reversed_keys(notes)))


def test_digest_does_not_see_defaults_that_are_written_out() -> None:
    assert sha256_of(Leaf(name="a")) == sha256_of(Leaf(name="a", size_bytes=0))


def test_digest_sees_a_changed_number() -> None:
    assert sha256_of(Leaf(name="a")) != sha256_of(Leaf(name="a", size_bytes=1))


def test_a_changed_copy_has_a_digest_of_its_own() -> None:
    cluster = catalog.cluster("four_boards")
    before = cluster.digest, len(cluster.links_by_pair)
    renamed = cluster.model_copy(update={"name": "mine"})
    assert renamed.digest != before[0]
    fewer = cluster.model_copy(update={"devices": cluster.devices[:2], "segments": (), "links": ()})
    assert set(fewer.by_name) == {device.name for device in cluster.devices[:2]}
    assert (cluster.digest, len(cluster.links_by_pair)) == before


def test_a_cluster_with_other_numbers_keeps_what_is_known_of_its_network() -> None:
    cluster = catalog.cluster("four_boards")
    known = cluster.links_by_pair
    slower = cluster.with_devices(d.model_copy(update={"memory_bytes": d.idle_w}) for d in cluster.devices)
    assert slower.links_by_pair is known
    assert slower.digest != cluster.digest
    assert slower.by_name["nano0"].memory_bytes == cluster.by_name["nano0"].idle_w

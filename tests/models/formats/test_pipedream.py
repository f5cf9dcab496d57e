"""Profiles of PipeDream: what is read, and every fault of damaged ones with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from models.errors import InputError
from models.formats import pipedream

FIGURES = "forward_compute_time=1.500, backward_compute_time=2.500, activation_size=8.0, parameter_size=4.000"
GOOD = f"""node2 -- Conv2d(3, 64, bias=False) -- {FIGURES}
node1 -- Input0 -- {FIGURES}
node10 -- Linear(in_features=1, out_features=1) -- {FIGURES.replace("8.0", "[6.0; 1.0; 1.0]")}
node3 -- __getitem__(0) -- {FIGURES}
node4 -- __getitem__(1) -- {FIGURES}
\tnode1 -- node2
\tnode2 -- node3
\tnode2 -- node4
\tnode3 -- node10
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "net.txt"
    path.write_text(text)
    return path


def test_what_is_read(tmp_path: Path) -> None:
    """The input and the output that nobody reads are dropped, in the order of the numbers 2, 3, 10."""
    found = pipedream.read(write(tmp_path, GOOD))
    assert [block.name for block in found.blocks] == ["node2", "node3", "node10"]
    assert [(edge.source, edge.target) for edge in found.edges] == [("node2", "node3"), ("node3", "node10")]
    assert {block.output_bytes for block in found.blocks} == {8}
    assert {block.weight_bytes for block in found.blocks} == {4}
    profile = found.profiles[pipedream.KIND]["node2"]
    assert (profile.samples, profile.forward_s, profile.backward_s) == ((1,), (0.0015,), (0.0025,))


def test_a_stage_behind_the_figures_is_left_alone(tmp_path: Path) -> None:
    text = GOOD.replace(f"False) -- {FIGURES}", f"False) -- {FIGURES} -- stage_id=3")
    assert pipedream.read(write(tmp_path, text)) == pipedream.read(write(tmp_path, GOOD))


@pytest.mark.parametrize(
    ("old", "new", "wanted"),
    [
        ("node2 -- Conv2d", "node2 - Conv2d", "line 1: a node is"),
        ("forward_compute_time=1.500", "forward_compute_time=-1.5", "line 1: forward_compute_time of node2"),
        ("forward_compute_time=1.500", "forward_compute_time=nan", "line 1: forward_compute_time of node2"),
        ("forward_compute_time=1.500", "forward_compute_time=fast", "line 1: forward_compute_time of node2"),
        ("forward_compute_time=1.500, ", "", "line 1: node node2 lacks forward_compute_time"),
        ("parameter_size=4.000", "parameter_size=", "line 1: parameter_size of node2 is ''"),
        ("[6.0; 1.0; 1.0]", "[6.0; x; 1.0]", "line 3: activation_size of node10"),
        ("node1 -- Input0", "node2 -- Input0", "line 2: node node2 stands in line 1 too"),
        ("\tnode1 -- node2", "\tnode1 -- node7", "line 6: the edge names 'node7'"),
        ("\tnode1 -- node2", "\tnode1 node2", "line 6: an edge is"),
        (
            "\tnode1 -- node2",
            "\tnode1 -- node2\n\tnode1 -- node2",
            "line 7: edge node1 -- node2 stands in line 6",
        ),
        ("\tnode3 -- node10", "\tnode3 -- node10\n\tnode10 -- node2", "cycle"),
    ],
)
def test_faults_name_their_line(old: str, new: str, wanted: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=wanted.replace("(", r"\(")):
        pipedream.read(write(tmp_path, GOOD.replace(old, new, 1)))


def test_every_fault_is_listed(tmp_path: Path) -> None:
    text = GOOD.replace("=2.500", "=-2").replace("\tnode3", "\tnode9")
    with pytest.raises(InputError) as found:
        pipedream.read(write(tmp_path, text))
    assert [fault.path for fault in found.value.faults] == [f"line {i}" for i in (1, 2, 3, 4, 5, 9)]


@pytest.mark.parametrize("text", ["", "\n\n", "hello\n", '{"nodes": []}', f"node1 -- Input -- {FIGURES}\n"])
def test_what_is_not_a_profile(text: str, tmp_path: Path) -> None:
    with pytest.raises(InputError):
        pipedream.read(write(tmp_path, text))


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "net.txt").write_bytes(b"\xff\xfe\x00")
    for name in ("net.txt", "none.txt"):
        with pytest.raises(InputError, match="cannot read"):
            pipedream.read(tmp_path / name)


def test_published_sums() -> None:
    """Sums of the published profiles without their inputs: milliseconds and 10^6 bytes of weights."""
    wanted = {
        "alexnet": (85.3, 244),
        "vgg16": (672.5, 553),
        "resnet18": (259.7, 47),
        "resnet50": (443.4, 102),
        "gnmt": (89.4, 775),
    }
    folder = Path(pipedream.__file__).parent / "instances" / "pipedream"
    for path in folder.glob("*.txt"):
        work = pipedream.read(path)
        profile = work.profiles[pipedream.KIND].values()
        time_ms = 1000 * sum(part.forward_s[0] + part.backward_s[0] for part in profile)
        weights = sum(block.weight_bytes for block in work.blocks) / 1e6
        assert (round(time_ms, 1), round(weights)) == wanted.pop(path.stem)
    assert not wanted

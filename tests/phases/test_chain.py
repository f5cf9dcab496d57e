"""Chains of phases: what is kept, what is made anew, and what is a person's own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from models.errors import InputError
from solver.phases.chain import Chain, Done, Phase, digest_of_file


class Kitchen:
    """Three phases, each of which writes its word and the parts before it; it counts what it makes."""

    def __init__(self, folder: Path, **words: str) -> None:
        self.folder, self.words, self.made, self.said = folder, words, "", list[str]()

    def phase(self, name: str, *before: str, breaks: bool = False) -> Phase:
        path = self.folder / name

        def make() -> dict[str, Any]:
            parts = [(self.folder / one).read_text() for one in before]
            path.write_text("(".join([self.words.get(name, name), *parts]))
            if breaks:
                raise KeyboardInterrupt
            self.made += name
            return {"length": len(path.read_text())}

        tell: Callable[[], dict[str, Any]] = lambda: {"length": len(path.read_text())}  # noqa: E731
        return Phase(name, name, {"word": self.words.get(name, name)}, make, tell, digest_of_file)

    def chain(self, *, force: bool = False, breaks: str = "") -> Chain:
        phases = [
            self.phase("a", breaks="a" in breaks),
            self.phase("b", "a", breaks="b" in breaks),
            self.phase("c", "b", breaks="c" in breaks),
        ]
        return Chain(self.folder, phases, self.said.append, force=force)

    def run(self, only: str | None = None, until: str | None = None, *, force: bool = False) -> list[Done]:
        chain = self.chain(force=force)
        chain.run(only, until)
        return chain.done

    def text(self) -> str:
        return (self.folder / "c").read_text()


def states(done: list[Done]) -> list[str]:
    return [one.state for one in done]


def test_everything_is_made_once(tmp_path: Path) -> None:
    kitchen = Kitchen(tmp_path)
    assert states(kitchen.run()) == ["made", "made", "made"]
    assert states(kitchen.run()) == ["kept", "kept", "kept"]
    assert (kitchen.made, kitchen.text()) == ("abc", "c(b(a")
    assert kitchen.run()[2].figures == {"length": 5}


def test_until_and_only(tmp_path: Path) -> None:
    kitchen = Kitchen(tmp_path)
    kitchen.run(until="b")
    assert kitchen.made == "ab"
    assert states(kitchen.run(only="c")) == ["kept", "kept", "made"]


def test_only_needs_the_parts_before_it(tmp_path: Path) -> None:
    kitchen = Kitchen(tmp_path)
    with pytest.raises(InputError) as error:
        kitchen.run(only="c")
    assert [fault.message.split(" is ")[0] for fault in error.value.faults] == ["a", "b"]
    assert kitchen.made == ""


def test_an_edited_part_stays_and_what_follows_is_made_anew(tmp_path: Path) -> None:
    kitchen = Kitchen(tmp_path)
    kitchen.run()
    (tmp_path / "b").write_text("mine")
    assert states(kitchen.run()) == ["kept", "yours", "made"]
    assert (kitchen.made, kitchen.text()) == ("abcc", "c(mine")
    assert states(kitchen.run()) == ["kept", "yours", "kept"]
    assert any("b is yours" in line for line in kitchen.said)


def test_an_edited_part_outlives_a_change_before_it(tmp_path: Path) -> None:
    kitchen = Kitchen(tmp_path)
    kitchen.run()
    (tmp_path / "b").write_text("mine")
    (tmp_path / "a").write_text("other")
    assert states(kitchen.run()) == ["yours", "yours", "made"]
    assert kitchen.text() == "c(mine"


def test_a_part_put_there_before_is_a_persons_own(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("mine")
    kitchen = Kitchen(tmp_path)
    assert states(kitchen.run()) == ["yours", "made", "made"]


def test_it_says_whose_a_part_is(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).write_text("mine")
    kitchen = Kitchen(tmp_path)
    for _ in range(2):
        chain = kitchen.chain()
        chain.origins = {"a": "it is the cluster of a plan"}
        chain.run()
    (tmp_path / "b").write_text("other")
    kitchen.run()
    told = [line.partition(" is yours: ")[2].partition(";")[0] for line in kitchen.said if "yours" in line]
    given, before = "it is the cluster of a plan", "you gave or changed it before"
    assert told == [given, "you put it there", given, before, before, "you changed it"]


def test_a_part_that_is_gone_is_made_again_and_the_same_again_changes_nothing(tmp_path: Path) -> None:
    kitchen = Kitchen(tmp_path)
    kitchen.run()
    (tmp_path / "b").unlink()
    assert states(kitchen.run()) == ["kept", "made", "kept"]


def test_other_words_are_refused_before_anything_is_done(tmp_path: Path) -> None:
    Kitchen(tmp_path).run(until="b")
    kitchen = Kitchen(tmp_path, a="A", b="B")
    with pytest.raises(InputError) as error:
        kitchen.run()
    assert [fault.message for fault in error.value.faults] == [
        "a was made with a, not A",
        "b was made with b, not B",
    ]
    assert kitchen.made == ""
    assert states(kitchen.run(force=True)) == ["made", "made", "made"]
    assert kitchen.text() == "c(B(A"


def test_what_a_broken_call_left_is_nobodys_own(tmp_path: Path) -> None:
    kitchen = Kitchen(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        kitchen.chain(breaks="b").run()
    (tmp_path / "b").write_text("half")
    assert states(kitchen.run()) == ["kept", "made", "made"]
    assert kitchen.text() == "c(b(a"


def test_a_damaged_ledger_is_told(tmp_path: Path) -> None:
    (tmp_path / "phases.json").write_text("{")
    with pytest.raises(InputError, match="not valid JSON"):
        Kitchen(tmp_path).chain()

import numpy as np

from solver.reporting.tracks import describe, measured_tracks, predicted_tracks
from tests.reporting.cases import example, measured


def test_lanes_of_a_hybrid_plan() -> None:
    _, _, _, report = example()
    tracks = predicted_tracks(report.program, report.timeline)
    assert {(t.device, t.name) for t in tracks} == {
        (device, lane) for device in ("dev0", "dev1", "dev2") for lane in ("compute", "send", "recv")
    }


def test_every_instruction_is_on_a_track_and_a_collective_on_two() -> None:
    _, _, _, report = example()
    tracks = predicted_tracks(report.program, report.timeline)
    times = np.bincount(np.concatenate([t.index for t in tracks]), minlength=len(report.program))
    kinds = [report.program.rows[r].kind.name for r in report.program.row]
    assert all(n == (2 if kind == "COLLECTIVE" else 1) for n, kind in zip(times, kinds, strict=True))


def test_overlapping_spans_go_to_further_tracks() -> None:
    _, _, _, report = example()
    tracks = measured_tracks(report.program, measured(report, overlap=True))
    assert "recv 2" in {track.name for track in tracks}
    for track in tracks:
        assert np.all(np.rint(track.start_s[1:] * 1e9) >= np.rint(track.end_s[:-1] * 1e9))


def test_instructions_in_words() -> None:
    _, _, _, report = example()
    said = {describe(row) for row in report.program.rows}
    assert "forward, stage 0, 2 blocks, tiny.block0 to tiny.block1" in said
    assert "send to dev2 (forward), stage 0, 50,000 bytes" in said

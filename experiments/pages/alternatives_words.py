"""What the alternatives say, in words that the data must bear out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from experiments.frame.claims import bullets, claim
from experiments.frame.tables import number

Row = Mapping[str, Any]
Case = tuple[str, str, int]
IMAGES = ("mobilenet_v2", "vit_b16")


def findings(rows: Sequence[Row]) -> str:
    """Return what the experiment says, in its full form.

    Parameters
    ----------
    rows
        A row for each case and way.
    """
    table = {(case(row), row["way"]): row for row in rows if row["fits"]}
    return bullets(
        [_alone(table), _cloud_images(table), _cloud_text(table), _federated(table), _split(table)]
    )


def caption(rows: Sequence[Row]) -> str:
    """Return what the figures do not show by themselves.

    Parameters
    ----------
    rows
        A row for each case and way.
    """
    sent: dict[str, float] = {}
    for row in rows:
        if row["fits"]:
            sent[row["way"]] = sent.get(row["way"], 0) + row["left_bytes_per_sample"]
    silent = ", ".join(f"*{way}*" for way, num_bytes in sent.items() if not num_bytes)
    return (
        "All axes are logarithmic, and where ways are equal the last in the legend covers the others. "
        f"Ways that send nothing are not drawn among the kB that leave: {silent}."
    )


def case(row: Row) -> Case:
    """Return home, model and rate of a row."""
    return row["home"], row["model"], row["wan_mbit_per_s"]


def _pairs(table: Mapping[tuple[Case, str], Row], one: str, two: str) -> dict[Case, tuple[Row, Row]]:
    """Return the cases in which two ways both fit."""
    cases = [key for key, way in table if way == one and (key, two) in table]
    return {key: (table[key, one], table[key, two]) for key in cases}


def _span(values: Sequence[float]) -> str:
    low, high = number(min(values), 2), number(max(values), 2)
    return f"{low} to {high}" if low != high else low


def _alone(table: Mapping[tuple[Case, str], Row]) -> str:
    pairs = _pairs(table, "one device", "collaborative")
    rate = min(key[2] for key in pairs)
    here = {key: pair for key, pair in pairs.items() if key[2] == rate}
    faster = {key: a["s_per_sample"] / b["s_per_sample"] for key, (a, b) in here.items()}
    joules = {key: b["home_j_per_sample"] / a["home_j_per_sample"] for key, (a, b) in here.items()}
    gains = {key: value for key, value in faster.items() if value > 1.001}
    sparing = _pairs(table, "one device", "collaborative, least energy")
    same = [a for a, b in sparing.values() if b["home_j_per_sample"] > a["home_j_per_sample"] * 0.999]
    return claim(
        all(value > 1 - 1e-9 for value in faster.values()) and len(gains) < len(here),
        f"**Together or alone.** Working together is faster than the best single board in {len(gains)} of "
        f"{len(here)} homes and models ({_span(list(gains.values()))} times), and never slower, since it "
        "may use one board: in the other cases that is the best plan. Energy of the fastest plan is "
        f"{_span(list(joules.values()))} times that of one board, idle power of all four counted in both; "
        f"where least energy is asked one board alone is the answer in {len(same)} of {len(sparing)} "
        'cases. The paper\'s "comparable to a single device" holds in that sense.',
    )


def _cloud_images(table: Mapping[tuple[Case, str], Row]) -> str:
    pairs = {k: v for k, v in _pairs(table, "cloud", "collaborative").items() if k[1] in IMAGES}
    won = {key: a["s_per_sample"] / b["s_per_sample"] for key, (a, b) in pairs.items()}
    home = [value for value in won.values() if value > 1]
    raw = next(iter(pairs.values()))[0]["raw_bytes_per_sample"] / 1e3
    slow = {key: pair for key, pair in pairs.items() if key[2] == min(k[2] for k in pairs)}
    even = [b["s_per_sample"] * key[2] * 1e6 / 8 / 1e3 for key, (_, b) in slow.items()]
    return claim(
        len(home) > len(won) / 2 and all(won[key] > 1 for key in slow),
        f"**The cloud, for images.** {raw:.0f} kB go up for each sample, uncompressed as the net reads it, "
        f"and the link is the bottleneck: training at home is faster in {len(home)} of {len(won)} cases "
        f"(up to {max(won.values()):.0f} times), on the slowest link in all. Compression would move that: "
        f"over {min(k[2] for k in pairs)} Mbit/s the cloud would draw level at {_span(even)} kB a sample.",
    )


def _cloud_text(table: Mapping[tuple[Case, str], Row]) -> str:
    pairs = {k: v for k, v in _pairs(table, "cloud", "collaborative").items() if k[1] == "bert_base"}
    faster = [b["s_per_sample"] / a["s_per_sample"] for a, b in pairs.values()]
    joules = [a["total_j_per_sample"] / b["total_j_per_sample"] for a, b in pairs.values()]
    at_home = [b["home_j_per_sample"] / a["home_j_per_sample"] for a, b in pairs.values()]
    return claim(
        min(faster) > 1 and min(at_home) > 1,
        "**The cloud, for text.** A sample of BERT is one kilobyte: on every link the cloud is "
        f"{_span(faster)} times faster than the boards together, at {_span(joules)} times the energy in "
        f"total and 1/{min(at_home):.0f} to 1/{max(at_home):.0f} of it at home. Against that stands only "
        "that every sample leaves the trusted domain raw. Time and energy alone do not speak for the edge "
        "here; trust does.",
    )


def _federated(table: Mapping[tuple[Case, str], Row]) -> str:
    text = {}
    for way in ("federated, 10 steps, cloud", "federated, 100 steps, cloud", "federated, 10 steps, at home"):
        pairs = _pairs(table, way, "collaborative")
        text[way] = [a["s_per_sample"] / b["s_per_sample"] for a, b in pairs.values()]
    ten, hundred, home = text.values()
    sent = [
        a["left_bytes_per_sample"] / 1e3
        for a, _ in _pairs(table, "federated, 10 steps, cloud", "cloud").values()
    ]
    fits = sum(way == "federated, 10 steps, cloud" for _, way in table)
    return claim(
        min(ten) > 1 and min(hundred) > 1 and min(home) > 1,
        "**Federated.** No raw sample leaves, but weights do, and each board holds the whole model. "
        f"Averaged in the cloud every 10 steps a sample takes {_span(ten)} times as long as together at "
        f"home, every 100 steps {_span(hundred)} times, averaged at home every 10 steps {_span(home)} "
        f"times. Every 10 steps {_span(sent)} kB a sample go up, for some models more than the raw "
        f"samples. It fits in {fits} of {len({key for key, _ in table})} cases. And its samples teach less "
        "(see above): the comparison is in its favour.",
    )


def _split(table: Mapping[tuple[Case, str], Row]) -> str:
    pairs = _pairs(table, "split, one device and cloud", "cloud")
    ratio = {
        model: max(
            a["left_bytes_per_sample"] / b["raw_bytes_per_sample"]
            for k, (a, b) in pairs.items()
            if k[1] == model
        )
        for model in dict.fromkeys(key[1] for key in pairs)
    }
    return claim(
        ratio["mobilenet_v2"] < 0.2 and ratio["vit_b16"] > 0.9 and ratio["bert_base"] > 100,
        "**Split with the cloud.** Whether activations are smaller than raw data depends on the model: "
        f"the best cut sends {ratio['mobilenet_v2']:.2f} times the raw bytes for MobileNetV2, whose "
        f"activations shrink, {ratio['vit_b16']:.1f} times for ViT, whose width never does, and "
        f"{ratio['bert_base']:.0f} times for BERT.",
    )

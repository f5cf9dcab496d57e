"""Power logs of tegrastats and jtop: their lines, and logs that cannot be read."""

from datetime import datetime

import pytest

from models.errors import InputError
from models.power_log import Sample, mean_power_w, read_power_log

NANO = (
    "08-15-2023 14:22:{:02d} RAM 1903/3956MB (lfb 225x4MB) SWAP 0/1978MB (cached 0MB) CPU [12%@1479,off] "
    "EMC_FREQ 0% GR3D_FREQ 99% PMIC@100C POM_5V_IN {}/2313 POM_5V_GPU 124/124 POM_5V_CPU 495/495"
)
ORIN = (
    "{} RAM 3011/7765MB (lfb 4x4MB) SWAP 0/3882MB (cached 0MB) CPU [2%@729,0%@729] GR3D_FREQ 0% "
    "cpu@48.5C VDD_IN {}mW/5074mW VDD_CPU_GPU_CV 1056mW/1056mW VDD_SOC 1440mW/1440mW"
)


def write(folder, *lines):
    path = folder / "power.log"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def at(second):
    return datetime(2023, 8, 15, 14, 22, second).astimezone().timestamp()


def test_tegrastats_of_a_nano(tmp_path):
    found = read_power_log(write(tmp_path, NANO.format(5, 2313), NANO.format(6, 6800)))
    assert found == (Sample(at(5), 2.313), Sample(at(6), 6.8))


def test_tegrastats_of_an_orin_with_seconds_before_each_line(tmp_path):
    found = read_power_log(
        write(tmp_path, ORIN.format("1692109325.5", 5074), ORIN.format("1692109326", 9000))
    )
    assert found == (Sample(1692109325.5, 5.074), Sample(1692109326.0, 9.0))


@pytest.mark.parametrize("column", ["Power TOT", "power cur"])
def test_the_csv_of_jtop(tmp_path, column):
    lines = (
        f"time,uptime,GPU,{column}",
        "2023-08-15 14:22:07.500000,1 day,0,2500",
        "2023-08-15 14:22:06,1,99,5000",
    )
    found = read_power_log(write(tmp_path, *lines))
    assert found == (Sample(at(6), 5.0), Sample(at(7) + 0.5, 2.5))


def test_mean_of_spans():
    samples = (Sample(1, 2.0), Sample(2, 4.0), Sample(3, 9.0))
    assert mean_power_w(samples, [(0, 1.5), (2, 2)]) == 3.0
    assert mean_power_w(samples, [(4, 5)]) is None


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (("RAM 1/2MB POM_5V_IN 1/1",), "line 1: no time before it"),
        (
            ("08-15-2023 14:22:05 RAM 1/2MB GPU_RAIL 5/5",),
            "line 1: no rail VDD_IN or POM_5V_IN; rails found: GPU_RAIL",
        ),
        (("time,GPU", "2023-08-15 14:22:05,1"), "line 1: no column 'power tot' or 'power cur'"),
        (
            ("time,Power TOT", "soon,1"),
            "line 2: a time and milliwatt are needed; given: time 'soon', power '1'",
        ),
        (("",), "the log is empty"),
    ],
)
def test_logs_that_cannot_be_read(tmp_path, lines, message):
    with pytest.raises(InputError) as caught:
        read_power_log(write(tmp_path, *lines))
    assert message in str(caught.value)


def test_a_missing_log(tmp_path):
    with pytest.raises(InputError, match="cannot read"):
        read_power_log(tmp_path / "none.log")

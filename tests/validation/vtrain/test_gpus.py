"""What lies between GPUs of one node, and of several."""

from models.formats.vtrain import GptRun
from solver.validation.vtrain.constants import shipped
from solver.validation.vtrain.gpus import cluster_of, node_of

CONSTANTS = shipped()


def run_of(tensor, data, pipeline):
    return GptRun("", tensor * data * pipeline, 8, 1, 1024, 16, 12, 1024, tensor, data, pipeline)


def rate(run, first, second):
    return cluster_of(run, CONSTANTS).link(first, second).bytes_per_s


def test_parts_of_a_layer_stand_side_by_side():
    run = run_of(4, 2, 2)
    assert [node_of(run, 0, d, t) for d in (0, 1) for t in range(4)] == [0] * 8
    assert node_of(run, 1, 0, 0) == 1


def test_each_use_has_a_rate_of_its_own():
    run = run_of(2, 2, 2)
    assert rate(run, "p0.d0.t0", "p0.d0.t1") == CONSTANTS.tensor_efficiency * 300e9
    assert rate(run, "p0.d0.t0", "p0.d1.t0") == 0.8 * 300e9
    assert rate(run, "p0.d0.t0", "p1.d0.t0") == CONSTANTS.message_bytes_per_s


def test_rings_between_nodes_share_the_ports():
    # Eight replicas of two parts on two nodes: four replicas a node, so a ring has half of its ports.
    assert rate(run_of(2, 8, 1), "p0.d0.t0", "p0.d7.t0") == 0.8 * 50e9


def test_a_message_between_nodes_has_one_port_of_eight_at_most():
    assert rate(run_of(8, 1, 2), "p0.d0.t3", "p1.d0.t3") == 12.5e9


def test_the_latency_of_an_all_reduce_is_that_of_all_its_steps():
    one, two = cluster_of(run_of(2, 1, 1), CONSTANTS), cluster_of(run_of(4, 1, 1), CONSTANTS)
    assert 2 * one.link("p0.d0.t0", "p0.d0.t1").latency_s == CONSTANTS.tensor_latency_s
    grown = CONSTANTS.tensor_latency_s * 3**CONSTANTS.tensor_latency_growth
    assert abs(6 * two.link("p0.d0.t0", "p0.d0.t1").latency_s - grown) < 1e-12

"""Published runs of Sailor as workload, cluster and plan, and the constants of the model.

What is taken from where:

* *Times of passes* are the published profiles, without the noise of small micro-batches (``workload``). They
  hold the exchanges inside a tensor group.
* *Update*: the published update times, as the memory bandwidth of each GPU (``instance``).
* *Network*: latency and rate of the published curves, GPU to GPU (``cluster``); between nodes the rate is
  divided by the constant ``link_cost``, for messages and gradient reductions alike.
* *Messages* between stages stop both ends (rule ``blocking``), and each costs ``message_s`` beside its way.
  Every GPU of a tensor group sends the whole output to its like.
* *Schedule*: 1F1B with as many micro-batches in flight as stages follow; gradients are reduced in fp32 by
  rings over the copies of a stage after the last backward, each GPU its part of the weights.
* *Memory*: 20 bytes a weight, activations by formula times ``activation_part``, and ``held_bytes`` on every
  GPU.
"""

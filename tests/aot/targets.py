"""The absent devices that every rule's text is compiled for."""

TARGETS = {"cuda": "h100", "tpu": "v5e:2x2"}
# Options of the topologies of which programs on four devices are compiled.
FOUR = {"cuda": {"topology": "1x1x4"}, "tpu": {}}

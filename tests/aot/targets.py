"""The absent devices that every rule's text is compiled for."""

TARGETS = {"cuda": "h100", "tpu": "v5e:2x2"}
# Options of the topologies of four devices that programs are compiled for: those of one process,
# and of two.
FOUR = {"cuda": [{"topology": "1x1x4"}, {"topology": "1x2x2"}], "tpu": [{}]}

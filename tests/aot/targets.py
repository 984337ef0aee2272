"""The absent devices that every rule's text is compiled for."""

TARGETS = {"cuda": "h100", "tpu": "v5e:2x2"}

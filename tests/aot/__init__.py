"""Compilation of every rule's text for devices that are not there."""

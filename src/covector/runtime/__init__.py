"""Devices and arrays as users see them."""

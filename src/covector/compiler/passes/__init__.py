"""Rewrites of jaxprs before they are lowered."""

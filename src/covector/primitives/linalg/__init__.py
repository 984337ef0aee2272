"""Factorisations of matrices and triangular systems."""

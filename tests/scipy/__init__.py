"""Tests of `covector.scipy`."""

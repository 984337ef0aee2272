"""Convolutions: a sum over the places of the window."""

from __future__ import annotations

import itertools

import numpy as np

from covector.core.jaxpr import JaxprEqn
from covector.primitives.convolution import Geometry, conv_general_dilated_p, geometry
from covector_toy.interpreter import rule
from covector_toy.rules.elementwise import Elements


def _spread(x: Elements, g: Geometry) -> Elements:
    """[batch, features, space] with the zeros between and around."""
    for axis, (n, (low, high), d) in enumerate(
        zip(g.space, g.pads, g.lhs_dilation, strict=True), 2
    ):
        wide = np.zeros((*x.shape[:axis], max(0, (n - 1) * d + 1), *x.shape[axis + 1 :]), x.dtype)
        wide[(slice(None),) * axis + (slice(None, None, d),)] = x
        pads = [(0, 0)] * x.ndim
        pads[axis] = (max(low, 0), max(high, 0))
        wide = np.pad(wide, pads)
        first, last = max(-low, 0), wide.shape[axis] - max(-high, 0)
        x = wide[(slice(None),) * axis + (slice(first, max(first, last)),)]
    return x


@rule(conv_general_dilated_p)
def _convolution(eqn: JaxprEqn, x: Elements, y: Elements) -> Elements:
    aval, numbers = eqn.outvars[0].aval, eqn.params["dimension_numbers"]
    g = geometry(x.shape, y.shape, eqn.params)
    wide = np.float32 if aval.dtype.itemsize == 2 and aval.dtype.kind not in "iu" else aval.dtype
    x, y = np.transpose(x, numbers.lhs_spec), np.transpose(y, numbers.rhs_spec)
    x, y = _spread(x.astype(wide), g), y.astype(wide)
    groups = max(g.feature_groups, g.batch_groups)
    batch, outputs = g.batch // g.batch_groups, g.outputs // groups
    out = np.zeros((batch, g.outputs, *g.out), wide)
    for j, at in itertools.product(range(groups), itertools.product(*map(range, g.window))):
        part = x[:, j * g.inputs : (j + 1) * g.inputs] if g.feature_groups > 1 else x
        part = part[j * batch : (j + 1) * batch] if g.batch_groups > 1 else part
        places = [
            slice(k * d, k * d + (n - 1) * s + 1, s) if n else slice(0)
            for k, d, n, s in zip(at, g.rhs_dilation, g.out, g.strides, strict=True)
        ]
        rows = slice(j * outputs, (j + 1) * outputs)
        kernel = y[(rows, slice(None), *at)]
        term = np.einsum("nc...,oc->no...", part[(slice(None), slice(None), *places)], kernel)
        out[:, rows] += term
    back = np.argsort(numbers.out_spec)
    return np.transpose(out, back).astype(aval.dtype)

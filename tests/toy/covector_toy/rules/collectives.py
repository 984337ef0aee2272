"""Collectives: `vmap` resolves them, so that no program of one device has any."""

from covector.primitives import parallel as pa
from covector_toy.interpreter import IMPOSSIBLE

for _p in (
    pa.psum_p, pa.pmax_p, pa.pmin_p, pa.ppermute_p, pa.all_gather_p, pa.all_to_all_p,
    pa.axis_index_p,
):  # fmt: skip
    IMPOSSIBLE[_p] = "one device has no named axes; vmap resolves those that it maps"

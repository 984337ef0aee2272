"""Processes that are threads: programs of several, run in one.

Each has its own mesh of processes, program and communicator; what they send each other goes
through queues. All but the engine is what processes run.
"""

import queue
import threading

import numpy as onp

import covector as cv
from covector.backends.cpu import across
from covector.core.avals import to_array
from covector.core.backend import get_backend
from covector.core.dce import dce
from covector.core.device import Device
from covector.core.jaxpr import ClosedJaxpr
from covector.core.rules import layout_primitives
from covector.distributed import calls
from covector.distributed.messages import FRAME, Messages, Mismatch
from covector.sharding import AxisType, Mesh
from covector.sharding.partition import overlap
from covector.sharding.partition.mesh import ProcessMesh
from covector.sharding.partition.program import partition
from covector.transforms.expand import expand
from tests.sharding import tables

KEPT = across.KEPT | layout_primitives


class VirtualDevice(Device):
    platform = "cpu"
    device_kind = "cpu"

    def __init__(self, ident, process_index):
        self.id, self.process_index = ident, process_index

    def __repr__(self):
        return f"VirtualDevice({self.id} of process {self.process_index})"


def mesh_of(shape, names, owners=None):
    """A mesh with a device for each process, or as ``owners`` says whose each device is."""
    owners = onp.arange(onp.prod(shape)).reshape(shape) if owners is None else onp.asarray(owners)
    devices = onp.empty(owners.shape, object)
    for k, at in enumerate(onp.ndindex(*owners.shape)):
        devices[at] = VirtualDevice(k, int(owners[at]))
    return Mesh(devices, names, (AxisType.Auto,) * len(names))


class Engine(Messages):
    """Sends through queues, one for each pair of processes."""

    def __init__(self, rank, size, queues):
        super().__init__(rank, size)
        self.queues = queues
        self.sent = 0

    def _exchange(self, sends, receives, frame):
        for to, data in sends.items():
            self.queues[self.rank, to].put((frame, bytes(data)))
            self.sent += len(data)
        for of, buffer in receives.items():
            theirs, data = self.queues[of, self.rank].get(timeout=60)
            if theirs != frame:
                raise Mismatch(of, theirs)
            assert len(data) == len(buffer), (FRAME, len(data), len(buffer))
            if data:
                buffer[:] = data

    def _report(self, process, text):
        """The error says it."""

    def close(self):
        """There is nothing to give back."""


class VirtualJob:
    def __init__(self, engine):
        self.communicator = engine
        self.groups = {}

    def group(self, ranks):
        if ranks not in self.groups:
            self.groups[ranks] = self.communicator.group(ranks)
        return self.groups[ranks]


_here = threading.local()


def run(monkeypatch, closed: ClosedJaxpr, args, mesh, in_specs, out_specs):
    """The results of each process of the mesh, as blocks, with where they are; and the engines."""
    ranks = sorted({d.process_index for d in mesh.devices.flat})
    monkeypatch.setattr(calls, "current_job", lambda: _here.job)
    monkeypatch.setattr(overlap, "_WORTH", 1)
    queues = {(a, b): queue.Queue() for a in ranks for b in ranks}
    made = []
    closed = ClosedJaxpr(expand(dce(closed.jaxpr), KEPT), closed.consts)
    for rank in ranks:
        pm = ProcessMesh(mesh, rank)
        ins = [
            pm.split(s, v.aval.shape) for s, v in zip(in_specs, closed.jaxpr.invars, strict=True)
        ]
        outs = [
            pm.split(s, v.aval.shape) for s, v in zip(out_specs, closed.jaxpr.outvars, strict=True)
        ]
        consts = [(((),) * onp.ndim(c), c) for c in closed.consts]
        local = partition(closed, consts, ins, outs, pm)
        given = [
            x[pm.block(x.shape, s)] if onp.ndim(x) else x for x, s in zip(args, ins, strict=True)
        ]
        blocks = [
            pm.block(v.aval.shape, s) for v, s in zip(closed.jaxpr.outvars, outs, strict=True)
        ]
        made.append((rank, local, given, blocks))
    results: dict = {}
    engines = {rank: Engine(rank, len(ranks), queues) for rank in ranks}
    failures = []
    x64 = cv.config.enable_x64

    def one(rank, local, given, blocks):
        _here.job = VirtualJob(engines[rank])
        try:
            with cv.enable_x64(x64):
                local = local.map_jaxpr(lambda jaxpr: overlap.overlapped(jaxpr, calls.sends))
                module = get_backend("cpu").lower(local, [False] * len(given), f"process {rank}")
                program = module.compile(None, 0)
                avals = [v.aval for v in closed.jaxpr.invars]
                arrays = [to_array(x, a) for x, a in zip(given, avals, strict=True)]
                outs = program.executable.call(arrays)
            results[rank] = list(zip(blocks, outs, strict=True))
        except BaseException as e:
            failures.append((rank, e))

    threads = [threading.Thread(target=one, args=each, daemon=True) for each in made]
    for t in threads:
        t.start()
    for t in threads:
        t.join(90)
    if failures:
        raise failures[0][1]
    assert len(results) == len(ranks), "a process has not come to its end"
    return results, engines


def check(monkeypatch, rng, closed, args, mesh, want, rtol=1e-6, atol=1e-8):
    """Run a program on random shardings, and compare with the results of the whole."""
    ins = tables.specs_for(rng, [v.aval for v in closed.jaxpr.invars], mesh)
    outs = tables.specs_for(rng, [v.aval for v in closed.jaxpr.outvars], mesh)
    results, engines = run(monkeypatch, closed, args, mesh, ins, outs)
    for found in results.values():
        for (block, x), w in zip(found, want, strict=True):
            part = w[block] if onp.ndim(w) else w
            message = f"{mesh.shape} {ins} {outs} {closed}"
            tables.check_equal(x, part, rtol, atol, message)
    return engines

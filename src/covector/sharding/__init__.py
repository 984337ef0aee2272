"""How arrays lie on devices (`covector.sharding`)."""

from covector.core.lazy import lazy_names as _lazy_names

_NAMES = {
    **dict.fromkeys(("auto_axes", "explicit_axes"), "covector.sharding.regions"),
    **dict.fromkeys(
        ("Sharding", "SingleDeviceSharding", "make_single_device_sharding"),
        "covector.sharding.base",
    ),
    **dict.fromkeys(
        ("AbstractDevice", "AbstractMesh", "AxisType", "Mesh"), "covector.sharding.mesh"
    ),
    **dict.fromkeys(
        ("get_abstract_mesh", "get_mesh", "set_mesh", "use_abstract_mesh"),
        "covector.sharding.context",
    ),
    "ManualAxisType": "covector.core.manual_axes",
    "NamedSharding": "covector.sharding.named",
    "PartitionSpec": "covector.sharding.spec",
    "reshard": "covector.runtime.constraints",
}

_MODULES = frozenset(("cost",))

__getattr__, __dir__ = _lazy_names(globals(), _NAMES, _MODULES)
__all__ = sorted({*_NAMES, *_MODULES})

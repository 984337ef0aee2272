"""From jaxprs to a schedule of loops: what does not depend on a device."""

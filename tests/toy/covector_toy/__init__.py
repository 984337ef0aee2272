"""A second backend: it interprets jaxprs with NumPy on two devices with memory of their own."""

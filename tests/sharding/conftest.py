"""Eight logical devices for every test here."""

import pytest

import covector as cv


@pytest.fixture(autouse=True, scope="package")
def eight_devices():
    cv.config.update("num_cpu_devices", 8)
    yield
    cv.config.update("num_cpu_devices", -1)

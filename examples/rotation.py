"""A picture turned by an unknown angle: the angle is found by gradient descent on the pixels."""

import covector as cv
import covector.numpy as np
from covector.scipy.ndimage import map_coordinates
from covector.tour.pictures import save

size = 128
y, x = np.meshgrid(*[np.linspace(-1, 1, size)] * 2, indexing="ij")


def scene(x, y):
    """What the picture shows, at any point: a bright blob, a ring and a weak pattern."""
    blob = np.exp(-20 * ((x - 0.3) ** 2 + (y + 0.2) ** 2))
    ring = np.exp(-80 * (np.sqrt(x**2 + 2 * y**2) - 0.6) ** 2)
    return blob + 0.7 * ring + 0.1 * np.sin(9 * x) * np.cos(7 * y)


def turned(x, y, angle):
    """Points turned about the middle."""
    c, s = np.cos(angle), np.sin(angle)
    return c * x - s * y, s * x + c * y


@cv.jit(static_argnames="order")
def rotate(image, angle, order=1):
    """``image`` turned, each pixel read between its neighbours' (order 1) or at the nearest."""
    u, v = turned(x, y, angle)
    pixels = [(v + 1) * (size - 1) / 2, (u + 1) * (size - 1) / 2]
    return map_coordinates(image, pixels, order=order, mode="nearest")


image = scene(x, y)
angle = np.deg2rad(25.0)
truth = scene(*turned(x, y, angle))
disc = x**2 + y**2 < 0.95  # the corners come from outside of the picture
for order in (0, 1):
    error = np.where(disc, rotate(image, angle, order=order) - truth, 0.0)
    print(f"order {order}: the turned picture is off by {np.abs(error).max():.4f} at most")


def mismatch(angle):
    return np.mean(np.where(disc, rotate(image, angle) - truth, 0.0) ** 2)


@cv.jit
def descend(angle):
    def step(angle, _):
        return angle - 2.0 * cv.grad(mismatch)(angle), mismatch(angle)

    return cv.lax.scan(step, angle, length=60)


found, history = descend(np.deg2rad(5.0))
print(f"turned by {np.rad2deg(angle):.2f} degrees; found, from 5: {np.rad2deg(found):.2f}")
print(f"the mean square of the difference fell from {history[0]:.2e} to {history[-1]:.2e}")
assert abs(found - angle) < np.deg2rad(0.1)

save("rotation.png", np.hstack([image, truth, rotate(image, found)]), scale=2)
print("The picture is in rotation.png: as it was, turned, and turned by the angle found")

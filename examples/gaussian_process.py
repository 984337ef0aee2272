"""A Gaussian process whose length scale and noise are fitted to the data."""

import covector as cv
import covector.numpy as np
from covector.scipy.linalg import cho_solve, cholesky
from covector.scipy.optimize import minimize
from covector.scipy.stats import norm
from covector.tour.pictures import save

cv.config.update("enable_x64", True)  # kernels of close points are nearly singular


def kernel(p, a, b):
    """Covariance of the function at points: a squared exponential."""
    return np.exp(2 * p["amplitude"] - 0.5 * ((a[:, None] - b) / np.exp(p["length"])) ** 2)


def factor(p, x):
    """Cholesky factor of the covariance of what is measured."""
    return cholesky(kernel(p, x, x) + np.exp(2 * p["noise"]) * np.eye(len(x)), lower=True)


def negative_log_likelihood(p, x, y):
    c = factor(p, x)
    return (
        0.5 * y @ cho_solve((c, True), y)
        + np.sum(np.log(np.diag(c)))
        + 0.5 * len(x) * np.log(2 * np.pi)
    )


@cv.jit
def predict(p, x, y, at):
    """Mean and standard deviation of the function at points, given what was measured."""
    c = factor(p, x)
    k = kernel(p, x, at)
    variance = np.exp(2 * p["amplitude"]) - np.sum(k * cho_solve((c, True), k), axis=0)
    return k.T @ cho_solve((c, True), y), np.sqrt(np.maximum(variance, 0.0))


def truth(x):
    return np.sin(3 * x) + 0.5 * np.cos(7 * x)


kx, ky = cv.random.split(cv.random.key(3))
x = np.sort(cv.random.uniform(kx, (60,), minval=-2.0, maxval=2.0))
y = truth(x) + 0.2 * cv.random.normal(ky, x.shape)

start = {"amplitude": np.array(0.0), "length": np.array(0.0), "noise": np.array(-1.0)}
flat, restore = cv.flatten_util.ravel_pytree(start)
fit = minimize(lambda v: negative_log_likelihood(restore(v), x, y), flat, method="BFGS")
p = restore(fit.x)

print(f"-log likelihood: {negative_log_likelihood(start, x, y):.2f} -> {fit.fun:.2f}")
print(f"found in {fit.nit} steps; largest derivative left {np.abs(fit.jac).max():.1e}")
print(f"length scale {np.exp(p['length']):.3f}, noise {np.exp(p['noise']):.3f} (it was 0.2)")
assert 0.12 < np.exp(p["noise"]) < 0.28

at = np.linspace(-2, 2, 400)
mean, deviation = predict(p, x, y, at)
error = mean - truth(at)
print(f"root mean square error of the mean: {np.sqrt(np.mean(error**2)):.3f}")
print(f"truth within two deviations: {np.mean(np.abs(error) < 2 * deviation):.0%}")

# How likely each value is at each point, and what was measured as dots.
levels = np.linspace(2.5, -2.5, 250)
picture = norm.pdf(levels[:, None], mean, deviation + 0.02)
distance = np.hypot((levels[:, None, None] - y) / 5 * 250, (at[None, :, None] - x) / 4 * 400)
dots = np.min(distance, axis=2) < 2
save("gaussian_process.png", np.where(dots, picture.max(), picture))
print("The picture is in gaussian_process.png")

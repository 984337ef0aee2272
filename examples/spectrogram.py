"""A spectrogram: two chirps in noise, and how well the ridge says their frequencies."""

import covector as cv
import covector.numpy as np
from covector.scipy.signal import stft
from covector.tour.pictures import save

rate, seconds = 8000.0, 2.0
t = np.arange(int(rate * seconds)) / rate


def rising(t):
    """The frequency of the first chirp, which rises as a line, in Hz."""
    return 300 + 700 * t


def waving(t):
    """That of the second, which goes up and down."""
    return 2500 + 500 * np.sin(2 * np.pi * t)


def tone(frequency):
    """A tone of changing frequency: the sine of its running integral."""
    return np.sin(2 * np.pi * np.cumsum(frequency(t)) / rate)


noise = 0.5 * cv.random.normal(cv.random.key(0), t.shape)
signal = tone(rising) + tone(waving) + noise


@cv.jit
def spectrogram(x):
    """Frequencies, times, and the power at each of them in decibels."""
    f, times, z = stft(x, rate, nperseg=512, noverlap=384)
    return f, times, 10 * np.log10(np.abs(z) ** 2 + 1e-8)


f, times, power = spectrogram(signal)
inside = (times > 0.1) & (times < seconds - 0.1)  # at the ends the signal stops
for name, frequency, band in (
    ("rising", rising, f < 1900),
    ("waving", waving, (f > 1900) & (f < 3200)),
):
    ridge = f[np.argmax(np.where(band[:, None], power, -np.inf), axis=0)]
    error = np.abs(ridge - frequency(times))[inside]
    print(f"{name}: the ridge is off by {error.mean():.1f} Hz, at most {error.max():.1f} Hz")
    assert error.mean() < rate / 512

print(f"{power.shape[0]} frequencies, {rate / 512:.1f} Hz apart, at {power.shape[1]} times")
save("spectrogram.png", np.clip(power[::-1], -40, None), scale=2)
print("The picture is in spectrogram.png")

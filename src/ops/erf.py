#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Fits erf(x) on [-4, 4] as x P(x^2) / Q(x^2), P of degree 6 and Q of degree 4, for the least largest relative error:
linear least squares of x P - erf(x) Q, weighted anew in each step by the error that was left (Lawson 1961). Prints the
coefficients of simd_math.inc and linear.k, from the highest power down, and the error of the formula in fp32."""
import math

import numpy as np

END, POINTS, STEPS = 4.0, 4000, 400


def polynomial(coefficients, x):
    return sum(c * x**i for i, c in enumerate(coefficients))


def fit():
    x = END * (1 - np.cos(np.linspace(0, math.pi, POINTS))) / 2
    x = x[x > 1e-3]
    erf, square = np.array([math.erf(v) for v in x]), x * x
    rows = np.hstack([x[:, None] * square[:, None] ** np.arange(7), -erf[:, None] * square[:, None] ** np.arange(1, 5)])
    weights, q, best = np.ones_like(x), np.ones_like(x), (math.inf, None, None)
    for _ in range(STEPS):
        scale = weights / (q * erf)
        solution = np.linalg.lstsq(rows * scale[:, None], erf * scale, rcond=None)[0]
        p, q_coefficients = solution[:7], np.r_[1, solution[7:]]
        q = polynomial(q_coefficients, square)
        error = np.abs(x * polynomial(p, square) / q / erf - 1)
        best = min(best, (error.max(), tuple(p), tuple(q_coefficients)))
        weights *= (error / error.mean()) ** 0.1
        weights /= weights.mean()
    return best[1], best[2]


def horner(coefficients, x):
    value = np.full_like(x, np.float32(coefficients[-1]))
    for c in coefficients[-2::-1]:
        value = value * x + np.float32(c)
    return value


P, Q = fit()
points = np.linspace(-END, END, 400001).astype(np.float32)
got = points * horner(P, points * points) / horner(Q, points * points)
print("P", " ".join(f"{c:.9e}" for c in P[::-1]))
print("Q", " ".join(f"{c:.9e}" for c in Q[::-1]))
print(f"largest error in fp32: {np.abs(got - [math.erf(float(v)) for v in points]).max():.1e}")

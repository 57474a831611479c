"""The step that an earthquake leaves in the ground: slip on a buried rectangle, seen at the surface."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Earthquake", "Fault", "vertical_step"]

Float64 = npt.NDArray[np.float64]

RIGIDITY = 30e9
"""Shear modulus of the crust [Pa]."""

MEDIUM = 0.5
"""μ / (λ + μ) of a Poisson solid."""

AFTERSLIP = 0.03
"""How much the ground goes on moving per e-fold of the time since the earthquake, as a share of the step."""

SETTLES = 0.03
"""Time after which that creep begins to slow down [yr]."""


@dataclass(frozen=True)
class Fault:
    """A rectangle that slips: middle of its upper edge in metres from the middle of the scene; degrees, metres.

    ``strike`` is clockwise from north with the dip to its right, ``rake`` the direction in which the hanging wall
    moves: 0 to the left, -90 down, 180 to the right.
    """

    magnitude: float
    easting: float
    northing: float
    strike: float
    dip: float
    rake: float
    length: float
    width: float
    top: float

    @property
    def slip(self) -> float:
        """Slip [m] that gives the moment of the magnitude (Hanks and Kanamori 1979, doi:10.1029/JB084iB05p02348)."""
        return float(10 ** (1.5 * self.magnitude + 9.1) / (RIGIDITY * self.length * self.width))


@dataclass(frozen=True)
class Earthquake:
    """A fault that slips ``when`` years after the first date, and creeps on with the logarithm of time.

    Source of the creep: Marone, Scholz and Bilham (1991), doi:10.1029/91JB00275.
    """

    fault: Fault
    when: float

    def step(self, easting: Float64, northing: Float64) -> Float64:
        """Upward displacement (N,) [mm] at the earthquake of places in metres from the middle of the scene."""
        return 1000 * vertical_step(self.fault, easting, northing)

    def displacement(self, easting: Float64, northing: Float64, years: Float64) -> Float64:
        """Displacement (N, T) [mm]."""
        since = np.maximum(years - self.when, 0.0)
        course = np.where(years > self.when, 1.0 + AFTERSLIP * np.log1p(since / SETTLES), 0.0)
        return np.asarray(self.step(easting, northing)[:, None] * course)


def vertical_step(fault: Fault, easting: Float64, northing: Float64) -> Float64:
    """Vertical displacement (N,) [m] of the surface of an elastic half-space.

    Source: Okada (1985), doi:10.1785/BSSA0750041135, equations 25, 26 and 28.
    """
    dip, strike, rake = np.radians([fault.dip, fault.strike, fault.rake])
    east, north = easting - fault.easting, northing - fault.northing
    along = east * np.sin(strike) + north * np.cos(strike) + fault.length / 2
    # Okada counts from the lower edge, towards the upper one
    up_dip = north * np.sin(strike) - east * np.cos(strike) + fault.width * np.cos(dip)
    depth = fault.top + fault.width * np.sin(dip)
    total = np.zeros(np.broadcast(east, north).shape)
    for sign, off, down in ((1, 0, 0), (-1, 0, 1), (-1, 1, 0), (1, 1, 1)):
        xi = along - off * fault.length
        eta = up_dip * np.cos(dip) + depth * np.sin(dip) - down * fault.width
        q = up_dip * np.sin(dip) - depth * np.cos(dip)
        lateral, thrust = _corner(xi, eta, q, dip)
        total += sign * (np.cos(rake) * lateral + np.sin(rake) * thrust)
    return np.asarray(-fault.slip / (2 * np.pi) * total)


def _corner(xi: Float64, eta: Float64, q: Float64, dip: float) -> tuple[Float64, Float64]:
    """What one corner of the rectangle adds for slip along its strike and up its dip."""
    sine, cosine = np.sin(dip), np.cos(dip)
    below = eta * sine - q * cosine
    far, flat = np.sqrt(xi**2 + eta**2 + q**2), np.hypot(xi, q)
    i4 = MEDIUM / cosine * (np.log(far + below) - sine * np.log(far + eta))
    i5 = (
        2 * MEDIUM / cosine * _angle(eta * (flat + q * cosine) + flat * (far + flat) * sine, xi * (far + flat) * cosine)
    )
    lateral = below * q / (far * (far + eta)) + q * sine / (far + eta) + i4 * sine
    thrust = below * q / (far * (far + xi)) + sine * _angle(xi * eta, q * far) - i5 * sine * cosine
    return np.asarray(lateral), np.asarray(thrust)


def _angle(above: Float64, below: Float64) -> Float64:
    """Arc tangent of a ratio; 0 where there is nothing to divide by, as Okada has it."""
    return np.asarray(np.arctan2(above * np.sign(below), np.abs(below)))

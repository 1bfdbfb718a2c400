"""Covers drawn from an id, where the music has none."""

from __future__ import annotations

import hashlib
from math import cos, pi, sin


def cover(seed_id: str) -> str:
    """An SVG picture of 240 x 240, always the same for an id. Only numbers derived from the id enter it, never the id itself."""
    seed = hashlib.sha256(seed_id.encode("utf-8", "replace")).digest()
    hue, hue_shift = seed[0] * 360 // 256, 35 + seed[1] % 70
    foreground = f"hsl({(hue + 2 * hue_shift) % 360} 75% 72%)"
    draw = (_rings, _bars, _wave, _orbits, _tiles)[seed[2] % 5]
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 240 240" width="240" height="240">'
        f'<defs><linearGradient id="g" gradientTransform="rotate({seed[3] % 90} .5 .5)">'
        f'<stop offset="0" stop-color="hsl({hue} 58% 42%)"/>'
        f'<stop offset="1" stop-color="hsl({(hue + hue_shift) % 360} 62% 24%)"/></linearGradient></defs>'
        f'<rect width="240" height="240" fill="url(#g)"/>'
        f'<g fill="{foreground}" stroke="{foreground}" stroke-width="0">'
        f"{draw(seed[4:])}</g></svg>"
    )


def _rings(seed: bytes) -> str:
    x, y = 40 + seed[0] % 160, 40 + seed[1] % 160
    return "".join(
        f'<circle cx="{x}" cy="{y}" r="{radius}" fill="none" stroke-width="{3 + seed[2] % 5}" '
        f'opacity="{1 - radius / 240:.2f}"/>'
        for radius in range(14, 210, 18 + seed[3] % 12)
    )


def _bars(seed: bytes) -> str:
    heights = [24 + seed[i] * 150 // 256 for i in range(9)]
    return "".join(
        f'<rect x="{21 + 22 * i}" y="{120 - height / 2:.0f}" width="12" height="{height}" rx="6" '
        f'opacity="{0.5 + seed[i + 9] / 512:.2f}"/>'
        for i, height in enumerate(heights)
    )


def _wave(seed: bytes) -> str:
    def curve(level: int, phase: float) -> str:
        amplitude, cycles = 12 + seed[1] % 22, 1 + seed[2] % 3
        points = [(x, level + amplitude * sin(x * cycles * pi / 120 + phase)) for x in range(0, 241, 12)]
        return "M0 240L" + "L".join(f"{x} {y:.0f}" for x, y in points) + "L240 240Z"

    return "".join(
        f'<path d="{curve(80 + 38 * i, seed[0] / 40 + i)}" opacity="{0.18 + 0.14 * i:.2f}"/>' for i in range(4)
    )


def _orbits(seed: bytes) -> str:
    dots = []
    for i in range(14):
        angle, radius = 2 * pi * seed[i] / 256, 18 + seed[i + 8] * 84 / 256
        dots.append(
            f'<circle cx="{120 + radius * cos(angle):.0f}" cy="{120 + radius * sin(angle):.0f}" r="{4 + seed[i + 4] % 13}" '
            f'opacity="{0.35 + seed[i + 2] / 500:.2f}"/>'
        )
    return "".join(dots)


def _tiles(seed: bytes) -> str:
    tiles = []
    for i in range(16):
        x, y, corner = 20 + 50 * (i % 4), 20 + 50 * (i // 4), (0, 8, 25, 25)[seed[i] % 4]
        tiles.append(f'<rect x="{x}" y="{y}" width="50" height="50" rx="{corner}" opacity="{seed[i + 4] / 330:.2f}"/>')
    return "".join(tiles)

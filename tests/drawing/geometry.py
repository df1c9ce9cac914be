"""Plane geometry of a layout, from its boxes and curves alone."""

from __future__ import annotations

from collections.abc import Iterator

from symbackprop.drawing.layout import Box, Layout, Point

STEPS = 24


def curve(points: tuple[Point, ...]) -> Iterator[Point]:
    """Points on a path: a straight end, cubic curves, a straight end."""
    yield from _straight(points[0], points[1])
    inner = points[1:-1]
    for k in range(0, len(inner) - 1, 3):
        a, b, c, d = inner[k : k + 4]
        for step in range(STEPS + 1):
            t = step / STEPS
            u = 1 - t
            weights = (u**3, 3 * u * u * t, 3 * u * t * t, t**3)
            yield tuple(sum(w * p[axis] for w, p in zip(weights, (a, b, c, d), strict=True)) for axis in (0, 1))  # type: ignore[misc]
    yield from _straight(points[-2], points[-1])


def _straight(a: Point, b: Point) -> Iterator[Point]:
    for step in range(9):
        yield a[0] + (b[0] - a[0]) * step / 8, a[1] + (b[1] - a[1]) * step / 8


def inside(point: Point, box: Box, rim: float) -> bool:
    """Whether a point lies in a rectangle, further than a rim from its sides."""
    return abs(point[0] - box.x) < box.width / 2 - rim and abs(point[1] - box.y) < box.height / 2 - rim


def faults(layout: Layout) -> list[str]:
    """What is wrong with a layout: boxes that overlap, edges through boxes, labels on boxes, what leaves the picture."""
    found = []
    boxes = list(layout.boxes.items())
    for k, (key, box) in enumerate(boxes):
        found += [f"{key} overlaps {other}" for other, second in boxes[k + 1 :] if box.overlaps(second)]
        if box.left < -1 or box.top < -1 or box.left + box.width > layout.width + 1 or box.top + box.height > layout.height + 1:
            found.append(f"{key} leaves the picture")
    for path in layout.paths:
        ends, name = (path.edge.source, path.edge.target), f"{path.edge.source} to {path.edge.target}"
        points = list(curve(path.points))
        found += [
            f"{name} runs through {key}" for key, box in boxes
            if key not in ends and any(inside(point, box, 1.0) for point in points)
        ]  # fmt: skip
        for end, point in zip(ends, (path.points[0], path.points[-1]), strict=True):
            if not inside(point, Box(*_of(layout.boxes[end]), 16), -2.0) and not _near(point, layout.boxes[end]):
                found.append(f"{name} does not meet {end}")
        if path.label is not None:
            found += [f"the label of {name} lies on {key}" for key, box in boxes if path.label.overlaps(box, 2.0)]
    return found


def _of(box: Box) -> tuple[float, float, float]:
    return box.x, box.y, box.width


def _near(point: Point, box: Box) -> bool:
    return inside(point, box, -3.0)

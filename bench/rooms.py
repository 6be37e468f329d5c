"""The picture of the code's rooms, docs/rooms.svg, drawn from its imports: ``python -m bench.rooms``.

A room is a package. Its modules stand in rows, each above those that it imports. Arrows point from what imports to what
is imported; one that follows from other arrows is left out, and arrows between rooms stand for all of their modules'.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable
from itertools import cycle
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OUTPUT = ROOT / "docs/rooms.svg"
ROOMS = {"app": "app.py, python -m synth", "synth.__main__": "app.py, python -m synth", "synth": "import synth"}
"""Modules outside the rooms: the app and the command line; and the package as it is imported, which names the tasks."""
COLOURS = ("#dbe7fb", "#dff3e0", "#fdeccf", "#f6dcea", "#e6e1f7", "#d9f1f2", "#f3e9dc", "#e8ecd2", "#f9dcd6")
WIDTH, GAP, PAD, LINE, BOX, LETTER = 960, 44, 12, 40, 22, 6.7
"""Pixels: the picture, between rooms, inside a room, from row to row, a module's height, and a letter's width."""

Graph = dict[str, set[str]]


def imports() -> Graph:
    """What each module of the project imports of the project, nested imports included."""
    paths = [
        ROOT / "app.py",
        *(p for part in ("synth", "training", "bench") for p in sorted((ROOT / part).rglob("*.py"))),
    ]
    names = {".".join(p.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): p for p in paths}
    graph: Graph = {}
    for name, path in names.items():
        targets = set()
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                targets |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                both = ((f"{node.module}.{alias.name}", node.module) for alias in node.names)
                targets |= {whole if whole in names else module for whole, module in both}
        graph[name] = targets & set(names) - {name}
    used = set().union(*graph.values())
    return {name: targets for name, targets in graph.items() if targets or name in used}


def room_of(name: str) -> str:
    """The room of a module: its package, a package's own module included."""
    if name in ROOMS:
        return ROOMS[name]
    if len(list((ROOT / name.replace(".", "/")).glob("*.py"))) < 2:  # a module, or a package of one
        name = name.rpartition(".")[0]
    return name.replace(".", "/") + "/"


def between_rooms(graph: Graph) -> Graph:
    """Which rooms import from which."""
    rooms: Graph = {room_of(name): set() for name in graph}
    for name, targets in graph.items():
        rooms[room_of(name)] |= {room_of(target) for target in targets} - {room_of(name)}
    return rooms


def reachable(graph: Graph, start: str) -> set[str]:
    """All that ``start`` imports, directly or not; ``start`` itself only if there is a cycle."""
    visited, open_ends = set(), list(graph[start])
    while open_ends:
        if (name := open_ends.pop()) not in visited:
            visited.add(name)
            open_ends += graph[name]
    return visited


def reduced(graph: Graph) -> Graph:
    """Without the arrows that follow from others; names that import each other count as one."""
    reach = {name: reachable(graph, name) for name in graph}
    arrows: Graph = {}
    for name in graph:
        cycle = sorted({name} | {other for other in reach[name] if name in reach[other]})
        outside = set().union(*(graph[member] for member in cycle)) - set(cycle)
        direct = {t for t in outside if not any(t in reach[via] and via not in reach[t] for via in outside - {t})}
        already = set().union(*(graph[member] for member in cycle[: cycle.index(name)]))
        arrows[name] = graph[name] & (direct - already | set(cycle))
    return arrows


def rows(graph: Graph) -> list[list[str]]:
    """From the top: everything stands above what it imports; rooms that import each other share a row."""
    reach = {name: reachable(graph, name) | {name} for name in graph}
    below = {name: {other for other in reach[name] if name not in reach[other]} for name in graph}
    heights: dict[str, int] = {}
    for name in sorted(graph, key=lambda name: len(below[name])):
        heights[name] = 1 + max((heights[other] for other in below[name]), default=-1)
    for name in graph:  # those that import each other
        heights[name] = max(heights[other] for other in reach[name] if name in reach[other])
    return [sorted(n for n in graph if heights[n] == h) for h in range(max(heights.values(), default=0), -1, -1)]


def inside(graph: Graph, room: str) -> Graph:
    names = {name for name in graph if room_of(name) == room}
    return {name: graph[name] & names for name in sorted(names)}


def label(name: str, room: str) -> str:
    return "__init__" if name == "synth" or name.replace(".", "/") + "/" == room else name.rpartition(".")[2]


class Room:
    """The boxes of one room's modules, (x, y, width) from its corner, for a width in pixels."""

    def __init__(self, graph: Graph, title: str, width: float):
        self.title, self.width, self.graph = title, width, inside(graph, title)
        self.boxes: dict[str, tuple[float, float, float]] = {}
        y = PAD + 18
        for row in rows(self.graph):
            row = sorted(row, key=lambda name: (self.above(name), name))  # fewer arrows cross
            for line in wrapped([(name, LETTER * len(label(name, title)) + 12) for name in row], width - 2 * PAD):
                x = (width - sum(w for _, w in line) - 10 * (len(line) - 1)) / 2
                for name, w in line:
                    self.boxes[name] = (x, y, w)
                    x += w + 10
                y += LINE
        self.height = y - LINE + BOX + PAD

    def above(self, name: str) -> float:
        """The middle of the modules that import ``name`` and already have their places."""
        places = [x + w / 2 for other, (x, _, w) in self.boxes.items() if name in self.graph[other]]
        return sum(places) / len(places) if places else self.width / 2

    def svg(self, x: float, y: float, colour: str) -> str:
        parts = [
            rectangle(x, y, self.width, self.height, f'rx="8" fill="{colour}"'),
            text(x + PAD, y + 20, self.title, 'font-weight="bold"'),
        ]
        for name, targets in reduced(self.graph).items():
            for target in sorted(targets):
                (a, top, w), (b, bottom, v) = self.boxes[name], self.boxes[target]
                parts.append(arrow(x + a + w / 2, y + top + BOX, x + b + v / 2, y + bottom, 1))
        for name, (a, top, w) in self.boxes.items():
            parts.append(rectangle(x + a, y + top, w, BOX, 'rx="4" fill="white" stroke="#778"'))
            parts.append(text(x + a + w / 2, y + top + 15, label(name, self.title), 'text-anchor="middle"'))
        return "\n".join(parts)


def wrapped(boxes: list[tuple[str, float]], width: float) -> Iterable[list[tuple[str, float]]]:
    """Boxes, line by line, so that each line fits ``width``."""
    line: list[tuple[str, float]] = []
    for box in boxes:
        if line and sum(w + 10 for _, w in line) + box[1] > width:
            yield line
            line = []
        line.append(box)
    yield line


def rectangle(x: float, y: float, width: float, height: float, look: str) -> str:
    return f'<rect x="{x:.0f}" y="{y:.0f}" width="{width:.0f}" height="{height:.0f}" {look}/>'


def text(x: float, y: float, words: str, look: str) -> str:
    return f'<text x="{x:.0f}" y="{y:.0f}" {look}>{words}</text>'


def arrow(x: float, y: float, to_x: float, to_y: float, thickness: float) -> str:
    return (
        f'<line x1="{x:.0f}" y1="{y:.0f}" x2="{to_x:.0f}" y2="{to_y:.0f}" stroke="#556" stroke-width="{thickness}" '
        'marker-end="url(#head)"/>'
    )


def draw(graph: Graph) -> str:
    between, placed, y = between_rooms(graph), {}, PAD
    for row in rows(between):
        counts = [len(inside(graph, title)) ** 0.5 for title in row]
        space, x, height = WIDTH - 2 * PAD - GAP * (len(row) - 1), PAD, 0
        for title, count in zip(row, counts, strict=True):
            room = Room(graph, title, space * count / sum(counts))
            placed[title] = (x, y, room)
            x += room.width + GAP
            height = max(height, room.height)
        y += height + GAP
    parts = []
    for title, targets in reduced(between).items():
        for target in sorted(targets):
            (x, top, room), (to_x, to_top, other) = placed[title], placed[target]
            start = x + room.width / 2 + (to_x - x) / 10
            if top == to_top:
                start, end = (x + room.width, to_x) if to_x > x else (x, to_x + other.width)
                height = top + (30 if abs(end - start) < GAP + 1 else 12)  # behind the rooms between them
                parts.append(arrow(start, height, end, height, 2.5))
            else:
                parts.append(arrow(start, top + room.height, to_x + other.width / 2 + (x - to_x) / 10, to_top, 2.5))
    parts += [room.svg(x, top, colour) for (x, top, room), colour in zip(placed.values(), cycle(COLOURS), strict=False)]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{y - GAP + PAD:.0f}" '
            f'viewBox="0 0 {WIDTH} {y - GAP + PAD:.0f}" font-family="monospace" font-size="11">',
            '<defs><marker id="head" markerWidth="7" markerHeight="7" refX="6" refY="3" orient="auto" '
            'markerUnits="userSpaceOnUse"><path d="M0,0 L7,3 L0,6 z" fill="#556"/></marker></defs>',
            '<rect width="100%" height="100%" fill="white"/>',
            *parts,
            "</svg>\n",
        ]
    )


def main() -> None:
    OUTPUT.write_text(draw(imports()))
    print(OUTPUT.relative_to(ROOT))


if __name__ == "__main__":
    main()

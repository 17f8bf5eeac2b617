"""Holds the floors of the house: between folders an import only goes down, and nothing is a circle.

An import inside a function counts; one under ``if TYPE_CHECKING`` does not, for it never runs.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

FLOORS = {
    "engine": [
        "contract processors",
        "output",
        "model_file",
        "registry",
        "backends",
        "self_check choice",
        "session",
        "measure",
        "quantize",
        "__init__ __main__",
    ],
    "realtime": [
        "clips faces align timing ahead head",
        "number_file",
        "population",
        "sources smooth reference habits",
        "detection capture",
        "recognise output neutral",
        "networks result",
        "pipeline",
        "reading",
        "run results many",
        "reader options logs",
        "measure web demo",
        "__init__ __main__",
    ],
    "train": [
        "errors pose plots progress",
        "files options metrics devices",
        "networks",
        "runs",
        "data",
        "datasets",
        "recipes",
        "fit",
        "evaluation export",
        "figures",
        "reproduce reference",
        "__init__ __main__",
    ],
}
"""For each part its folders and loose files, the ground floor first; a line is one floor, and those
on it do not import each other."""

ARROWS = {
    "engine": (),
    "realtime": ("engine",),
    "train": ("realtime.faces", "realtime.align", "realtime.head"),
    "gradio_app": ("engine", "realtime"),
}
"""What each part may import of the others."""


class House:
    """The Python files of some parts under `root`, and which of them each one imports.

    A file is named as Python imports it, the door of a folder as ``folder.__init__``.
    """

    def __init__(self, root: Path, parts: list[str]):
        self.paths = {
            ".".join(path.relative_to(root).with_suffix("").parts): path
            for part in parts
            for path in (*root.glob(f"{part}.py"), *sorted(root.joinpath(part).rglob("*.py")))
        }
        self.imports = {name: sorted(self._imported(name) - {name}) for name in self.paths}

    def _imported(self, name: str) -> set[str]:
        found = set()
        for node in running(ast.parse(self.paths[name].read_text())):
            if isinstance(node, ast.Import):
                found.update(self._file(alias.name) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                above = name.split(".")[: -node.level] if node.level else []
                module = ".".join([*above, *([node.module] if node.module else [])])
                for alias in node.names:
                    found.add(self._file(f"{module}.{alias.name}") or self._file(module))
        return found - {None}

    def _file(self, module: str) -> str | None:
        return next((n for n in (module, f"{module}.__init__") if n in self.paths), None)

    def pairs(self) -> Iterator[tuple[str, str]]:
        return ((name, other) for name, others in self.imports.items() for other in others)

    def without_floor(self, floors: dict[str, list[str]]) -> list[str]:
        """The files that stand in no line of `floors`."""
        return [
            f"{shown(name)} has no floor: name {room_of(name)[1]} in FLOORS"
            for name in self.paths
            if name.partition(".")[0] in floors and floor_of(name, floors) is None
        ]

    def climbs(self, floors: dict[str, list[str]]) -> list[str]:
        """The imports within a part that go up, or to another room on the same floor."""
        return [
            f"{shown(name)} imports {shown(other)}, which is on "
            f"{'a higher' if floor[0] < floor[1] else 'the same'} floor"
            for name, other in self.pairs()
            if room_of(name)[0] == room_of(other)[0]
            and room_of(name) != room_of(other)
            and None not in (floor := [floor_of(file, floors) for file in (name, other)])
            and floor[0] <= floor[1]
        ]

    def wrong_arrows(self, arrows: dict[str, tuple[str, ...]]) -> list[str]:
        """The imports of another part that `arrows` does not have."""
        return [
            f"{shown(name)} imports {shown(other)}, which is in a part it must not import"
            for name, other in self.pairs()
            if (part := name.partition(".")[0]) != other.partition(".")[0]
            and not any(f"{other}.".startswith(f"{to}.") for to in arrows[part])
        ]

    def circles(self) -> list[str]:
        """Of each part one circle of files and one of its folders, where there is one."""
        files: dict[str, dict[str, set[str]]] = {}
        rooms: dict[str, dict[str, set[str]]] = {}
        for name, other in self.pairs():
            (part, room), (other_part, other_room) = room_of(name), room_of(other)
            if part == other_part:
                files.setdefault(part, {}).setdefault(shown(name), set()).add(shown(other))
                if room != other_room:
                    ways = rooms.setdefault(part, {}).setdefault(f"{part}/{room}", set())
                    ways.add(f"{part}/{other_room}")
        return [c for graph in (*files.values(), *rooms.values()) if (c := circle_in(graph))]


def running(node: ast.AST) -> Iterator[ast.AST]:
    """`node` and all below it, without what only a type checker reads."""
    yield node
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test).split("."):
            for other in child.orelse:
                yield from running(other)
        else:
            yield from running(child)


def room_of(name: str) -> tuple[str, str]:
    """The part, and the folder or loose file in it."""
    part, _, rest = name.partition(".")
    return part, rest.partition(".")[0]


def floor_of(name: str, floors: dict[str, list[str]]) -> int | None:
    part, room = room_of(name)
    lines = enumerate(floors.get(part, []))
    return next((floor for floor, line in lines if room in line.split()), None)


def circle_in(graph: dict) -> str | None:
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        # graphlib tells who must come before whom, which is the other way round.
        return f"{' imports '.join(reversed(error.args[1]))}: a circle"
    return None


def shown(name: str) -> str:
    return f"{name.replace('.', '/')}.py"


@pytest.fixture(scope="module")
def house() -> House:
    return House(ROOT, list(ARROWS))


def told(problems: list[str]) -> str:
    return "".join(f"\n{problem}." for problem in problems)


def test_every_file_has_a_floor(house):
    assert not (problems := house.without_floor(FLOORS)), told(problems)


def test_every_line_of_the_floors_stands_for_something(house):
    rooms = {room_of(name) for name in house.paths}
    listed = {(part, room) for part in FLOORS for line in FLOORS[part] for room in line.split()}
    assert listed - rooms == set()


def test_no_import_climbs(house):
    assert not (problems := house.climbs(FLOORS)), told(problems)


def test_no_circle(house):
    assert not (problems := house.circles()), told(problems)


def test_the_parts_import_only_what_their_arrows_allow(house):
    assert not (problems := house.wrong_arrows(ARROWS)), told(problems)


MADE_UP = {"a": ["ground", "rooms", "__init__ top"]}


def built(folder: Path, files: dict[str, str]) -> House:
    doors = {"a/__init__.py": "", "a/rooms/__init__.py": "", "b/__init__.py": ""}
    for path, text in (doors | files).items():
        folder.joinpath(path).parent.mkdir(parents=True, exist_ok=True)
        folder.joinpath(path).write_text(text)
    return House(folder, ["a", "b"])


@pytest.mark.parametrize(
    "line",
    [
        "import a.top",
        "from a import top",
        "from a.top import thing",
        "from . import top",
        "from .top import thing",
        "def later():\n    from a.top import thing",
        "if TYPE_CHECKING:\n    pass\nelse:\n    import a.top",
    ],
)
def test_an_import_that_climbs_is_found(tmp_path, line):
    house = built(tmp_path, {"a/ground.py": line, "a/top.py": ""})
    assert house.climbs(MADE_UP) == ["a/ground.py imports a/top.py, which is on a higher floor"]


@pytest.mark.parametrize(
    "line",
    [
        "if TYPE_CHECKING:\n    import a.top",
        "import typing\nif typing.TYPE_CHECKING:\n    import a.top",
        "import top",
        "from b import top",
    ],
)
def test_what_does_not_climb_is_left_alone(tmp_path, line):
    house = built(tmp_path, {"a/ground.py": line, "a/top.py": "import a.ground, a.rooms.one"})
    assert house.climbs(MADE_UP) == [] and house.circles() == []


def test_an_import_along_a_floor_is_found(tmp_path):
    house = built(tmp_path, {"a/ground.py": "import a.rooms.one", "a/rooms/one.py": ""})
    assert house.climbs({"a": ["ground rooms", "__init__"]}) == [
        "a/ground.py imports a/rooms/one.py, which is on the same floor"
    ]


def test_a_folder_climbs_by_any_file_in_it(tmp_path):
    house = built(tmp_path, {"a/rooms/in/one.py": "from ...top import x", "a/top.py": ""})
    assert house.climbs(MADE_UP) == [
        "a/rooms/in/one.py imports a/top.py, which is on a higher floor"
    ]


def test_a_file_without_a_floor_is_found(tmp_path):
    house = built(tmp_path, {"a/new.py": "", "a/rooms/new.py": ""})
    assert house.without_floor(MADE_UP) == ["a/new.py has no floor: name new in FLOORS"]


def test_a_circle_within_a_folder_is_found_as_it_runs(tmp_path):
    files = {"one": "two", "two": "three", "three": "one", "four": "one"}
    house = built(
        tmp_path, {f"a/rooms/{k}.py": f"from a.rooms import {v}" for k, v in files.items()}
    )
    (circle,) = house.circles()
    names = circle.removesuffix(": a circle").split(" imports ")
    assert len(names) == 4 and names[0] == names[-1]
    assert all(files[Path(x).stem] == Path(y).stem for x, y in pairwise(names))


def test_a_door_that_lists_and_is_asked_by_what_it_lists_is_a_circle(tmp_path):
    files = {"a/rooms/__init__.py": "from a.rooms.one import ONE\nLIST = [ONE]"}
    house = built(tmp_path, files | {"a/rooms/one.py": "from a.rooms import LIST"})
    assert any("a/rooms/__init__.py" in circle for circle in house.circles())
    house = built(
        tmp_path, files | {"a/rooms/one.py": "from a.rooms import two", "a/rooms/two.py": ""}
    )
    assert house.circles() == []


def test_folders_that_import_each_other_are_a_circle_even_if_no_file_is_in_one(tmp_path):
    files = {"a/x/one.py": "import a.y.one", "a/y/one.py": "", "a/y/two.py": "import a.x.two"}
    house = built(tmp_path, files | {"a/x/two.py": ""})
    (circle,) = house.circles()
    assert circle in (
        "a/x imports a/y imports a/x: a circle",
        "a/y imports a/x imports a/y: a circle",
    )


def test_arrows_between_parts(tmp_path):
    files = {
        "a/ground.py": "from b.open import x\nimport b.openly",
        "b/open.py": "",
        "b/openly.py": "",
    }
    house = built(tmp_path, files)
    assert house.wrong_arrows({"a": ("b",), "b": ()}) == []
    assert house.wrong_arrows({"a": ("b.open",), "b": ()}) == [
        "a/ground.py imports b/openly.py, which is in a part it must not import"
    ]

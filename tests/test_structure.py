"""The layers of docs/structure.md: no package imports from a layer below it in the table."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import tuning
from tests.conftest import REPOSITORY

PACKAGE = Path(tuning.__file__).parent
PAGE = (REPOSITORY / "docs" / "structure.md").read_text()
LAYERS = {
    name: int(number)
    for number, names in re.findall(r"^\| (\d) \| ([^|]+) \|", PAGE, re.M)
    for name in re.findall(r"`(\w+)`", names)
}


def imports() -> Iterator[tuple[str, str]]:
    """The packages and top modules of `tuning` that each one's files import, wherever they do."""
    for file in PACKAGE.rglob("*.py"):
        importer = file.relative_to(PACKAGE).parts[0].removesuffix(".py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = [node.module] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            for name in names:
                parts = (name or "").split(".")
                if parts[0] == "tuning" and len(parts) > 1:
                    yield importer, parts[1]


def test_the_table_has_every_package():
    there = {path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or path.is_dir()}
    assert set(LAYERS) == {name for name in there if not name.startswith("__")} - {"py"}


def test_no_import_leads_upward():
    own = {"__init__", "__main__"}
    upward = {
        f"{importer} imports {imported}"
        for importer, imported in imports()
        if importer not in own and LAYERS[imported] > LAYERS[importer]
    }
    assert upward == set()

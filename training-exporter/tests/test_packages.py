"""Packages are small, know only what lies below them, and no two modules need each other.

Imports are read from the sources, those inside functions and those for types included.
"""

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import softcall

SOURCES = Path(softcall.__file__).parent
MOST_FILES = 16

# What the modules of a package may import, besides their own package.
ARROWS = {
    "core": (),
    "base": ("core",),
    "artifact": ("core", "base"),
    "stores": ("core", "artifact"),
    "prompt_formats": ("core", "base", "artifact", "stores"),
    "datasets": ("core", "base", "artifact"),
    "evaluation": ("core", "base", "artifact", "datasets"),
    "export.weights": ("core", "base"),
    "export.graphs": ("base", "export.weights"),
    "export": ("core", "base", "export.weights", "export.graphs"),
    "training.settings": ("core", "artifact"),
    "training.inputs": ("core", "base", "artifact", "datasets", "training.settings"),
    "training.compute": ("base", "training.settings"),
    "training.loop": (
        "core",
        "artifact",
        "evaluation",
        "training.settings",
        "training.inputs",
        "training.compute",
    ),
    "training": (
        "core",
        "base",
        "artifact",
        "stores",
        "evaluation",
        "training.settings",
        "training.inputs",
        "training.compute",
        "training.loop",
    ),
    "comparison": (
        "core",
        "base",
        "artifact",
        "stores",
        "datasets",
        "evaluation",
        "training.settings",
        "training.inputs",
        "training.compute",
        "training.loop",
        "training",
    ),
    "commands": (
        "core",
        "base",
        "artifact",
        "stores",
        "prompt_formats",
        "datasets",
        "evaluation",
        "export",
        "training.settings",
        "training",
        "comparison",
    ),
    "": ("core", "commands"),  # cli and __main__
}


def name_of(file: Path) -> str:
    """`training.loop.fit` of `training/loop/fit.py`; a package's own name of its `__init__.py`."""
    return ".".join(file.relative_to(SOURCES).with_suffix("").parts).removesuffix("__init__").rstrip(".")


MODULES = {name_of(file): file for file in sorted(SOURCES.rglob("*.py"))}
PACKAGES = sorted(name_of(file) for file in MODULES.values() if file.name == "__init__.py")


def package_of(module: str) -> str:
    """The package in whose folder a module lies."""
    return name_of(MODULES[module].parent / "__init__.py")


def imports_of(module: str) -> Iterator[str]:
    """The modules of ours that a module imports anywhere."""
    for node in ast.walk(ast.parse(MODULES[module].read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: imports are absolute"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        for name in names:
            if name.partition(".")[0] == "softcall":
                inner = name.removeprefix("softcall").lstrip(".")
                yield inner if inner in MODULES else inner.rpartition(".")[0]


IMPORTS = {module: sorted(set(imports_of(module))) for module in MODULES}


def test_every_package_has_its_arrows():
    assert sorted(ARROWS) == PACKAGES


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_imports_only_what_it_may(package):
    allowed = {package, "", *ARROWS[package]}  # the version, which is the root's, is everybody's
    strangers = [
        f"{module} imports {imported}"
        for module in MODULES
        if package_of(module) == package
        for imported in IMPORTS[module]
        if package_of(imported) not in allowed or (imported in ("cli", "__main__") and package != "")
    ]
    assert strangers == []


@pytest.mark.parametrize("package", PACKAGES)
def test_no_arrow_is_allowed_that_nothing_needs(package):
    inside = [module for module in MODULES if package_of(module) == package]
    used = {package_of(imported) for module in inside for imported in IMPORTS[module]}
    assert set(ARROWS[package]) <= used


def test_arrows_between_packages_go_one_way():
    TopologicalSorter(ARROWS).prepare()


def test_no_modules_need_each_other():
    others = {module: [name for name in names if name != module] for module, names in IMPORTS.items()}
    try:
        TopologicalSorter(others).prepare()
    except CycleError as cycle:
        pytest.fail(f"a cycle of imports: {' <- '.join(cycle.args[1])}")


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_has_few_files(package):
    files = [file for file in (SOURCES / package.replace(".", "/")).iterdir() if file.is_file()]
    assert len(files) <= MOST_FILES, sorted(file.name for file in files)

r"""Draw how the packages of ultrasam import each other, and fail where the arrows make a circle.

Imports for type checking count. Each line is a package, the modules in it, and the packages that it imports; a package
stands below everything that it needs.

Examples:
  python packaging/import_graph.py
  python packaging/import_graph.py --dot | dot -Tsvg > imports.svg
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from graphlib import CycleError, TopologicalSorter

import grimp

ROOT = 'ultrasam'


def package_of(module: str) -> str | None:
    """Return the first part below the root, or None for the root itself, which only names what lies below."""
    parts = module.split('.')
    return parts[1] if len(parts) > 1 else None


def read_arrows() -> tuple[dict[str, int], dict[str, set[str]]]:
    """Return the number of modules of each package, and the packages that it imports."""
    graph = grimp.build_graph(ROOT, exclude_type_checking_imports=False, cache_dir=None)
    sizes: dict[str, int] = defaultdict(int)
    arrows: dict[str, set[str]] = defaultdict(set)
    for module in graph.modules:
        package = package_of(module)
        if package is None:
            continue
        sizes[package] += 1
        needed = {package_of(name) for name in graph.find_modules_directly_imported_by(module)}
        arrows[package] |= {name for name in needed if name not in (None, package)}
    return dict(sizes), {package: arrows[package] for package in sizes}


def main() -> int:
    """Print the graph; 1 if there is a circle."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--dot', action='store_true', help='print a graph for Graphviz')
    args = parser.parse_args()
    sizes, arrows = read_arrows()
    if args.dot:
        edges = ''.join(f'  {a} -> {b};\n' for a in sorted(arrows) for b in sorted(arrows[a]))
        sys.stdout.write(f'digraph {ROOT} {{\n{edges}}}\n')
        return 0
    try:
        order = list(TopologicalSorter(arrows).static_order())
    except CycleError as error:
        sys.stderr.write(f'a circle of imports: {" -> ".join(error.args[1])}\n')
        return 1
    for package in order:
        count = f'{sizes[package]} module{"" if sizes[package] == 1 else "s"}'
        sys.stdout.write(f'{package:<12} {count:>11}  {", ".join(sorted(arrows[package])) or "-"}\n')
    total = sum(map(len, arrows.values()))
    sys.stdout.write(f'{len(sizes)} packages, {total} arrows, no circle\n')
    return 0


if __name__ == '__main__':
    sys.exit(main())

#!/usr/bin/env python3
"""Refuses circles of files, and arrows that run up the layers which ARCHITECTURE.md draws.

    ci/layers.py               the check
    ci/layers.py --impls       lists the `impl` blocks that stand in another file than their type
    ci/layers.py --self-test   checks that each kind of mistake is found, in small trees made for it

An arrow is a `use` line or a path in the code (`crate::a::b()`, `super::X`), in functions as well; in Python
an import. It ends at the file that defines the name, through whatever re-exports. A file takes from rows
below its own and from its own entry; lib.rs, main.rs and `__init__.py` take from all; test code is free; no
files of one crate go in a circle. Libraries and programs are read, and no tests, benches and examples of
Cargo's.

A call of a method is an arrow too if its `impl` block stands in another file than the type, and if it can be
told whose method it is: `Type::name(`, `Self::name(` and `self.name(` always; `.name(` if no other method of
the crate and of those that it uses is called so, and not everybody has one (`COMMON` in
ci/layering/rust_methods.py).

What it cannot see: other calls of methods; methods of traits, which is why a trait may stand low and its
`impl` high; fields; names that macros put together; calls of a trait's methods in the file that only shows it
(`pub use child::Trait`); modules that Python imports by a name made at run time.
"""

import argparse
import sys
from pathlib import Path

from layering.arrows import first_arrows
from layering.judge import Judge, impls_above
from layering.packages import read_trees
from layering.self_test import self_test
from layering.table import read_layers


def check(repository):
    """What is wrong in the repository, and one line about what was read."""
    layers, problems = read_layers(repository / "ARCHITECTURE.md")
    trees = read_trees(repository)
    problems += Judge(repository, trees, layers).all_problems()
    files = len(set().union(*(tree.files for tree in trees)))
    arrows = len(first_arrows(set().union(*(tree.arrows for tree in trees))))
    return problems, f"layers: {files} files, {arrows} arrows, no circle, none upward"


def list_impls(repository):
    layers, _ = read_layers(repository / "ARCHITECTURE.md")
    for line in impls_above(repository, read_trees(repository), layers):
        print(line)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--impls", action="store_true", help="list impl blocks away from their type")
    parser.add_argument("--self-test", action="store_true", help="check that mistakes are found")
    parser.add_argument("--root", type=Path, default=Path(__file__).parent.parent, help="the repository")
    options = parser.parse_args()
    repository = options.root.absolute().resolve()
    if options.self_test:
        problems, success = self_test(check)
    elif options.impls:
        return list_impls(repository)
    else:
        problems, success = check(repository)
    for problem in problems:
        print(problem, file=sys.stderr)
    if problems:
        sys.exit(f"layers: {len(problems)} problems")
    print(success)


if __name__ == "__main__":
    main()

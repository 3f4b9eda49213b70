"""The parts of `ci/layers.py`: who imports whom, and whether the arrows go down.

arrows.py        what is found: arrows between files, and circles of them
table.py         the layers that ARCHITECTURE.md draws
rust_tokens.py   Rust's text as words, without comments and test code
rust_modules.py  the modules of a crate, and what a name in them means
rust_arrows.py   the arrows of a crate: `use` lines and paths in the code
rust_methods.py  `impl` blocks away from their type, and calls of their methods
python_arrows.py the arrows of a Python package
packages.py      the crates and packages of the repository
judge.py         what is wrong, as sentences
self_test.py     small trees in which each kind of mistake must be found
"""

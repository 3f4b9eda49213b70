"""The crates and Python packages of the repository."""

import os
import tomllib
from pathlib import Path

from layering.python_arrows import read_package
from layering.rust_arrows import read_crate

# No sources of ours are in these.
SKIPPED = {"target", "node_modules", "corpus", "artifacts", "venv", "site-packages", "__pycache__", "seeds"}


def read_trees(repository):
    """Every crate and package below the folder."""
    trees, methods, later = [], {}, []
    for folder, files in folders_of(repository):
        if "Cargo.toml" in files:
            later.append((folder, tomllib.loads((folder / "Cargo.toml").read_text())))
        if "__init__.py" in files and not (folder.parent / "__init__.py").exists():
            trees.append(read_package(folder / "__init__.py"))
    for folder, manifest in in_order_of_use(later):
        others = frozenset().union(*(methods.get(name, frozenset()) for name in used_by(manifest)))
        for root in roots_of(folder, manifest):
            tree, names = read_crate(root, others)
            trees.append(tree)
            if root.name == "lib.rs":
                methods[manifest["package"]["name"]] = names
    return trees


def folders_of(repository):
    for folder, below, files in os.walk(repository):
        below[:] = sorted(name for name in below if name not in SKIPPED and not name.startswith((".", "target")))
        yield Path(folder), files


def used_by(manifest):
    return {name for part in ("dependencies", "dev-dependencies") for name in manifest.get(part, ())}


def in_order_of_use(manifests):
    """Crates after those that they use."""
    waiting = [(folder, manifest) for folder, manifest in manifests if "package" in manifest]
    names = {manifest["package"]["name"] for _, manifest in waiting}
    done, ordered = set(), []
    while waiting:
        ready = [one for one in waiting if not (used_by(one[1]) & names) - done - {one[1]["package"]["name"]}]
        ready = ready or waiting[:1]
        ordered += ready
        done |= {manifest["package"]["name"] for _, manifest in ready}
        waiting = [one for one in waiting if one not in ready]
    return ordered


def roots_of(folder, manifest):
    """The root files of a crate's library and programs."""
    roots = [folder / "src/lib.rs", folder / "src/main.rs"]
    roots += [folder / one["path"] for one in manifest.get("bin", ()) if "path" in one]
    if "path" in manifest.get("lib", {}):
        roots.append(folder / manifest["lib"]["path"])
    roots += sorted((folder / "src/bin").glob("*.rs")) + sorted((folder / "src/bin").glob("*/main.rs"))
    return [root for root in dict.fromkeys(roots) if root.is_file()]

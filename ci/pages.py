#!/usr/bin/env python3
"""Which pages of the reference have no example of their own: ci/pages.py DIRECTORY

DIRECTORY is what `cargo doc` made of a crate: `target/doc/slipring`. Each page of a type, a trait, a function or a
macro needs an example in the text at its top. Those of its methods do not count. Fails if a page has none, or if there
are too few pages for a crate's reference. It knows an example by a class name that rustdoc writes.
"""

import re
import sys
from pathlib import Path

PAGE = re.compile(r"(struct|enum|union|trait|traitalias|fn|type|macro|attr|derive)\.\w+\.html")
TOP = re.compile(r'<details class="toggle top-doc"[^>]*>(.*?)</details>', re.DOTALL)
REDIRECTION = "<title>Redirection</title>"
EXAMPLE = "rust-example-rendered"
# So many there are at least, or this has looked at something else.
LEAST = 100


def has_example(text):
    top = TOP.search(text)
    return bool(top) and EXAMPLE in top[1]


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    root = Path(sys.argv[1])
    files = sorted(path for path in root.rglob("*.html") if PAGE.fullmatch(path.name))
    texts = {path: path.read_text(encoding="utf-8") for path in files}
    pages = {path: text for path, text in texts.items() if REDIRECTION not in text}
    without = [path.relative_to(root) for path, text in pages.items() if not has_example(text)]
    for path in without:
        print(f"no example: {path}")
    print(f"{len(pages)} pages, {len(without)} without an example")
    if without or len(pages) < LEAST:
        sys.exit(1)


if __name__ == "__main__":
    main()

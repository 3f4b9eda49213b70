"""Small trees in which each kind of mistake must be found, and a clean one in which there must be none."""

import tempfile
from pathlib import Path

PICTURE = """
```layers demo/src
error          the one error type
low, beside    two that do not know each other
high           what users name
```

```layers package
base           the bottom
top            the top
```
"""

# Every kind of arrow that is allowed, and test code, comments and strings that look like those that are not.
CLEAN = {
    "ARCHITECTURE.md": PICTURE,
    "demo/Cargo.toml": '[package]\nname = "demo"\n',
    "demo/src/lib.rs": "mod error;\nmod low;\nmod beside;\nmod high;\npub use high::High;\nfn all() { low::work(); }\n",
    "demo/src/error.rs": """
        //! Not code: `crate::high::High`.
        pub struct Error;
        macro_rules! fail { () => { $crate::error::Error } }
        pub(crate) use fail;
        const TEXT: &str = "crate::high::High /* \\" */";
        const RAW: &str = r#"use crate::high::High; " "#;
        const MARK: char = '"';
        /* use crate::high::High; /* nested */ use crate::high::High; */
        #[cfg(test)]
        mod tests { use crate::high::High; }
        #[cfg(all(test, not(loom)))]
        use crate::high::High;
        pub struct Words<'a> { a: &'a u8, #[cfg(test)] spy: crate::high::High, b: u8 }
    """,
    "demo/src/low/mod.rs": "mod part;\npub mod other;\npub use part::Part;\npub fn work() {}\n",
    "demo/src/low/part.rs": "use super::other::Other;\npub struct Part(Other);\nimpl Part { pub fn shine(&self) {} }\n",
    "demo/src/low/other.rs": "use crate::error::{Error, fail};\npub struct Other(Error);\nfn f() { fail!(); }\n",
    "demo/src/beside.rs": "pub struct Beside;\n#[cfg(test)]\nmod tests;\n",
    "demo/src/beside/tests.rs": "use crate::high::High;\n",
    "demo/src/high.rs": """
        use crate::{error::Error, low::{self, Part}, beside::*};
        pub struct High(Part);
        impl High { pub fn fly(&self) { low::work() } }
        impl Part { pub fn polish(&self) -> Error { self.shine(); Error } pub fn make() {} }
    """,
    "package/__init__.py": "from package.top import Top\nfrom .base import Base\n__version__ = 1\n",
    "package/base.py": "import typing\nif typing.TYPE_CHECKING:\n    from package import Top\nclass Base: pass\n",
    "package/__main__.py": "import package\nprint(package.__version__)\n",
    "package/top.py": "import package\nfrom package import Base\nclass Top(package.base.Base): pass\n",
}

# What is changed in the clean tree, and a piece of the complaint that must come of it. Nothing else may be reported.
MISTAKES = {
    "a circle of two files": (
        {"demo/src/low/other.rs": "use super::part::Part;\npub struct Other;\n"},
        ["a circle of 2 files", "low/other.rs:1: takes super::part::Part from demo/src/low/part.rs"],
    ),
    "a circle through a re-export": (
        {"demo/src/low/other.rs": "use crate::low::Part;\npub struct Other;\n"},
        ["a circle of 2 files", "low/other.rs:1: takes crate::low::Part from demo/src/low/part.rs"],
    ),
    "a circle of a child and its parent": (
        {
            "demo/src/low/mod.rs": CLEAN["demo/src/low/mod.rs"] + "fn f() -> Part { todo!() }\n",
            "demo/src/low/other.rs": "pub struct Other;\nfn f() { super::work() }\n",
        },
        ["a circle of 3 files", "low/mod.rs:5: takes Part", "low/other.rs:2: takes super::work"],
    ),
    "an arrow upward by use": (
        {"demo/src/error.rs": "fn f() {\n    use crate::high::High as Other;\n}\n" + CLEAN["demo/src/error.rs"]},
        ["demo/src/error.rs:2: upward: takes crate::high::High from demo/src/high.rs", "1 places"],
    ),
    "an arrow upward by a path": (
        {"demo/src/beside.rs": "pub struct Beside;\nfn f<T>() -> Vec<T> {\n    crate::high::High::new(&1.0, 'a')\n}\n"},
        ["demo/src/beside.rs:3: upward: takes crate::high::High::new from demo/src/high.rs", "1 places"],
    ),
    "an arrow upward behind test code": (
        {"demo/src/beside.rs": "pub struct Beside;\n#[cfg(test)]\nuse std::mem;\nuse crate::high::High;\n"},
        ["demo/src/beside.rs:4: upward: takes crate::high::High from demo/src/high.rs", "1 places"],
    ),
    "an arrow upward through a module that a function imports": (
        {"demo/src/beside.rs": "pub struct Beside;\nfn f() {\n    use crate::high;\n    high::High::fly()\n}\n"},
        ["demo/src/beside.rs:4: upward: takes high::High::fly from demo/src/high.rs", "1 places"],
    ),
    "arrows upward by a glob": (
        {"demo/src/beside.rs": "pub struct Beside;\nuse crate::high::*;\nfn f(_: High) {}\n"},
        [
            "demo/src/beside.rs:2: upward: takes crate::high::* from demo/src/high.rs",
            "demo/src/beside.rs:3: upward: takes High from demo/src/high.rs",
            "2 places",
        ],
    ),
    "an arrow to another entry of the row": (
        {"demo/src/beside.rs": "pub struct Beside;\npub use crate::low::Part;\n"},
        ["demo/src/beside.rs:2: upward: takes crate::low::Part from demo/src/low/part.rs", "1 places"],
    ),
    "an arrow to the root": (
        {"demo/src/beside.rs": "pub struct Beside;\nfn f() { crate::all() }\n"},
        ["demo/src/beside.rs:2: upward: takes crate::all from demo/src/lib.rs", "1 places"],
    ),
    "a macro from above": (
        {
            "demo/src/high.rs": CLEAN["demo/src/high.rs"] + "#[macro_export]\nmacro_rules! tower { () => {} }\n",
            "demo/src/beside.rs": "pub struct Beside;\nfn f() { tower!(); }\n",
        },
        ["demo/src/beside.rs:2: upward: takes tower from demo/src/high.rs", "1 places"],
    ),
    "calls up through an impl block": (
        {
            "demo/src/low/part.rs": CLEAN["demo/src/low/part.rs"]
            + "impl Part {\n  fn f(&self) { Self::make() }\n}\nfn g(part: &Part) {\n  part.polish()\n}\n",
        },
        [
            "low/part.rs:5: upward: takes Part::make from demo/src/high.rs",
            "low/part.rs:8: upward: takes .polish() from demo/src/high.rs",
            "2 places",
        ],
    ),
    "an entry in no row": (
        {"demo/src/extra.rs": "pub struct Extra;\n", "demo/src/lib.rs": CLEAN["demo/src/lib.rs"] + "mod extra;\n"},
        ["demo/src/extra stands in no row"],
    ),
    "a row without its entry": (
        {"ARCHITECTURE.md": PICTURE.replace("error  ", "terror ")},
        ["demo/src/error stands in no row", "demo/src/terror does not exist"],
    ),
    "a row that says nothing": (
        {"ARCHITECTURE.md": PICTURE.replace("high           what users name", "high")},
        ["not a row of layers", "demo/src/high stands in no row"],
    ),
    "a Python circle by an import in a function": (
        {
            "package/base.py": "class Base: pass\ndef f():\n    from package import Top\n",
            "ARCHITECTURE.md": PICTURE.replace("package\n", "demo/no\n"),
        },
        ["demo/no has no lib.rs", "a circle of 2 files", "package/base.py:3: takes package.Top from package/top.py"],
    ),
    "a Python arrow upward": (
        {"package/base.py": "import package\nclass Base: pass\ndef f():\n    return package.top.Top()\n"},
        ["package/base.py:4: upward: takes package.top.Top from package/top.py", "1 places"],
    ),
    "no layers": ({"ARCHITECTURE.md": "# Nothing\n"}, ["no block ```layers FOLDER"]),
    "no arrows": (
        dict.fromkeys((file for file in CLEAN if file.endswith((".rs", ".py"))), ""),
        ["no arrows found in any file", "demo/src: no arrows found", "package: no arrows found"],
    ),
    "a module without a file": (
        {"demo/src/lib.rs": CLEAN["demo/src/lib.rs"] + "mod lost;\n"},
        ["lib.rs:7: `mod lost;` has no file"],
    ),
}


def self_test(check):
    """Runs `check` on each tree. Answers with what went wrong, and a line for the case that nothing did."""
    problems = [f"self-test: the clean tree: {problem}" for problem in found_in(check, {})]
    empty = run_in(check, {"ARCHITECTURE.md": PICTURE})
    if not any("no files found" in problem for problem in empty):
        problems.append(f"self-test: a tree without files: not reported: {empty}")
    for name, (changes, expected) in MISTAKES.items():
        found = found_in(check, changes)
        missing = [piece for piece in expected if not any(piece in problem for problem in found)]
        more = [problem for problem in found if not any(piece in problem for piece in expected)]
        problems += [f"self-test: {name}: not reported: {piece}" for piece in missing]
        problems += [f"self-test: {name}: wrongly reported: {problem}" for problem in more]
    return problems, f"layers: self-test: {len(MISTAKES) + 1} mistakes found, a clean tree passed"


def found_in(check, changes):
    return run_in(check, CLEAN | changes)


def run_in(check, files):
    """What `check` says of a tree of these files."""
    with tempfile.TemporaryDirectory() as folder:
        for name, text in files.items():
            file = Path(folder).resolve() / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        return check(Path(folder).resolve())[0]

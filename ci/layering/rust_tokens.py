"""Rust's text as a list of (word, line), without comments, doc comments and test code."""

import re

TOKEN = re.compile(
    r"""(?P<skip>[^\S\n]+|//[^\n]*)
      | (?P<newline>\n)
      | (?P<block>/\*)
      | (?P<raw>(?:br|cr|r)(?P<hashes>\#*)"(?P<content>.*?)"(?P=hashes))
      | (?P<string>[bc]?"(?:\\.|[^"\\])*")
      | (?P<char>b?'(?:\\(?:u\{[^}]*\}|x..|.)|[^\\'\n])')
      | (?P<word>(?:r\#)?[A-Za-z_]\w*)
      | (?P<other>'\w+|\d\w*(?:\.\d\w*)?|::|->|=>|[!=<>]=|\.\.[.=]?|.)""",
    re.VERBOSE | re.DOTALL,
)
OPEN, CLOSE = set("([{"), set(")]}")
# Items that end at a semicolon, whatever braces they have before it.
TO_SEMICOLON = {"use", "static", "type", "let", "extern"}
ITEMS = {
    "fn",
    "mod",
    "struct",
    "enum",
    "union",
    "trait",
    "impl",
    "macro_rules",
    "unsafe",
    "async",
    "const",
} | TO_SEMICOLON


def tokens_of(text):
    """The words of `text`. A string is one word that begins with a quotation mark."""
    found, at, line = [], 0, 1
    while at < len(text):
        match = TOKEN.match(text, at)
        kind, start, at = match.lastgroup, line, match.end()
        if kind == "skip":
            continue
        if kind == "newline":
            line += 1
        elif kind == "block":
            end = end_of_comment(text, at)
            line += text.count("\n", at, end)
            at = end
        elif kind == "word":
            found.append((match["word"].removeprefix("r#"), start))
        elif kind == "other":
            found.append((match["other"], start))
        elif kind == "char":
            found.append(("' '", start))
        else:
            line += match[0].count("\n")
            content = match["content"] if match["raw"] else match[0].lstrip("bc")[1:-1]
            found.append((f'"{content}"', start))
    return found


def end_of_comment(text, at):
    """Where the block comment ends whose first `/*` ends at `at`. They nest."""
    depth = 1
    for mark in re.compile(r"/\*|\*/").finditer(text, at):
        depth += 1 if mark[0] == "/*" else -1
        if depth == 0:
            return mark.end()
    return len(text)


def closing(tokens, at):
    """The index of the bracket that closes the one at `at`."""
    depth = 0
    for i in range(at, len(tokens)):
        word = tokens[i][0]
        if word in OPEN:
            depth += 1
        elif word in CLOSE:
            depth -= 1
            if depth == 0:
                return i
    return len(tokens) - 1


def after_generics(tokens, at):
    """The index behind `<…>`, if one begins at `at`."""
    if at >= len(tokens) or tokens[at][0] != "<":
        return at
    depth = 0
    for i in range(at, len(tokens)):
        word = tokens[i][0]
        depth += {"<": 1, ">": -1}.get(word, 0)
        if depth == 0:
            return i + 1
    return len(tokens)


def without_tests(tokens):
    """The tokens without items, fields and statements that only a test build has; and the names of such modules."""
    kept, test_modules, i = [], set(), 0
    while i < len(tokens):
        if tokens[i][0] == "#" and i + 1 < len(tokens) and tokens[i + 1][0] == "[":
            end = closing(tokens, i + 1)
            if is_test_only(tokens[i + 2 : end]):
                start = end + 1
                while start + 1 < len(tokens) and tokens[start][0] == "#" and tokens[start + 1][0] == "[":
                    start = closing(tokens, start + 1) + 1
                i, word = end_of_item(tokens, start)
                if word:
                    test_modules.add(word)
                continue
            kept.extend(tokens[i : end + 1])
            i = end + 1
            continue
        kept.append(tokens[i])
        i += 1
    return kept, test_modules


def is_test_only(attribute):
    words = [word for word, _ in attribute]
    if words == ["test"]:
        return True
    return words[:2] == ["cfg", "("] and not can_hold(words[2:-1])


def can_hold(words):
    """Whether this condition of `cfg` can hold in a build without tests. All but `test` may be either way."""
    if words == ["test"]:
        return False
    if words[:2] in (["any", "("], ["all", "("]):
        parts = [can_hold(part) for part in split_at_commas(words[2:-1])]
        return any(parts) if words[0] == "any" else all(parts)
    return True


def split_at_commas(words):
    parts, depth = [[]], 0
    for word in words:
        depth += (word in OPEN) - (word in CLOSE)
        if word == "," and depth == 0:
            parts.append([])
        else:
            parts[-1].append(word)
    return [part for part in parts if part]


def end_of_item(tokens, at):
    """The index behind the item, field or statement at `at`; and the name, if it is a module."""
    start = at
    if tokens[at][0] == "pub":
        at += 1
        if tokens[at][0] == "(":
            at = closing(tokens, at) + 1
    word = tokens[at][0]
    is_item = word in ITEMS
    to_semicolon = word in TO_SEMICOLON or (word == "const" and tokens[at + 1][0] not in ("fn", "unsafe"))
    module = tokens[at + 1][0] if word == "mod" else None
    i = start
    while i < len(tokens):
        word = tokens[i][0]
        if word == ";" or (word == "," and not is_item):
            return i + 1, module
        if word in CLOSE:
            return i, module
        if word in OPEN:
            i = closing(tokens, i)
            if word == "{" and not to_semicolon:
                return i + 1, module
        i += 1
    return i, module

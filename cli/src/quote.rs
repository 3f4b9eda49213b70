//! How what others wrote is shown. A name, a path or the name of a program may have bytes in it that a terminal obeys: they
//! move its cursor, erase what stands there, or turn the text around.

use std::borrow::Cow;
use std::fmt::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// A name or a word as a shell takes it: as it is where that is safe, or in quotes: `'two words'`, `$'\x1b[2J'`.
pub fn word(text: &str) -> Cow<'_, str> {
    if !text.is_empty() && text.chars().all(|c| c.is_alphanumeric() || "-_.:@%+=,/".contains(c)) {
        return Cow::Borrowed(text);
    }
    if text.chars().all(|c| is_shown(c) && c != '\'' && c != '\\') {
        return Cow::Owned(format!("'{text}'"));
    }
    let mut quoted = "$'".to_owned();
    text.chars().for_each(|c| escape(c, &mut quoted));
    quoted.push('\'');
    Cow::Owned(quoted)
}

/// A path, likewise; it may have bytes that are no text.
pub fn path(path: &Path) -> Cow<'_, str> {
    let bytes = path.as_os_str().as_bytes();
    if let Ok(text) = str::from_utf8(bytes) {
        return word(text);
    }
    let mut quoted = "$'".to_owned();
    for chunk in bytes.utf8_chunks() {
        chunk.valid().chars().for_each(|c| escape(c, &mut quoted));
        escape_bytes(chunk.invalid(), &mut quoted);
    }
    quoted.push('\'');
    Cow::Owned(quoted)
}

/// Sentences and tables with nothing in them that a terminal obeys, but for the ends of lines.
pub fn text(text: &str) -> Cow<'_, str> {
    replaced(text, |c, out| {
        let _ = write!(out, "{}", c.escape_debug());
    })
}

/// JSON that says the same, with nothing in it that a terminal obeys. Such characters stand in strings only.
pub fn json(text: &str) -> Cow<'_, str> {
    replaced(text, |c, out| {
        for unit in c.encode_utf16(&mut [0; 2]) {
            let _ = write!(out, "\\u{unit:04x}");
        }
    })
}

fn replaced(text: &str, escape: impl Fn(char, &mut String)) -> Cow<'_, str> {
    let is_safe = |c| is_shown(c) || c == '\n';
    if text.chars().all(is_safe) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    text.chars().for_each(|c| if is_safe(c) { out.push(c) } else { escape(c, &mut out) });
    Cow::Owned(out)
}

/// Whether a terminal shows this and does nothing else: no control character, no mark of direction, nothing invisible.
fn is_shown(c: char) -> bool {
    // An accent counts as shown behind a letter, and the standard library escapes what is not.
    matches!(c, '\'' | '"' | '\\') || format!("a{c}").escape_debug().count() == 2
}

fn escape(c: char, out: &mut String) {
    match c {
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        '\'' | '\\' => out.extend(['\\', c]),
        c if is_shown(c) => out.push(c),
        c => escape_bytes(c.encode_utf8(&mut [0; 4]).as_bytes(), out),
    }
}

fn escape_bytes(bytes: &[u8], out: &mut String) {
    for byte in bytes {
        let _ = write!(out, "\\x{byte:02x}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsStr;

    #[test]
    fn a_word_is_quoted_only_where_it_must_be() {
        for plain in ["jobs", "a-b_c.d:e", "größe", "/dev/shm/x"] {
            assert_eq!(word(plain), plain);
        }
        assert_eq!(word(""), "''");
        assert_eq!(word("two words"), "'two words'");
        assert_eq!(word("$(reboot)"), "'$(reboot)'");
        assert_eq!(word("it's"), r"$'it\'s'");
        assert_eq!(word("\x1b]0;x\x07\r\n"), r"$'\x1b]0;x\x07\r\n'");
        assert_eq!(word("a\u{202e}b\u{9b}"), r"$'a\xe2\x80\xaeb\xc2\x9b'");
        assert_eq!(word("e\u{301} and हिन्दी"), "'e\u{301} and हिन्दी'", "accents are letters");
    }

    #[test]
    fn a_path_keeps_its_bytes() {
        let bytes = |bytes: &'static [u8]| Path::new(OsStr::from_bytes(bytes));
        assert_eq!(path(bytes(b"/tmp/a b")), "'/tmp/a b'");
        assert_eq!(path(bytes(b"\xff\x1b'")), r"$'\xff\x1b\''");
    }

    #[test]
    fn sentences_keep_their_lines_and_json_its_meaning() {
        assert_eq!(text("one\ntwo \"three\""), "one\ntwo \"three\"");
        assert_eq!(text("\x1b[2J\r\u{202e}"), "\\u{1b}[2J\\r\\u{202e}");
        let name = "\u{7f}\u{9b}\u{202e}\u{e0001}";
        let escaped = serde_json::to_string(name).unwrap();
        let escaped = json(&escaped);
        assert!(escaped.is_ascii(), "{escaped}");
        assert_eq!(serde_json::from_str::<String>(&escaped).unwrap(), name);
    }
}

//! What `ls`, `inspect` and `top` show of a named object, in the form in which they show it.

use serde::Serialize;
use slipring::observe::{ObjectSeen, Observer, Seen};
use unicode_width::UnicodeWidthStr;

/// A named object, or why it cannot be seen.
#[derive(Serialize)]
pub struct Entry {
    pub name: String,
    #[serde(flatten)]
    pub what: What,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    Error(String),
    #[serde(untagged)]
    Seen(Box<Summary>),
}

/// One line about it.
#[derive(Serialize, Clone)]
pub struct Summary {
    pub kind: &'static str,
    pub state: String,
    /// Messages in it.
    pub depth: Option<u64>,
    /// The most that it holds.
    pub capacity: Option<u64>,
    /// Messages that were ever sent.
    pub sent: Option<u64>,
    /// Processes that have a handle: senders of a queue, everybody of a lock.
    pub first: usize,
    /// Receivers of a queue.
    pub second: usize,
    /// Threads that sleep on it, where this user may know.
    pub waiting: usize,
    /// Who holds something of it, by process id.
    pub holders: Vec<u32>,
    /// Participants that are dead, and that nobody cleaned up after yet.
    pub dead: usize,
    /// Bytes of memory.
    pub memory: u64,
    pub uid: u32,
    /// Permission bits.
    pub mode: u32,
    pub persists: bool,
}

/// Looks at what has this name.
pub fn look(name: &str) -> Entry {
    let what = match Observer::open(name) {
        Ok(observer) => summary(&observer.look()),
        Err(error) => What::Error(error.to_string()),
    };
    Entry { name: name.to_owned(), what }
}

/// One line about what was seen.
pub fn summary(seen: &Seen) -> What {
    let Some(root) = seen.objects.iter().find(|object| object.is_root) else {
        return What::Error("it has ended: whoever opens it finds nothing".to_owned());
    };
    let at = seen.objects.iter().position(|object| object.is_root);
    What::Seen(Box::new(Summary {
        kind: root.kind,
        state: root.state.clone(),
        depth: root.depth,
        capacity: root.capacity,
        sent: root.sent,
        first: root.first.len(),
        second: root.second.len(),
        waiting: seen.waiting.iter().filter(|waiting| Some(waiting.object) == at).count(),
        holders: holders(seen, root),
        dead: seen.participants.iter().filter(|participant| participant.is_dead).count(),
        memory: seen.memory.committed,
        uid: seen.uid,
        mode: seen.mode,
        persists: seen.persists,
    }))
}

fn holders(seen: &Seen, object: &ObjectSeen) -> Vec<u32> {
    let held = object.held.iter().filter_map(|held| held.participant);
    held.filter_map(|at| seen.participants.get(at)).map(|participant| participant.pid).collect()
}

/// "3 of 100", "3".
pub fn depth(depth: Option<u64>, capacity: Option<u64>) -> String {
    match (depth, capacity) {
        (Some(depth), Some(capacity)) => format!("{depth} of {capacity}"),
        (Some(depth), None) => depth.to_string(),
        (None, _) => "-".to_owned(),
    }
}

/// Bytes in the unit that makes the number short.
pub fn bytes(bytes: u64) -> String {
    let units = [("GiB", 1_u64 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    match units.into_iter().find(|(_, unit)| bytes >= *unit) {
        Some((name, unit)) => format!("{:.1} {name}", bytes as f64 / unit as f64),
        None => format!("{bytes} B"),
    }
}

/// One line of a table.
pub struct Row {
    cells: Vec<String>,
    /// Stands behind the cells, as long as it is.
    rest: String,
}

impl Row {
    /// The first cells, and instead of the others a text, which widens no column.
    pub fn with_text(cells: Vec<String>, rest: String) -> Self {
        Self { cells, rest }
    }
}

impl From<Vec<String>> for Row {
    fn from(cells: Vec<String>) -> Self {
        Self { cells, rest: String::new() }
    }
}

/// A cell that is longer shifts its own row and no other.
const WIDEST: usize = 40;

/// Rows of text under a heading, each column as wide as it must be.
pub fn table(heading: &[&str], rows: &[Row]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.cells.get(column));
        let widths = cells.map(|cell| cell.width()).filter(|width| *width <= WIDEST);
        widths.chain([heading[column].width()]).max().unwrap_or(0)
    };
    let widths: Vec<_> = (0..heading.len()).map(width).collect();
    let heading = heading.iter().map(|&cell| cell.to_owned()).collect::<Vec<_>>().into();
    let line = |row: &Row| {
        let cells = row.cells.iter().zip(&widths).map(|(cell, width)| padded(cell, *width) + "  ");
        (cells.collect::<String>() + &row.rest).trim_end().to_owned() + "\n"
    };
    std::iter::once(&heading).chain(rows).map(line).collect()
}

/// The text and so many spaces that it takes `width` columns of a terminal.
pub fn padded(text: &str, width: usize) -> String {
    text.to_owned() + &" ".repeat(width.saturating_sub(text.width()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_shown_in_short() {
        assert_eq!((bytes(5), bytes(1 << 20)), ("5 B".into(), "1.0 MiB".into()));
        assert_eq!((bytes(1536), bytes(5 << 30)), ("1.5 KiB".into(), "5.0 GiB".into()));
        assert_eq!(depth(Some(1), Some(9)), "1 of 9");
        assert_eq!((depth(Some(1), None), depth(None, None)), ("1".into(), "-".into()));
    }

    #[test]
    fn columns_stand_under_their_headings() {
        let rows =
            [vec!["jobs".to_owned(), "1".into()].into(), vec!["a".into(), "22".into()].into()];
        assert_eq!(table(&["NAME", "N"], &rows), "NAME  N\njobs  1\na     22\n");
        assert_eq!(table(&["NAME"], &[]), "NAME\n");
    }

    #[test]
    fn a_long_text_widens_no_column_and_wide_letters_count_twice() {
        let (long, why) = ("x".repeat(41), "a long sentence".to_owned());
        let rows = [
            Row::from(vec!["作业".to_owned(), "1".into()]),
            Row::with_text(vec!["a".to_owned()], why),
            Row::from(vec![long.clone(), "2".into()]),
        ];
        let shown = format!("NAME  N\n作业  1\na     a long sentence\n{long}  2\n");
        assert_eq!(table(&["NAME", "N"], &rows), shown);
    }
}

//! The lines of the picture, in a terminal of any width.
//!
//! Each column is as wide as what stands in it. Where there is no room for all, the columns that matter least are left out, and
//! names and holders share what is left.

use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::quote;
use crate::seen::{self, Summary, What, padded};

/// One line: what is to be seen now, and what has changed since the last look.
pub struct Item {
    pub name: String,
    pub what: What,
    /// Messages per second, sent and taken.
    pub rates: Option<(f64, f64)>,
}

impl Item {
    /// What is to be seen, if it is not an error.
    pub fn summary(&self) -> Option<&Summary> {
        match &self.what {
            What::Seen(summary) => Some(summary),
            What::Error(_) => None,
        }
    }
}

const NAME: usize = 0;
const DEPTH: usize = 3;
const HOLDERS: usize = 8;
const HEADING: [&str; 9] =
    ["NAME", "KIND", "FULL", "DEPTH", "SENT/s", "TAKEN/s", "USERS", "WAIT", "HOLDERS"];
/// In this order columns are left out, after those that have nothing in them. The name never is.
const LEFT_OUT: [usize; 8] = [2, 6, 1, 5, 4, 7, DEPTH, HOLDERS];
/// Between two columns.
const GAP: usize = 2;

/// The heading and a line for each item, at most `width` columns wide.
pub fn lines(items: &[Item], width: usize) -> Vec<Line<'static>> {
    let rows: Vec<_> = items.iter().map(cells).collect();
    let columns = fit(&rows, width);
    let heading = columns.iter().map(|(at, width)| cut(HEADING[*at], *width));
    let heading = padded(&heading.collect::<Vec<_>>().join("  "), width);
    let heading = Line::styled(heading, Style::new().add_modifier(Modifier::REVERSED));
    let rows = items.iter().zip(&rows).map(|(item, cells)| line(item, cells, &columns, width));
    std::iter::once(heading).chain(rows).collect()
}

fn line(
    item: &Item,
    cells: &[String; 9],
    columns: &[(usize, usize)],
    width: usize,
) -> Line<'static> {
    let red = Style::new().fg(Color::Red);
    if let What::Error(error) = &item.what {
        let name = cut(&cells[NAME], columns[0].1);
        let room = width.saturating_sub(name.width() + 2 * GAP + 1);
        let why = cut(&quote::text(&error.replace('\n', " ")), room).trim_end().to_owned();
        return Line::from(vec![
            Span::raw(name + "  "),
            Span::styled("?", red),
            Span::raw(format!("  {why}")),
        ]);
    }
    let has_dead = item.summary().is_some_and(|summary| summary.dead > 0);
    let span = |&(at, width): &(usize, usize)| {
        let text = cut(&cells[at], width) + "  ";
        if at == HOLDERS && has_dead { Span::styled(text, red) } else { Span::raw(text) }
    };
    columns.iter().map(span).collect()
}

/// Which columns there is room for, and how wide they are.
fn fit(rows: &[[String; 9]], width: usize) -> Vec<(usize, usize)> {
    let needed = |at: usize| {
        let cells = rows.iter().map(|row| row[at].width());
        cells.chain([HEADING[at].width()]).max().unwrap_or(0)
    };
    let needed: [usize; 9] = std::array::from_fn(needed);
    let mut widths = needed;
    widths[NAME] = needed[NAME].min((width / 4).max(10));
    widths[HOLDERS] = needed[HOLDERS].min(8);
    let matters = |at: &usize| {
        [NAME, DEPTH, HOLDERS].contains(at) || rows.iter().any(|row| !row[*at].is_empty())
    };
    let mut shown: Vec<_> = (0..HEADING.len()).filter(matters).collect();
    let taken = |shown: &[usize], widths: &[usize; 9]| {
        shown.iter().map(|at| widths[*at]).sum::<usize>() + GAP * (shown.len() - 1)
    };
    for at in LEFT_OUT {
        if taken(&shown, &widths) <= width {
            break;
        }
        shown.retain(|column| *column != at);
    }
    widths[NAME] = widths[NAME].min(width);
    // Each gets half of what is left over, and what the other does not need.
    for part in [2, 1, 1] {
        for at in [NAME, HOLDERS] {
            let left = width.saturating_sub(taken(&shown, &widths));
            if shown.contains(&at) {
                widths[at] += (needed[at] - widths[at].min(needed[at])).min(left / part);
            }
        }
    }
    shown.into_iter().map(|at| (at, widths[at])).collect()
}

/// The text in exactly `width` columns: padded, or cut with a mark at its end.
fn cut(text: &str, width: usize) -> String {
    if text.width() <= width {
        return padded(text, width);
    }
    let mut left = width.saturating_sub(1);
    let fits = |c: &char| {
        let wide = c.width().unwrap_or(0);
        let fits = wide <= left;
        left = left.saturating_sub(wide);
        fits
    };
    let short: String = text.chars().take_while(fits).collect();
    padded(&(short + "…"), width)
}

fn cells(item: &Item) -> [String; 9] {
    let name = quote::word(&item.name).into_owned();
    let Some(of) = item.summary() else {
        // Why is not in columns.
        return std::array::from_fn(|at| if at == NAME { name.clone() } else { String::new() });
    };
    let rate = |value: Option<f64>| value.map_or_else(String::new, short);
    let full = match (of.depth, of.capacity) {
        (Some(depth), Some(capacity)) if capacity > 0 => bar(depth as f64 / capacity as f64),
        _ => String::new(),
    };
    let is_queue = of.depth.is_some();
    let users = if is_queue { format!("{}+{}", of.first, of.second) } else { of.first.to_string() };
    let depth = if is_queue { seen::depth(of.depth, of.capacity) } else { of.state.clone() };
    let dead = (of.dead > 0).then(|| format!("({} dead)", of.dead));
    let holders = of.holders.iter().map(u32::to_string).chain(dead);
    [
        name,
        of.kind.to_owned(),
        full,
        depth,
        rate(item.rates.map(|rates| rates.0)),
        rate(item.rates.map(|rates| rates.1)),
        users,
        of.waiting.to_string(),
        holders.collect::<Vec<_>>().join(" "),
    ]
}

/// Eight places, as full as the part says.
fn bar(part: f64) -> String {
    let full = (part.clamp(0.0, 1.0) * 8.0).round() as usize;
    format!("{}{}", "█".repeat(full), "░".repeat(8 - full))
}

/// A number in at most six characters.
fn short(value: f64) -> String {
    match value {
        v if v >= 1e9 => format!("{:.1}G", v / 1e9),
        v if v >= 1e6 => format!("{:.1}M", v / 1e6),
        v if v >= 1e4 => format!("{:.1}k", v / 1e3),
        v => format!("{v:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        assert_eq!((short(0.0), short(9999.0)), ("0".into(), "9999".into()));
        assert_eq!((short(12_345.0), short(2.5e6)), ("12.3k".into(), "2.5M".into()));
        assert_eq!((bar(0.5), bar(7.0)), ("████░░░░".into(), "████████".into()));
    }

    #[test]
    fn what_is_cut_says_so_and_takes_its_columns_exactly() {
        assert_eq!((cut("jobs", 6), cut("results", 5)), ("jobs  ".into(), "resu…".into()));
        assert_eq!(cut("作业作业", 6), "作业… ", "letters may be two columns wide");
        for width in 1..12 {
            assert_eq!(cut("a作b业c作d业", width).width(), width);
        }
    }

    #[test]
    fn names_and_holders_share_what_is_left() {
        let mut row: [String; 9] = std::array::from_fn(|_| "x".to_owned());
        (row[NAME], row[HOLDERS]) = ("n".repeat(100), "h".repeat(100));
        for width in 10..300 {
            let columns = fit(std::slice::from_ref(&row), width);
            let taken = columns.iter().map(|(_, width)| width + GAP).sum::<usize>() - GAP;
            assert!(taken <= width, "{width}: {columns:?}");
            assert!(taken + 1 >= width.min(251), "{width}: {columns:?}");
        }
    }
}

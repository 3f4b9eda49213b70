//! How the texts behind `--help` are laid out: as wide as the terminal, each paragraph wrapped evenly, and the second column of
//! a list under its first line.

use std::io::{stderr, stdout};

use rustix::termios::tcgetwinsize;

/// Lines are no longer than this in any terminal: longer ones are hard to read.
const WIDEST: usize = 100;
const NARROWEST: usize = 20;

/// Columns for help: the terminal's, or where there is none the variable `COLUMNS`.
pub fn width() -> usize {
    let sizes = [tcgetwinsize(stdout()), tcgetwinsize(stderr())].into_iter().flatten();
    let terminal = sizes.map(|size| usize::from(size.ws_col)).find(|columns| *columns > 0);
    let variable = || std::env::var("COLUMNS").ok()?.parse().ok();
    terminal.or_else(variable).unwrap_or(WIDEST).clamp(NARROWEST, WIDEST)
}

/// Lays out a text for this terminal. Each line of it is a paragraph, or a row of a list: two spaces or more in the middle
/// are where its second column begins.
pub fn laid_out(text: &str) -> String {
    laid_out_for(text, width())
}

fn laid_out_for(text: &str, columns: usize) -> String {
    let lines: Vec<_> = text.lines().map(|line| wrapped(line, columns)).collect();
    lines.join("\n")
}

fn wrapped(line: &str, columns: usize) -> String {
    if width_of(line) <= columns {
        return line.to_owned();
    }
    let body = line.trim_start();
    let indent = line.len() - body.len();
    let Some((term, text)) = body.split_once("  ") else {
        return filled(&" ".repeat(indent), indent, body, columns);
    };
    let text = text.trim_start();
    let hang = width_of(line) - width_of(text);
    let start = &line[..line.len() - text.len()];
    if hang * 2 <= columns {
        return filled(start, hang, text, columns);
    }
    // Too narrow for two columns.
    let term = filled(&" ".repeat(indent), indent, term, columns);
    let below = (indent + 4).min(columns / 3);
    format!("{term}\n{}", filled(&" ".repeat(below), below, text, columns))
}

/// The words of `text` behind `start`, and in further lines behind `hang` spaces.
fn filled(start: &str, hang: usize, text: &str, columns: usize) -> String {
    let mut done = String::new();
    let mut line = start.to_owned();
    let mut is_fresh = true;
    for word in text.split_whitespace() {
        if !is_fresh && width_of(&line) + 1 + width_of(word) > columns {
            done = done + &line + "\n";
            line = " ".repeat(hang);
            is_fresh = true;
        }
        if !is_fresh {
            line.push(' ');
        }
        line.push_str(word);
        is_fresh = false;
    }
    done + &line
}

fn width_of(text: &str) -> usize {
    text.chars().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paragraphs_are_filled_and_lists_keep_their_columns() {
        let text =
            "Codes:\n  0  all went well and there is more to say\n\n  one two three four five six";
        let narrow = "Codes:\n  0  all went\n     well and\n     there is\n     more to\n     say\n\n  \
                      one two three\n  four five six";
        assert_eq!(laid_out_for(text, 15), narrow);
        assert_eq!(laid_out_for(text, 100), text);
    }

    #[test]
    fn where_two_columns_do_not_fit_the_second_is_below() {
        let text = "  slipring clean jobs  these and no others";
        assert_eq!(
            laid_out_for(text, 24),
            "  slipring clean jobs\n      these and no\n      others"
        );
        assert_eq!(laid_out_for("averyveryverylongword b", 10), "averyveryverylongword\nb");
    }
}

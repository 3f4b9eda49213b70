//! `slipring ls`: which names there are.

use slipring::name::names;

use crate::failure::Failure;
use crate::help::laid_out;
use crate::seen::{self, Entry, Row, Summary, What};
use crate::{print, quote};

/// List the named objects of this machine.
///
/// One line each: what it is, what is in it, who has it. Looking changes nothing and disturbs nobody.
#[derive(clap::Args)]
#[command(after_help = laid_out(AFTER_HELP))]
pub struct Options {
    /// Print a JSON array instead, sizes in bytes.
    #[arg(long)]
    json: bool,
}

const AFTER_HELP: &str = "\
Examples:
  slipring ls
  slipring ls --json | jq -r '.[] | select(.depth > 1000) | .name'

Columns:
  NAME     in quotes, as a shell takes it, where it has other than plain letters in it
  DEPTH    messages in it, and the most that it holds
  USERS    processes that have a handle; of a queue those that send + those that receive
  WAITING  threads that sleep on it, as far as this user may know
  DEAD     killed, and nobody cleaned up after them yet: whoever uses the object next does, or `slipring clean`

Names are files slipring.NAME in /dev/shm, or in the directory that SLIPRING_DIR names.

Exit codes:
  0  done, also where there is nothing, some could not be looked at, or whoever read the output has closed it
  1  the directory cannot be read, or the output cannot be written
  2  wrong usage";

/// Lists them.
pub fn run(options: &Options) -> Result<(), Failure> {
    let entries: Vec<_> = names()?.iter().map(|name| seen::look(name)).collect();
    if options.json { print::json(&entries) } else { print::text(&render(&entries)) }
}

const HEADING: [&str; 9] =
    ["NAME", "KIND", "STATE", "DEPTH", "USERS", "WAITING", "DEAD", "MEMORY", "MODE"];

fn render(entries: &[Entry]) -> String {
    let rows: Vec<_> = entries.iter().map(row).collect();
    seen::table(&HEADING, &rows)
}

fn row(entry: &Entry) -> Row {
    let mut row = vec![quote::word(&entry.name).into_owned()];
    match &entry.what {
        What::Seen(summary) => row.extend(cells(summary)),
        What::Error(error) => {
            row.push("?".to_owned());
            return Row::with_text(row, error.clone());
        }
    }
    row.into()
}

fn cells(of: &Summary) -> [String; 8] {
    let users = match of.kind {
        "queue" => format!("{} + {}", of.first, of.second),
        _ => of.first.to_string(),
    };
    let stays = if of.persists { " stays" } else { "" };
    [
        of.kind.to_owned(),
        of.state.clone(),
        seen::depth(of.depth, of.capacity),
        users,
        of.waiting.to_string(),
        of.dead.to_string(),
        seen::bytes(of.memory),
        format!("{:04o}{stays}", of.mode),
    ]
}

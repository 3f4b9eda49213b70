//! `slipring ls`: which names there are.

use std::io::Write;

use slipring::name::names;

use crate::failure::Failure;
use crate::seen::{self, Entry, Summary, What};

/// List the named objects of this machine.
///
/// One line each: what it is, what is in it, who has it. Looking changes nothing and disturbs nobody.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  slipring ls
  slipring ls --json | jq -r '.[] | select(.depth > 1000) | .name'

Columns:
  DEPTH    messages in it, and the most that it holds
  USERS    processes that have a handle; of a queue those that send + those that receive
  WAITING  threads that sleep on it, as far as this user may know
  DEAD     killed, and nobody cleaned up after them yet: whoever uses the object next does, or `slipring clean`

Names are files slipring.NAME in /dev/shm, or in the directory that SLIPRING_DIR names.

Exit codes:
  0  done, also where there is nothing or some could not be looked at
  1  the directory cannot be read")]
pub struct Options {
    /// Print a JSON array instead, sizes in bytes.
    #[arg(long)]
    json: bool,
}

/// Lists them.
pub fn run(options: &Options) -> Result<(), Failure> {
    let entries: Vec<_> = names()?.iter().map(|name| seen::look(name)).collect();
    let text = if options.json {
        serde_json::to_string_pretty(&entries).map_err(|e| Failure::Run(e.to_string()))? + "\n"
    } else {
        render(&entries)
    };
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(())
}

const HEADING: [&str; 9] =
    ["NAME", "KIND", "STATE", "DEPTH", "USERS", "WAITING", "DEAD", "MEMORY", "MODE"];

fn render(entries: &[Entry]) -> String {
    let rows: Vec<_> = entries.iter().map(row).collect();
    seen::table(&HEADING, &rows)
}

fn row(entry: &Entry) -> Vec<String> {
    let mut row = vec![entry.name.clone()];
    match &entry.what {
        What::Seen(summary) => row.extend(cells(summary)),
        What::Error(error) => {
            row.extend(["?".to_owned(), error.clone()]);
            row.resize(HEADING.len(), String::new());
        }
    }
    row
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

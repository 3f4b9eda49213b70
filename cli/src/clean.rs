//! `slipring clean`: removes what only the dead have.

use std::io::Write;

use slipring::name::{Cleaned, clean, names};
use slipring::{Error, unlink};

use crate::failure::Failure;

/// Remove what only the dead have.
///
/// Cleans up after killed processes in every named object, and takes the names away that nobody alive has. It is never
/// needed: whoever opens or creates a name does the same for it. Objects that were made to persist stay, unless --force
/// names them.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  slipring clean                  all names
  slipring clean jobs results     these
  slipring clean --force jobs     takes the name away even if it is in use or was made to persist;
                                  whoever has it goes on, and nobody else finds it

Exit codes:
  0  done
  1  some could not be looked at: of another user, of another version, no segment")]
pub struct Options {
    /// The names; all that there are if none is given.
    names: Vec<String>,
    /// Take these names away, whoever has them.
    #[arg(long, requires = "names")]
    force: bool,
}

/// Cleans up, and says what it did.
pub fn run(options: &Options) -> Result<(), Failure> {
    let all = if options.names.is_empty() { names()? } else { options.names.clone() };
    let (mut text, mut failed) = (String::new(), 0);
    for name in &all {
        let done = if options.force { force(name) } else { clean(name).map(|done| tell(&done)) };
        match done {
            Ok(Some(did)) => text += &format!("{name}: {did}\n"),
            Ok(None) => {}
            // Somebody else was faster.
            Err(Error::NoSuchName { .. }) if options.names.is_empty() => {}
            Err(error) => {
                eprintln!("slipring: {name}: {error}");
                failed += 1;
            }
        }
    }
    if text.is_empty() && failed == 0 {
        text = "nothing to clean\n".to_owned();
    }
    std::io::stdout().write_all(text.as_bytes())?;
    match failed {
        0 => Ok(()),
        1 => Err(Failure::Run("one name could not be cleaned".to_owned())),
        _ => Err(Failure::Run(format!("{failed} names could not be cleaned"))),
    }
}

fn force(name: &str) -> slipring::Result<Option<String>> {
    unlink(name)?;
    Ok(Some("name taken away".to_owned()))
}

/// What was done; `None` for nothing.
fn tell(done: &Cleaned) -> Option<String> {
    let dead: Vec<_> = done.dead.iter().map(u32::to_string).collect();
    let after = match &dead[..] {
        [] => String::new(),
        [one] => format!("cleaned up after process {one}"),
        many => format!("cleaned up after processes {}", many.join(", ")),
    };
    match (done.is_gone, after.is_empty()) {
        (true, true) => Some("removed".to_owned()),
        (true, false) => Some(format!("{after}, removed")),
        (false, true) => None,
        (false, false) if done.persists => Some(format!("{after}; kept, for it is to persist")),
        (false, false) => Some(format!("{after}; others go on using it")),
    }
}

//! `slipring clean`: removes what only the dead have.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use slipring::name::{Cleaned, clean, directory, names};
use slipring::{Error, unlink};

use crate::failure::{Failure, say};
use crate::help::laid_out;
use crate::{print, quote, users};

/// Remove what only the dead have.
///
/// Cleans up after killed processes in every named object, and takes the names away that nobody alive has. It is never
/// needed: whoever opens or creates a name does the same for it. Objects that were made to persist stay, unless --force
/// names them.
#[derive(clap::Args)]
#[command(after_help = laid_out(AFTER_HELP))]
pub struct Options {
    /// The names; all that there are if none is given.
    names: Vec<String>,
    /// Take these names away, whoever has them.
    #[arg(long, requires = "names")]
    force: bool,
}

const AFTER_HELP: &str = "\
Examples:
  slipring clean               all names
  slipring clean jobs results  these
  slipring clean --force jobs  takes the name away even if it is in use or was made to persist; whoever has it goes on, and \
                               nobody else finds it

What is not ours:
  A file slipring.NAME that slipring did not make is left alone, with --force too: the message says how to remove it.
  What another user made is cleaned by that user, or taken away by root with --force. --force needs the right to write to \
  the file, and in a directory with the sticky bit, as /dev/shm is, to own it.
  What another version of slipring made can only be taken away with --force, or cleaned by that version.

Exit codes:
  0  done, also where whoever read the output has closed it
  1  some could not be looked at or taken away (of another user, of another version, no segment), or the output cannot be \
     written
  2  wrong usage";

/// Cleans up, and says what it did.
pub fn run(options: &Options) -> Result<(), Failure> {
    let all = if options.names.is_empty() { names()? } else { options.names.clone() };
    let (mut text, mut failed) = (String::new(), 0);
    for name in &all {
        let done = if options.force { force(name) } else { clean(name).map(|done| tell(&done)) };
        let shown = quote::word(name);
        match done {
            Ok(Some(did)) => text += &format!("{shown}: {did}\n"),
            Ok(None) => {}
            // Somebody else was faster.
            Err(Error::NoSuchName { .. }) if options.names.is_empty() => {}
            Err(error) => {
                say(&format!("{shown}: {}", sentence(name, &error)));
                failed += 1;
            }
        }
    }
    if text.is_empty() && failed == 0 {
        text = "nothing to clean\n".to_owned();
    }
    print::text(&text)?;
    match failed {
        0 => Ok(()),
        1 => Err(Failure::Run("one name could not be cleaned".to_owned())),
        _ => Err(Failure::Run(format!("{failed} names could not be cleaned"))),
    }
}

/// What is wrong with a name, and what can be done about it.
fn sentence(name: &str, error: &Error) -> String {
    let path = path_of(name);
    let found = fs::symlink_metadata(&path).ok();
    let shown = quote::path(&path);
    match (error, found) {
        (Error::BadName { .. } | Error::NoSuchName { .. }, _) | (_, None) => error.to_string(),
        (Error::ForeignOwner { uid, .. }, _) => {
            let user = users::shown(*uid);
            format!(
                "it belongs to user {user}: leave it to that user, or take it away with --force as root"
            )
        }
        (Error::NotPermitted { .. }, Some(found)) => {
            let user = users::shown(found.uid());
            format!(
                "it belongs to user {user}: only that user and root can clean it or take it away"
            )
        }
        (_, Some(found)) if found.is_dir() => {
            format!(
                "{shown} is a directory, which slipring did not make; if nobody needs it: rm -r {shown}"
            )
        }
        (Error::NotASegment { .. }, _) => {
            format!("{error}; slipring leaves it alone; if nobody needs it: rm {shown}")
        }
        (_, Some(found)) if !found.is_file() => {
            format!(
                "{shown} is no file, and slipring did not make it; if nobody needs it: rm {shown}"
            )
        }
        (
            Error::AbiVersion { .. }
            | Error::Layout { .. }
            | Error::Truncated { .. }
            | Error::HalfMade { .. }
            | Error::Failed
            | Error::Corrupt { .. },
            _,
        ) => format!("{error}; or take the name away with --force"),
        _ => error.to_string(),
    }
}

/// The file of a name.
fn path_of(name: &str) -> PathBuf {
    directory().join(format!("slipring.{name}"))
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

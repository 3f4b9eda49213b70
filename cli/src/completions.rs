//! `slipring completions`: what a shell needs to complete this program's commands and options.

use std::io::{Write, stdout};

use clap::Command;
use clap_complete::{Shell, generate};

use crate::failure::Failure;

/// Print a script with which a shell completes the commands and options of slipring.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  slipring completions bash > ~/.local/share/bash-completion/completions/slipring
  slipring completions zsh > ~/.zfunc/_slipring       with ~/.zfunc in fpath
  slipring completions fish > ~/.config/fish/completions/slipring.fish

Exit codes:
  0  done
  2  wrong usage: no shell that is known")]
pub struct Options {
    /// Which shell.
    shell: Shell,
}

/// Prints it for the program whose command line is `full`.
pub fn run(options: &Options, full: &Command) -> Result<(), Failure> {
    // What users are not shown is not to be completed either.
    let shown = full.get_subcommands().filter(|command| !command.is_hide_set()).cloned();
    let mut shown = Command::new("slipring").version(env!("CARGO_PKG_VERSION")).subcommands(shown);
    let mut script = Vec::new();
    generate(options.shell, &mut shown, "slipring", &mut script);
    stdout().write_all(&script)?;
    Ok(())
}

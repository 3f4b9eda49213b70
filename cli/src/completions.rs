//! `slipring completions`: what a shell needs to complete this program's commands and options.

use clap::Command;
use clap_complete::{Shell, generate};

use crate::failure::Failure;
use crate::help::laid_out;
use crate::print;

/// Print a script with which a shell completes the commands and options of slipring.
#[derive(clap::Args)]
#[command(after_help = laid_out(AFTER_HELP))]
pub struct Options {
    /// Which shell.
    shell: Shell,
}

const AFTER_HELP: &str = "\
Examples:
  slipring completions bash > ~/.local/share/bash-completion/completions/slipring
  slipring completions zsh > ~/.zfunc/_slipring  with ~/.zfunc in fpath
  slipring completions fish > ~/.config/fish/completions/slipring.fish

Exit codes:
  0  done, also where whoever read the output has closed it
  1  the output cannot be written
  2  wrong usage: no shell that is known";

/// Prints it for the program whose command line is `full`.
pub fn run(options: &Options, full: &Command) -> Result<(), Failure> {
    // What users are not shown is not to be completed either.
    let shown = full.get_subcommands().filter(|command| !command.is_hide_set()).cloned();
    let mut shown = Command::new("slipring").version(env!("CARGO_PKG_VERSION")).subcommands(shown);
    let mut script = Vec::new();
    generate(options.shell, &mut shown, "slipring", &mut script);
    print::bytes(&script)
}

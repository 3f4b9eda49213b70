//! The queue that the options name.

use slipring::{Error, Name, Named, QueueOptions};

use crate::failure::Failure;
use crate::{quote, users};

/// Which queue, and how it is made where there is none.
#[derive(clap::Args)]
pub struct NamedQueue {
    /// What the queue is called: 1 to 128 bytes without a slash. Made if there is none.
    #[arg(value_name = "NAME")]
    pub name: String,
    /// If this makes the queue: the most lines that it holds, up to 67108864; 0 is as many as memory allows.
    #[arg(long, value_name = "N", default_value_t = 65536, help_heading = MAKING)]
    maxsize: u64,
    /// If this makes the queue: who may use it, as octal permission bits of its file.
    #[arg(long, value_name = "BITS", default_value = "600", value_parser = mode, help_heading = MAKING)]
    mode: u32,
    /// If this makes the queue: the group of its file, by name or number; has an effect with a --mode that lets it in.
    #[arg(long, value_name = "GROUP", value_parser = users::group, help_heading = MAKING)]
    group: Option<u32>,
    /// If this makes the queue: it stays with its lines when nobody uses it, until `slipring clean --force NAME` or a
    /// reboot.
    #[arg(long, help_heading = MAKING)]
    persist: bool,
    /// Use the queue also if its file belongs to this user, by name or number.
    #[arg(long, value_name = "USER", value_parser = users::user)]
    trust: Option<u32>,
}

/// What `put` and `get` do together.
pub const EXAMPLE: &str = "\
Example:
  slipring put jobs todo.txt &
  slipring get jobs | while read -r job; do …; done";

const MAKING: &str = "If the queue has to be made";

impl NamedQueue {
    /// A handle of one side.
    pub fn open<H: Named<Options = QueueOptions>>(&self) -> Result<H, Failure> {
        let mut name = Name::new(&self.name).mode(self.mode);
        name = self.group.map_or(name, |group| name.group(group));
        name = self.trust.map_or(name, |user| name.trust(user));
        name = if self.persist { name.persist() } else { name };
        let options = match self.maxsize {
            0 => QueueOptions::unbounded(),
            most => QueueOptions::bounded(most),
        };
        H::open_or_create(name, options).map_err(|error| self.failure(error))
    }

    /// A sentence about this queue.
    pub fn failure(&self, error: Error) -> Failure {
        let name = quote::word(&self.name);
        match error {
            Error::BadName { .. } | Error::Capacity { .. } => Failure::Usage(error.to_string()),
            Error::Closed => Failure::Run(format!("{name} was closed")),
            Error::ForeignOwner { uid, .. } => {
                let user = users::shown(uid);
                Failure::Run(format!(
                    "{name} belongs to user {user}, who could have put anything there; if that is meant, --trust {uid}"
                ))
            }
            // These say the name.
            Error::NotPermitted { .. } | Error::NameTaken { .. } | Error::NoNames { .. } => {
                Failure::Run(error.to_string())
            }
            error => Failure::Run(format!("{name}: {error}")),
        }
    }
}

fn mode(text: &str) -> Result<u32, String> {
    let bits = u32::from_str_radix(text, 8).ok().filter(|bits| *bits <= 0o777);
    bits.ok_or_else(|| "it is no octal number of 0 to 777".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_octal() {
        assert_eq!((mode("660"), mode("0600")), (Ok(0o660), Ok(0o600)));
        assert!(["", "8", "1777", "rw", "-1"].iter().all(|text| mode(text).is_err()));
    }
}

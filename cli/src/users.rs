//! Users and groups by name or number. Whatever database the machine has is asked.

use nix::unistd::{Group, Uid, User};

use crate::quote;

/// The number of a user.
pub fn user(text: &str) -> Result<u32, String> {
    number(text, "user", |name| Ok(User::from_name(name)?.map(|user| user.uid.as_raw())))
}

/// The number of a group.
pub fn group(text: &str) -> Result<u32, String> {
    number(text, "group", |name| Ok(Group::from_name(name)?.map(|group| group.gid.as_raw())))
}

fn number(
    text: &str,
    what: &str,
    find: impl FnOnce(&str) -> nix::Result<Option<u32>>,
) -> Result<u32, String> {
    if let Ok(number) = text.parse() {
        return Ok(number);
    }
    match find(text) {
        Ok(Some(number)) => Ok(number),
        Ok(None) => Err(format!("there is no such {what}; give a name or a number")),
        Err(error) => Err(format!("could not look for this {what}: {error}")),
    }
}

/// A user as people know him: `ann (1000)`, or the number alone.
pub fn shown(uid: u32) -> String {
    match User::from_uid(Uid::from_raw(uid)) {
        Ok(Some(user)) => format!("{} ({uid})", quote::word(&user.name)),
        _ => uid.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_and_groups_have_names_and_numbers() {
        assert_eq!((user("root"), user("0"), user("4294967294")), (Ok(0), Ok(0), Ok(u32::MAX - 1)));
        let own = Group::from_gid(nix::unistd::Gid::from_raw(0)).unwrap().unwrap().name;
        assert_eq!((group(&own), group("1234")), (Ok(0), Ok(1234)));
        for none in ["", "-1", "no such user", "4294967296"] {
            assert!(user(none).unwrap_err().contains("no such user"), "{none}");
        }
        assert_eq!((shown(0), shown(3_999_999_999)), ("root (0)".into(), "3999999999".into()));
    }
}

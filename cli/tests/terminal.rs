//! The program in a terminal, and as part of a shell: what strangers wrote, narrow screens, closed streams, limits.

use std::fs;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{chown, symlink};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use slipring::{Mutex, Named};

/// What a name may do to a terminal: give it a title, erase a line, go back to its beginning.
const HOSTILE: &str = "\x1b]0;owned\x07\x1b[2K\rroot-jobs";
/// The commands that users see.
const COMMANDS: [&str; 9] =
    ["demo", "put", "get", "ls", "inspect", "clean", "top", "perf", "completions"];

fn slipring() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_slipring"));
    command.stdin(Stdio::null());
    command
}

fn run(args: &[&str]) -> Output {
    slipring().args(args).output().unwrap()
}

/// Both streams, one after the other.
fn said(output: &Output) -> String {
    let bytes = [&output.stdout[..], &output.stderr[..]].concat();
    String::from_utf8(bytes).unwrap()
}

/// A directory of names of its own, which goes with the test.
struct Directory(PathBuf);

impl Directory {
    fn new(what: &str) -> Self {
        let path = Path::new("/dev/shm").join(format!("cli-{what}-{}", std::process::id()));
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn run(&self, args: &[&str]) -> Output {
        slipring().args(args).env("SLIPRING_DIR", &self.0).output().unwrap()
    }

    /// A queue that stays.
    fn queue(&self, name: &str) {
        let put = self.run(&["put", "--persist", name]);
        assert!(put.status.success(), "{}", said(&put));
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[track_caller]
fn harmless(text: &str) {
    let bad = |c: char| (c.is_control() && c != '\n') || ('\u{202a}'..='\u{202e}').contains(&c);
    assert!(!text.contains(bad), "{text:?}");
}

#[test]
fn a_strangers_name_cannot_write_to_the_terminal() {
    let names = Directory::new("hostile");
    let backwards = "abc\u{202e}gpj.exe\u{9b}2J";
    names.queue(HOSTILE);
    names.queue(backwards);
    let listed = said(&names.run(&["ls"]));
    harmless(&listed);
    let shown = r"$'\x1b]0;owned\x07\x1b[2K\rroot-jobs'";
    assert!(listed.contains(shown), "as a shell takes it: {listed}");
    // What is shown means the name again.
    let again = format!("exec {} inspect {shown}", env!("CARGO_BIN_EXE_slipring"));
    let again = Command::new("bash").args(["-c", &again]).env("SLIPRING_DIR", &names.0).output();
    let again = again.unwrap();
    assert!(again.status.success(), "{}", said(&again));
    let json = names.run(&["ls", "--json"]);
    harmless(&said(&json));
    let parsed: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    let found: Vec<_> =
        parsed.as_array().unwrap().iter().map(|e| e["name"].as_str().unwrap()).collect();
    assert_eq!(found, [HOSTILE, backwards]);
    for name in [HOSTILE, backwards] {
        for args in [
            &["inspect", name][..],
            &["inspect", "--json", name],
            &["get", "--timeout", "0", name],
            &["put", "--mode", name, "x"],
            &["put", "--trust", name, "x"],
            &["put", "x", name],
            &["demo", name],
            &["clean", name],
            &["clean", "--force", name],
            &["clean", "--force", name],
            &["inspect", name],
            &[name],
        ] {
            harmless(&said(&names.run(args)));
        }
    }
}

#[test]
fn in_a_terminal_too_a_wrong_argument_is_shown_and_not_obeyed() {
    let shown = on_screen(&[HOSTILE], 80, Duration::ZERO);
    assert!(shown.contains("root-jobs") && !shown.contains("\x1b]0;"), "{shown:?}");
}

#[test]
fn a_row_that_is_an_error_does_not_widen_the_others() {
    let names = Directory::new("wide");
    names.queue("jobs");
    let before = said(&names.run(&["ls"]));
    fs::write(names.0.join("slipring.text"), "this is something else").unwrap();
    let after = said(&names.run(&["ls"]));
    assert!(after.contains("text  ?      this is no slipring segment"), "{after}");
    assert_eq!(before.lines().collect::<Vec<_>>(), after.lines().take(2).collect::<Vec<_>>());
}

#[test]
fn every_exit_code_is_in_the_help_and_in_the_guide() {
    let guide = fs::read_to_string("../docs/guide/src/shell.md").unwrap();
    for code in ["| 0 |", "| 1 |", "| 2 |", "| 4 |", "| 129, 130, 143 |"] {
        assert!(guide.contains(code), "{code} is in no table of the guide");
    }
    for command in COMMANDS {
        let help = said(&run(&[command, "--help"]));
        let (_, codes) = help.split_once("Exit codes:\n").unwrap_or_else(|| panic!("{command}"));
        for code in ["  0  ", "  1  ", "  2  "] {
            assert!(codes.contains(code), "{command} does not tell of {code}");
        }
    }
    assert!(said(&run(&["--help"])).contains("Exit codes:"));
}

#[test]
fn whoever_reads_the_output_may_leave() {
    let names = Directory::new("leave");
    names.queue("jobs");
    let gone = || {
        let (read, write) = rustix::pipe::pipe().unwrap();
        drop(read);
        write
    };
    for args in [
        &["ls"][..],
        &["ls", "--json"],
        &["inspect", "jobs"],
        &["clean"],
        &["completions", "bash"],
        &["perf", "--quick", "--only", "pipe", "--size", "8"],
        &["--help"],
        &["help", "put"],
        &["get", "--timeout", "0", "jobs"],
    ] {
        let mut command = slipring();
        let ended = command.args(args).env("SLIPRING_DIR", &names.0).stdout(gone()).output();
        let ended = ended.unwrap();
        assert_eq!(ended.status.code(), Some(0), "{args:?}");
    }
}

#[test]
fn an_output_that_is_full_is_said() {
    let names = Directory::new("full");
    let full = || fs::File::options().write(true).open("/dev/full").unwrap();
    for args in [&["ls"][..], &["completions", "bash"], &["--help"], &["--version"]] {
        let mut command = slipring();
        let ended = command.args(args).env("SLIPRING_DIR", &names.0).stdout(full()).output();
        let ended = ended.unwrap();
        assert_eq!(ended.status.code(), Some(1), "{args:?}");
        assert!(said(&ended).contains("standard output: No space left"), "{}", said(&ended));
    }
    let ended = slipring().args(["inspect", "nothing"]).stderr(full()).output().unwrap();
    assert_eq!(ended.status.code(), Some(1), "and no panic where nothing can be said");
}

#[test]
fn a_limit_for_file_sizes_is_an_error_that_says_what_to_do() {
    let names = Directory::new("limit");
    let shell = |text: &str| {
        let text = text.replace("slipring", env!("CARGO_BIN_EXE_slipring"));
        Command::new("bash").args(["-c", &text]).env("SLIPRING_DIR", &names.0).output().unwrap()
    };
    let put = shell("ulimit -f 100; echo one | slipring put --persist small");
    assert_eq!(put.status.code(), Some(1), "{:?}: {}", put.status.signal(), said(&put));
    assert!(said(&put).contains("ulimit -f"), "{}", said(&put));
    // With a limit that a small segment fits under, it is made small.
    let put = shell("ulimit -f 1000000; head -c 3000 /dev/zero | slipring put --persist long");
    assert_eq!(put.status.code(), Some(0), "{}", said(&put));
    let get = shell("ulimit -f 1; slipring get long > \"$SLIPRING_DIR/out\"");
    assert_eq!(get.status.code(), Some(1), "{:?}: {}", get.status.signal(), said(&get));
    let text = said(&get);
    assert!(text.contains("standard output") && text.contains("ulimit -f"), "{text}");
}

#[test]
fn an_empty_directory_for_names_is_none() {
    let name = format!("cli-empty-{}", std::process::id());
    let get = slipring().args(["get", "--timeout", "0", &name]).env("SLIPRING_DIR", "").output();
    let get = get.unwrap();
    assert_eq!(get.status.code(), Some(4), "{}", said(&get));
}

#[test]
fn users_and_groups_have_names() {
    let names = Directory::new("users");
    let get = |args: &[&str]| names.run(&[&["get", "--timeout", "0", "jobs"], args].concat());
    for args in [["--trust", "root"], ["--trust", "0"], ["--group", "root"], ["--group", "0"]] {
        let got = get(&args);
        assert_eq!(got.status.code(), Some(4), "{args:?}: {}", said(&got));
    }
    let none = get(&["--trust", "nobody-of-that-name"]);
    assert_eq!(none.status.code(), Some(2));
    assert!(said(&none).contains("there is no such user"), "{}", said(&none));
    let none = get(&["--group", "nobody-of-that-name"]);
    assert!(said(&none).contains("there is no such group"), "{}", said(&none));
}

#[test]
fn clean_says_what_to_do_with_what_is_not_ours() {
    let names = Directory::new("foreign");
    let forced = |name: &str| {
        let done = names.run(&["clean", "--force", name]);
        assert_eq!(done.status.code(), Some(1), "{}", said(&done));
        said(&done)
    };
    let path = |name: &str| names.0.join(format!("slipring.{name}"));
    fs::write(path("a file"), "something else").unwrap();
    let remove = format!("rm '{}'", path("a file").display());
    assert!(forced("a file").contains(&remove), "{}", forced("a file"));
    fs::create_dir(path("directory")).unwrap();
    assert!(forced("directory").contains("rm -r "), "{}", forced("directory"));
    symlink("/dev/null", path("link")).unwrap();
    assert!(forced("link").contains("rm "), "{}", forced("link"));
    assert!(path("a file").exists() && path("directory").exists(), "they are left alone");
    names.queue("theirs");
    if chown(path("theirs"), Some(1), None).is_err() {
        println!("skipped: only root can give a file away");
        return;
    }
    let done = said(&names.run(&["clean", "theirs"]));
    assert!(done.contains("belongs to user daemon (1)") && done.contains("--force"), "{done}");
    assert!(names.run(&["clean", "--force", "theirs"]).status.success(), "root may");
}

/// The same, as a user who may not.
#[test]
fn clean_tells_another_user_whose_it_is() {
    let names = Directory::new("other");
    names.queue("theirs");
    // Nobody may pass /work or a home directory to reach the program itself.
    let program = names.0.join("program");
    // Not by this process: a program that some child of its other threads has open for writing cannot be run.
    let copied = Command::new("cp").arg(env!("CARGO_BIN_EXE_slipring")).arg(&program).status();
    assert!(copied.unwrap().success());
    fs::set_permissions(&names.0, std::os::unix::fs::PermissionsExt::from_mode(0o1777)).unwrap();
    let mut command = Command::new(&program);
    let command = command.args(["clean", "--force", "theirs"]).env("SLIPRING_DIR", &names.0);
    if !rustix::process::geteuid().is_root() {
        println!("skipped: only root can become another user");
        return;
    }
    let done = command.uid(1).output().unwrap();
    assert_eq!(done.status.code(), Some(1), "{}", said(&done));
    assert!(said(&done).contains("belongs to user root (0)"), "{}", said(&done));
}

/// Width of a line of plain text in a terminal.
fn width(line: &str) -> usize {
    line.chars().count()
}

#[test]
fn help_is_wrapped_evenly_at_every_width() {
    for columns in [40, 60, 80, 100, 200] {
        for command in COMMANDS {
            for option in ["-h", "--help"] {
                let mut slipring = slipring();
                let help = slipring.args([command, option]).env("COLUMNS", columns.to_string());
                let help = said(&help.output().unwrap());
                even(&help, columns.min(100), &format!("{command} {option} at {columns}"));
            }
        }
    }
}

/// No line is too long for what it is, and none was broken where the next word had room.
fn even(help: &str, columns: usize, of: &str) {
    let mut lines = help.lines().peekable();
    while let Some(line) = lines.next() {
        let words = line.split_whitespace().count();
        assert!(
            width(line) <= columns || words < 2 || line.starts_with("Usage:"),
            "{of}: {line:?}"
        );
        let Some(next) = lines.peek() else { break };
        // What goes on is told by its first letter; rows of tables have two spaces in the middle, and commands are examples.
        let goes_on = next.trim_start().starts_with(|c: char| c.is_ascii_lowercase() || c == '—');
        let is_row = |line: &str| line.trim_start().contains("  ") || line.trim().is_empty();
        let is_code = |line: &str| {
            ["slipring ", "find ", "echo ", "job=", "./"]
                .iter()
                .any(|c| line.trim_start().starts_with(c))
        };
        let indent = |line: &str| line.len() - line.trim_start().len();
        // Below the first column of a row that is too narrow for two.
        let is_below = indent(next) == indent(line) + 4;
        let goes_on = goes_on
            && !is_below
            && indent(next) >= indent(line)
            && !(is_row(line) && indent(line) == indent(next));
        if goes_on && !is_row(next) && !line.trim().is_empty() && !is_code(next) && !is_code(line) {
            let word = next.split_whitespace().next().unwrap_or("");
            assert!(width(line) + 1 + width(word) > columns, "{of}: {line:?} then {next:?}");
        }
    }
}

#[test]
fn top_shows_name_and_holder_at_eighty_columns() {
    let name = format!("cli-narrow-{}", std::process::id());
    let mutex = Mutex::create(&name, 0_u64).unwrap();
    let _guard = mutex.lock().unwrap();
    for columns in [200, 80, 40] {
        let shown = on_screen(&["top", "--interval", "0.1"], columns, Duration::from_secs(2));
        assert!(shown.contains("NAME") && shown.contains("HOLDERS"), "{columns}: {shown:?}");
        assert!(shown.contains(&std::process::id().to_string()), "{columns}: {shown:?}");
        let first = if columns == 40 { &name[..8] } else { &name };
        assert!(shown.contains(first), "{columns}: {shown:?}");
    }
}

/// What the program writes to a terminal of so many columns, within so much time; by itself it may end earlier.
fn on_screen(args: &[&str], columns: u16, time: Duration) -> String {
    let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
    grantpt(&terminal).unwrap();
    unlockpt(&terminal).unwrap();
    let size = Winsize { ws_row: 24, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(&terminal, size).unwrap();
    let path = ptsname(&terminal, Vec::new()).unwrap();
    let side = || fs::File::options().read(true).write(true).open(path.to_str().unwrap()).unwrap();
    let mut command = slipring();
    command.args(args).stdin(side()).stdout(side()).stderr(side());
    let own_terminal = || {
        rustix::process::setsid()?;
        rustix::process::ioctl_tiocsctty(rustix::stdio::stdin())?;
        Ok(())
    };
    // SAFETY: two system calls, which a child may make before it becomes another program.
    unsafe { command.pre_exec(own_terminal) };
    let mut child = command.spawn().unwrap();
    drop(command);
    let shown = std::thread::spawn(move || read_until_gone(terminal));
    if !time.is_zero() {
        std::thread::sleep(time);
        let _ = child.kill();
    }
    child.wait().unwrap();
    shown.join().unwrap()
}

/// All that was written, until the last who has the other side is gone.
fn read_until_gone(terminal: OwnedFd) -> String {
    let mut bytes = Vec::new();
    // It ends with an error of the kernel's.
    let _ = fs::File::from(terminal).read_to_end(&mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}

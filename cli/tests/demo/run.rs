//! `slipring demo` as a child: its files, its processes, and what it printed.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{CWD, Mode};
use rustix::process::Pid;

/// No run here takes longer, however loaded the machine is.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A directory of a test's own, which goes with it.
pub struct Scratch(pub PathBuf);

impl Scratch {
    pub fn new(test: &str) -> Self {
        let name = format!("slipring-{test}-{}", std::process::id());
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, content).unwrap();
        path
    }

    /// A FIFO, held open so that whoever reads it waits for more.
    pub fn fifo(&self, name: &str) -> (PathBuf, File) {
        let path = self.0.join(name);
        rustix::fs::mkfifoat(CWD, &path, Mode::RUSR | Mode::WUSR).unwrap();
        let open = File::options().read(true).write(true).open(&path).unwrap();
        (path, open)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A running program, killed if the test gives up on it.
pub struct Demo(Option<Child>);

impl Demo {
    pub fn start(arguments: &[&str], files: &[&Path], stdin: Stdio) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_slipring"));
        command.arg("demo").args(arguments).args(files).stdin(stdin);
        Self(Some(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()))
    }

    pub fn pid(&self) -> u32 {
        self.0.as_ref().unwrap().id()
    }

    /// What it printed and how it ended; it is killed if that takes longer than `patience`.
    pub fn end_within(mut self, patience: Duration) -> Output {
        let mut child = self.0.take().unwrap();
        let collect = |stream: Option<Box<dyn Read + Send>>| {
            thread::spawn(move || {
                let mut bytes = Vec::new();
                stream.unwrap().read_to_end(&mut bytes).unwrap();
                bytes
            })
        };
        let stdout = collect(child.stdout.take().map(|s| Box::new(s) as _));
        let stderr = collect(child.stderr.take().map(|s| Box::new(s) as _));
        let deadline = Instant::now() + patience;
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break Some(status);
            }
            if Instant::now() > deadline {
                child.kill().unwrap();
                child.wait().unwrap();
                break None;
            }
            thread::sleep(Duration::from_millis(5));
        };
        let (stdout, stderr) = (stdout.join().unwrap(), stderr.join().unwrap());
        let said = String::from_utf8_lossy(&stderr).into_owned();
        let status =
            status.unwrap_or_else(|| panic!("not done within {patience:?}; it said {said:?}"));
        Output { status, stdout, stderr }
    }

    /// The children with this role, as soon as there are `count`.
    pub fn children(&self, role: &str, count: usize) -> Vec<Pid> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let found = children_of(self.pid(), role);
            if found.len() == count {
                return found;
            }
            assert!(Instant::now() < deadline, "{} of {count} children are {role}", found.len());
            thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// The living children of a process whose command line says that they have this role.
fn children_of(parent: u32, role: &str) -> Vec<Pid> {
    let numbers = fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
    let is_child = |pid: &i32| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        parent_of(*pid) == Some(parent) && line.split(|b| *b == 0).any(|w| w == role.as_bytes())
    };
    numbers.filter(is_child).filter_map(Pid::from_raw).collect()
}

pub fn parent_of(pid: i32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat.rsplit_once(") ")?.1.split(' ');
    let state = fields.next()?;
    (state != "Z").then(|| fields.next()?.parse().ok()).flatten()
}

pub fn exists(pid: Pid) -> bool {
    Path::new(&format!("/proc/{}", pid.as_raw_nonzero())).exists()
}

pub fn demo(arguments: &[&str], files: &[&Path]) -> Output {
    Demo::start(arguments, files, Stdio::null()).end_within(PATIENCE)
}

/// The lines `COUNT WORD` that stand before the table.
pub fn words_of(output: &Output) -> Vec<(u64, Vec<u8>)> {
    assert_success(output);
    let text = &output.stdout;
    let end = text.windows(2).position(|two| two == b"\n\n").map_or(0, |at| at + 1);
    text[..end].split_inclusive(|byte| *byte == b'\n').map(parse_line).collect()
}

fn parse_line(line: &[u8]) -> (u64, Vec<u8>) {
    let line = line.strip_suffix(b"\n").unwrap();
    let space = line.iter().position(|byte| *byte == b' ').unwrap();
    let count = std::str::from_utf8(&line[..space]).unwrap().parse().unwrap();
    (count, line[space + 1..].to_vec())
}

pub fn assert_success(output: &Output) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {said}", output.status);
    assert_eq!(said, "");
}

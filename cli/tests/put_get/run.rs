//! `slipring` as a child: started, fed, read, and killed when the test gives up on it.

use std::io::{Read, Write};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use slipring::{ByteReceiver, Named};

/// No run here takes longer, however loaded the machine is.
pub const PATIENCE: Duration = Duration::from_secs(60);

pub fn unique(what: &str) -> String {
    format!("cli-{what}-{}", std::process::id())
}

/// A running `slipring`, killed when the test gives up on it.
pub struct Run(pub Child, Option<thread::JoinHandle<Vec<u8>>>);

/// How one ended.
pub struct Ended {
    pub status: ExitStatus,
    pub stdout: Vec<u8>,
    pub stderr: String,
}

impl Run {
    pub fn start(args: &[&str], stdin: impl Into<Stdio>, stdout: impl Into<Stdio>) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_slipring"));
        command.args(args).stdin(stdin).stdout(stdout).stderr(Stdio::piped());
        Self(command.spawn().unwrap(), None)
    }

    /// `get`, with what it writes kept.
    pub fn get(args: &[&str]) -> Self {
        let (mut run, out) = Self::get_open(args);
        run.1 = Some(read_all(out));
        run
    }

    /// `get`, and what it writes to.
    pub fn get_open(args: &[&str]) -> (Self, ChildStdout) {
        let mut run = Self::start(&[&["get"], args].concat(), Stdio::null(), Stdio::piped());
        let out = run.0.stdout.take().unwrap();
        (run, out)
    }

    /// `put` of these bytes.
    pub fn put(args: &[&str], input: &[u8]) -> Self {
        let mut run = Self::start(&[&["put"], args].concat(), Stdio::piped(), Stdio::piped());
        let (mut stdin, input) = (run.0.stdin.take().unwrap(), input.to_vec());
        // It may be killed, or give up, before it has read all of it.
        thread::spawn(move || stdin.write_all(&input));
        run
    }

    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.0)
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    pub fn end(mut self) -> Ended {
        let stdout = self.1.take().or_else(|| self.0.stdout.take().map(read_all));
        let stderr = self.0.stderr.take().map(read_all).unwrap();
        let status = wait_for("the end of slipring", || self.0.try_wait().unwrap());
        let stderr = String::from_utf8(stderr.join().unwrap()).unwrap();
        Ended { status, stdout: stdout.map_or(Vec::new(), |t| t.join().unwrap()), stderr }
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub fn read_all(mut stream: impl Read + Send + 'static) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        bytes
    })
}

/// Looks again and again until there is something.
pub fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "{what} did not come");
        thread::sleep(Duration::from_millis(2));
    }
}

impl Ended {
    /// All went well, and nobody was told anything.
    pub fn well(self) -> Vec<u8> {
        assert!(self.status.success(), "{}: {}", self.status, self.stderr);
        assert_eq!(self.stderr, "", "no terminal, no words");
        self.stdout
    }

    /// It failed with this code; what it said.
    pub fn failed(self, code: i32) -> String {
        assert_eq!(self.status.code(), Some(code), "{}: {}", self.status, self.stderr);
        self.stderr
    }
}

/// What comes out when this is put in.
pub fn through(name: &str, options: &[&str], input: &[u8]) -> Vec<u8> {
    let args = [&[name], options].concat();
    let get = Run::get(&args);
    // A put that has nothing to put does not wait for it.
    open::<ByteReceiver>(name);
    let put = Run::put(&args, input);
    put.end().well();
    get.end().well()
}

/// Waits until the queue has the name.
pub fn open<H: Named>(name: &str) -> H {
    wait_for("the name", || H::open(name).ok())
}

pub fn lines(bytes: &[u8]) -> Vec<&str> {
    std::str::from_utf8(bytes).unwrap().lines().collect()
}

/// `number` lines that say whose they are, long enough that some need a block.
pub fn numbered(whose: &str, number: usize) -> Vec<u8> {
    let line = |n| format!("{whose} {n} {}\n", "x".repeat(n % 90));
    (0..number).flat_map(|n| line(n).into_bytes()).collect()
}

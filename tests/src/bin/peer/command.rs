//! What every command has: its arguments, the handles it was given, and a way to say what came of it.

use std::io::Write as _;
use std::time::Duration;

use slipring::Inherited;

/// The words behind the command's name, in order.
pub struct Args(pub std::vec::IntoIter<String>);

impl Args {
    pub fn new(words: Vec<String>) -> Self {
        Self(words.into_iter())
    }

    pub fn text(&mut self) -> String {
        self.0.next().expect("one more argument")
    }

    pub fn number<N: std::str::FromStr>(&mut self) -> N {
        let text = self.text();
        text.parse().unwrap_or_else(|_| panic!("{text:?} is no number"))
    }
}

/// Prints a line at once.
pub fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{line}");
    let _ = out.flush();
}

/// Waits to be killed.
pub fn sleep_for_ever() -> ! {
    loop {
        std::thread::sleep(Duration::from_secs(3600));
    }
}

pub fn inherited() -> Inherited {
    Inherited::from_env().expect("the peer was given handles")
}

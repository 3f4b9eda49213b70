//! `perf` and `completions` as users run them.

use std::process::{Command, Output, Stdio};

use serde_json::Value;

fn slipring(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_slipring"));
    command.args(args).stdin(Stdio::null()).output().unwrap()
}

fn text(output: &Output) -> &str {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.stderr.is_empty());
    std::str::from_utf8(&output.stdout).unwrap()
}

#[test]
fn each_channel_is_measured_with_each_size_that_it_has() {
    let output = slipring(&["perf", "--quick", "--json", "--size", "1,64", "--size", "100000"]);
    let json: Value = serde_json::from_str(text(&output)).unwrap();
    let cells = json["cells"].as_array().unwrap();
    let count = |channel: &str| cells.iter().filter(|cell| cell["channel"] == channel).count();
    assert_eq!(cells.len(), 16);
    assert_eq!((count("slots"), count("queue"), count("socketpair")), (1, 3, 3));
    for cell in cells {
        let number = |name: &str| cell[name].as_f64().unwrap();
        assert!(number("messages_per_second") > 0.0 && number("round_trips") > 0.0, "{cell}");
        let times = ["p50_ns", "p99_ns", "p99_9_ns", "max_ns"].map(number);
        assert!(times[0] > 0.0 && times.is_sorted(), "{cell}");
        let own = cell["channel"] == "os-pipe";
        assert!(!own || number("times_os_pipe") == 1.0, "{cell}");
    }
}

#[test]
fn only_what_was_asked_for_is_in_the_table() {
    let output = slipring(&["perf", "--quick", "--size", "8", "--only", "queue,slots"]);
    let rows: Vec<_> = text(&output).lines().collect();
    let begins = |row: usize, words: &[&str]| {
        let found: Vec<_> = rows[row].split_whitespace().collect();
        assert!(found.starts_with(words), "{}", rows[row]);
        assert_eq!(found.len(), 9);
    };
    assert_eq!(rows.len(), 5);
    begins(3, &["8", "queue"]);
    begins(4, &["8", "slots"]);
    assert!(rows[4].ends_with('-'), "nothing to compare with: {}", rows[4]);
}

#[test]
fn what_cannot_be_measured_is_refused() {
    let refused: [(&[&str], &str); 4] = [
        (&["--only", "slots", "--size", "9"], "65536"),
        (&["--size", "0"], "1..=16777216"),
        (&["--only", "shouting"], "socketpair"),
        (&["--quick", "--seconds", "1"], "--seconds"),
    ];
    for (args, word) in refused {
        let output = slipring(&[&["perf"], args].concat());
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(2) && said.contains(word), "{said}");
    }
}

#[test]
fn shells_can_complete_every_command_that_is_shown() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = slipring(&["completions", shell]);
        let script = text(&output);
        for word in ["put", "get", "inspect", "perf", "maxsize"] {
            assert!(script.contains(word), "{shell}: {word}");
        }
        assert!(!script.contains("-child"), "{shell}: what users are not to call");
    }
    assert_eq!(slipring(&["completions", "abacus"]).status.code(), Some(2));
}

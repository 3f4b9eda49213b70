//! The program as users run it.

#[path = "demo/run.rs"]
mod run;

use std::collections::HashMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use run::{Demo, PATIENCE, Scratch, assert_success, demo, exists, parent_of, words_of};

/// How soon a run ends after one of its processes was killed. Generous: what matters is that it ends.
const SOON: Duration = Duration::from_secs(10);

/// The same, counted here in another way: byte by byte.
fn expected(files: &[&Path]) -> Vec<(u64, Vec<u8>)> {
    let mut counts = HashMap::<Vec<u8>, u64>::new();
    for file in files {
        let mut word = Vec::new();
        for byte in fs::read(file).unwrap().into_iter().chain([b'\n']) {
            if !matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0C) {
                word.push(byte);
            } else if !word.is_empty() {
                *counts.entry(std::mem::take(&mut word)).or_default() += 1;
            }
        }
    }
    let mut sorted: Vec<_> = counts.into_iter().map(|(word, count)| (count, word)).collect();
    sorted.sort_by(|a, b| (b.0, &a.1).cmp(&(a.0, &b.1)));
    sorted
}

#[track_caller]
fn assert_counts(arguments: &[&str], files: &[&Path]) {
    let all = [arguments, &["--top", "1000000"]].concat();
    let (found, wanted) = (words_of(&demo(&all, files)), expected(files));
    assert_eq!(found.len(), wanted.len());
    for (found, wanted) in found.iter().zip(&wanted) {
        assert!(found == wanted, "{found:?} instead of {wanted:?}");
    }
}

/// Some lines of words in no order, the same ones each time.
fn text(lines: usize) -> String {
    let mut state = 0x2545_F491_4F6C_DD1D_u64;
    let mut word = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        format!("w{}", (state % 5000) * (state >> 60))
    };
    (0..lines).map(|n| (0..n % 17).map(|_| word()).collect::<Vec<_>>().join(" ") + "\n").collect()
}

#[test]
fn files_of_this_repository_are_counted() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let files = ["src/main.rs", "src/demo/mod.rs", "tests/demo.rs", "Cargo.toml", "../Cargo.lock"];
    let files = files.map(|file| root.join(file));
    assert_counts(&[], &files.each_ref().map(PathBuf::as_path));
}

#[test]
fn every_byte_but_white_space_counts() {
    let scratch = Scratch::new("bytes");
    let all: Vec<u8> = (0..=255).collect();
    let bytes = scratch.file("all", all.repeat(3));
    let nul = scratch.file("nul", b"\0\0 \0\n\0x y\0\n");
    let foreign = scratch.file("latin-1", b"caf\xE9 caf\xE9\nna\xEFve");
    let ends = scratch.file("crlf", "one\r\ntwo\r\n\r\nthree three\r\n");
    assert_counts(&["--workers", "3"], &[&bytes, &nul, &foreign, &ends]);
}

#[test]
fn a_file_may_be_empty_and_its_last_line_without_end() {
    let scratch = Scratch::new("ends");
    let empty = scratch.file("empty", "");
    let blank = scratch.file("blank", "\n\n \n");
    let open = scratch.file("open", "one two\nthree two");
    assert_eq!(words_of(&demo(&[], &[&empty])), []);
    assert_eq!(words_of(&demo(&["--workers", "1"], &[&blank, &empty])), []);
    assert_counts(&[], &[&open, &empty, &open]);
}

#[test]
fn one_worker_does_as_well_as_many() {
    let scratch = Scratch::new("workers");
    let (one, two) = (scratch.file("one", text(9000)), scratch.file("two", text(3000)));
    for workers in ["1", "2", "7"] {
        assert_counts(&["--workers", workers], &[&one, &two, &one]);
    }
}

#[test]
fn a_line_may_be_very_long() {
    let scratch = Scratch::new("long");
    let mut line = text(20_000).replace('\n', " ").repeat(20);
    assert!(line.len() > 10 << 20);
    line.truncate(10 << 20);
    let words = scratch.file("words", format!("short\n{line}\nshort\n"));
    let word = scratch.file("word", "x".repeat(10 << 20));
    assert_counts(&[], &[&words, &word]);
}

#[test]
fn more_different_words_than_fit_a_pipe_come_back_whole() {
    let scratch = Scratch::new("many");
    let many: String = (0..300_000).map(|n| format!("word-number-{n}\n")).collect();
    let file = scratch.file("many", many);
    assert_counts(&["--workers", "2"], &[&file]);
}

#[test]
fn equally_frequent_words_are_in_the_order_of_their_bytes() {
    let scratch = Scratch::new("ties");
    let file = scratch.file("ties", b"b a \xFF Z a b c\nab Z \xFF z");
    let top = words_of(&demo(&["--top", "5"], &[&file]));
    let words = [(2, &b"Z"[..]), (2, b"a"), (2, b"b"), (2, b"\xFF"), (1, b"ab")];
    assert_eq!(top, words.map(|(count, word)| (count, word.to_vec())));
    assert_eq!(words_of(&demo(&["--top", "0"], &[&file])), []);
    assert_eq!(words_of(&demo(&[], &[&file])).len(), 7);
}

#[test]
fn the_table_has_a_row_for_each_run() {
    let scratch = Scratch::new("table");
    let file = scratch.file("file", "one two\nthree\n");
    let output = demo(&[], &[&file, &file]);
    assert_success(&output);
    let text = String::from_utf8(output.stdout).unwrap();
    for name in ["slipring ", "OS pipes "] {
        let row = text.lines().find(|line| line.starts_with(name)).unwrap();
        let mut cells = row[name.len()..].split_whitespace();
        assert_eq!((cells.next(), cells.next()), (Some("4"), Some("28")), "{row}");
        let [moved, counted] =
            [cells.next(), cells.next()].map(|s| s.unwrap().parse::<f64>().unwrap());
        assert!(moved >= 0.0 && counted > 0.0 && cells.count() == 1, "{row}");
    }
}

#[test]
fn json_has_the_same_facts() {
    let scratch = Scratch::new("json");
    let file = scratch.file("file", b"two one\nthree two\n\xFFx\xFFx");
    let output = demo(&["--json", "--top", "2", "--workers", "3"], &[&file]);
    assert_success(&output);
    let object: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(object["files"], serde_json::json!([file.to_str().unwrap()]));
    assert_eq!((&object["workers"], &object["words"]), (&3.into(), &5.into()));
    assert_eq!(object["distinct_words"], 4);
    let top = serde_json::json!([{"word": "two", "count": 2}, {"word": "one", "count": 1}]);
    assert_eq!(object["top"], top);
    assert_eq!((&object["equal"], &object["note"]), (&true.into(), &Value::Null));
    assert_eq!(object["killed"], Value::Null);
    for run in ["slipring", "os_pipes"] {
        assert_eq!((&object[run]["lines"], &object[run]["bytes"]), (&3.into(), &22.into()));
        let (seconds, rate) = (&object[run]["seconds"], &object[run]["lines_per_second"]);
        let product = seconds.as_f64().unwrap() * rate.as_f64().unwrap();
        assert!((product - 3.0).abs() < 1e-6, "{seconds} {rate}");
        assert!(object[run]["moved_seconds"].as_f64().unwrap() >= 0.0, "{object}");
    }
}

#[test]
fn a_file_that_is_read_several_times_counts_as_one_that_is_so_much_longer() {
    let scratch = Scratch::new("times");
    let once = text(500) + "no end";
    let (file, long) = (scratch.file("file", &once), scratch.file("long", once.repeat(30)));
    let empty = scratch.file("empty", "");
    let all = ["--times", "30", "--top", "1000000"];
    assert_eq!(words_of(&demo(&all, &[&file, &empty])), expected(&[&long]));
    let (path, _open) = scratch.fifo("fifo");
    let output = demo(&["--times", "2"], &[&path]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("can be read once"), "{said}");
}

#[test]
fn counts_are_right_whoever_is_killed() {
    let scratch = Scratch::new("kills");
    let text = text(10_000);
    let (one, two) = (scratch.file("one", text.repeat(4)), scratch.file("two", text.repeat(3)));
    let files = [one.as_path(), &two];
    let (wanted, mut killed, mut again) = (expected(&files), 0, 0);
    for workers in ["1", "2", "3"] {
        let arguments = ["--json", "--kill", "6", "--workers", workers, "--top", "1000000"];
        let output = demo(&arguments, &files);
        assert_success(&output);
        let object: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(object["equal"], true, "{object}");
        let word =
            |word: &Value| (word["count"].as_u64().unwrap(), word["word"].as_str().unwrap().into());
        let top: Vec<_> = object["top"].as_array().unwrap().iter().map(word).collect();
        assert!(top == wanted, "{workers} workers counted something else");
        killed += object["killed"]["workers"].as_u64().unwrap();
        again += object["killed"]["batches_taken_again"].as_u64().unwrap();
    }
    assert!(killed > 6 && again > 0, "{killed} workers were killed, {again} batches came again");
}

#[test]
fn workers_are_killed_where_the_input_can_be_read_only_once() {
    let scratch = Scratch::new("kill-fifo");
    let (path, mut open) = scratch.fifo("fifo");
    let demo = Demo::start(&["--kill", "1", "--workers", "1"], &[&path], Stdio::null());
    demo.children("reader", 1);
    let lines = "one two\n".repeat(20_000);
    let writer = thread::spawn(move || open.write_all(lines.as_bytes()));
    writer.join().unwrap().unwrap();
    let output = demo.end_within(PATIENCE);
    assert_eq!(words_of(&output), [(20_000, b"one".to_vec()), (20_000, b"two".to_vec())]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("\nslipring: ") && text.contains("killed at work"), "{text}");
}

#[test]
fn json_shows_words_that_are_not_utf8_lossily() {
    let scratch = Scratch::new("lossy");
    let file = scratch.file("file", b"a\xFFb");
    let output = demo(&["--json"], &[&file]);
    let object: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(object["top"][0]["word"], "a\u{FFFD}b");
}

#[test]
fn a_fifo_is_read_once_and_the_comparison_left_out() {
    let scratch = Scratch::new("fifo");
    let (path, mut open) = scratch.fifo("fifo");
    let demo = Demo::start(&[], &[&path], Stdio::null());
    demo.children("reader", 1);
    open.write_all(b"one two\ntwo").unwrap();
    // Who opens a FIFO after that, without waiting, is told of its end; so it is open there when this end goes.
    let deadline = Instant::now() + PATIENCE;
    while rustix::io::ioctl_fionread(&open).unwrap() > 0 {
        assert!(Instant::now() < deadline, "nobody reads the FIFO");
        thread::sleep(Duration::from_millis(2));
    }
    drop(open);
    let output = demo.end_within(PATIENCE);
    assert_eq!(words_of(&output), [(2, b"two".to_vec()), (1, b"one".to_vec())]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains(&format!("OS pipes were left out: {}", path.display())), "{text}");
}

#[test]
fn the_standard_input_is_a_file_like_any_other() {
    let scratch = Scratch::new("stdin");
    let file = scratch.file("file", "one");
    let (from, mut to) = std::io::pipe().unwrap();
    let files = [Path::new("/dev/stdin"), &file];
    let demo = Demo::start(&["--json"], &files, from.into());
    to.write_all(b"one two\n").unwrap();
    drop(to);
    let output = demo.end_within(PATIENCE);
    assert_success(&output);
    let object: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&object["top"][0]["count"], &object["words"]), (&2.into(), &3.into()));
    assert_eq!((&object["os_pipes"], &object["equal"]), (&Value::Null, &Value::Null));
    assert!(object["note"].as_str().unwrap().contains("/dev/stdin"));
}

#[test]
fn a_file_that_cannot_be_read_is_named_before_anything_starts() {
    let scratch = Scratch::new("missing");
    let good = scratch.file("good", "one");
    for bad in [scratch.0.join("missing"), scratch.0.clone(), good.join("below")] {
        let output = demo(&[], &[&good, &bad]);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.starts_with(&format!("slipring: {}: ", bad.display())), "{said}");
        assert!(output.stdout.is_empty() && said.lines().count() == 1, "{said}");
    }
}

#[test]
fn wrong_usage_is_exit_code_2() {
    let file = Path::new(file!());
    let wrong = [
        &["--workers", "0"][..],
        &["--workers", "many"],
        &["--top", "-1"],
        &["--kill", "101"],
        &["--no"],
    ];
    for arguments in wrong {
        assert_eq!(demo(arguments, &[file]).status.code(), Some(2), "{arguments:?}");
    }
    assert_eq!(demo(&[], &[]).status.code(), Some(2));
}

#[test]
fn help_teaches() {
    let output = demo(&["--help"], &[]);
    assert_success(&output);
    let text = String::from_utf8(output.stdout).unwrap();
    for part in ["slipring demo --workers 4", "Exit codes:", "4096 bytes", "A word is", "moved in"]
    {
        assert!(text.contains(part), "{part} is missing: {text}");
    }
    assert!(!text.contains("demo-child"), "{text}");
}

/// Starts a run that does not end by itself, kills one of its processes, and returns what it says of that process.
fn say_when_killed(test: &str, role: &str, lines: &[u8]) -> (String, Pid, PathBuf) {
    let scratch = Scratch::new(test);
    let (path, mut fifo) = scratch.fifo("fifo");
    let file = scratch.file("file", text(2000));
    let demo = Demo::start(&["--workers", "2"], &[&path, &file], Stdio::null());
    let (workers, readers) = (demo.children("worker", 2), demo.children("reader", 1));
    fifo.write_all(lines).unwrap();
    let victim = if role == "worker" { workers[1] } else { readers[0] };
    kill_process(victim, Signal::KILL).unwrap();
    let output = demo.end_within(SOON);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(output.stdout.is_empty());
    assert!(workers.into_iter().chain(readers).all(|pid| !exists(pid)), "all are ended and reaped");
    (said, victim, path)
}

#[test]
fn a_worker_that_is_killed_is_named() {
    let (said, pid, _) = say_when_killed("kill-worker", "worker", b"one\ntwo\n");
    let who = format!("(pid {}) was killed by signal 9 (SIGKILL)\n", pid.as_raw_nonzero());
    assert!(said.starts_with("slipring: worker ") && said.ends_with(&who), "{said:?}");
}

#[test]
fn a_reader_that_is_killed_is_named_with_its_file() {
    let (said, pid, path) = say_when_killed("kill-reader", "reader", b"one\ntwo\n");
    let who = format!("the reader of {} (pid {})", path.display(), pid.as_raw_nonzero());
    assert_eq!(said, format!("slipring: {who} was killed by signal 9 (SIGKILL)\n"));
}

#[test]
fn a_worker_over_pipes_that_is_killed_is_named_and_not_the_readers_that_miss_it() {
    let scratch = Scratch::new("kill-pipe-worker");
    let file = scratch.file("file", text(10_000).repeat(40));
    let demo = Demo::start(&["--workers", "2"], &[&file, &file, &file], Stdio::null());
    let victim = demo.children("pipe-worker", 2)[0];
    kill_process(victim, Signal::KILL).unwrap();
    let output = demo.end_within(PATIENCE);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    let who = format!("over pipes (pid {}) was killed by signal 9", victim.as_raw_nonzero());
    assert!(said.contains(&who) && !said.contains("reader") && !exists(victim), "{said}");
}

#[test]
fn nobody_outlives_the_program() {
    for signal in [Signal::INT, Signal::KILL] {
        let scratch = Scratch::new("orphans");
        let (path, _fifo) = scratch.fifo("fifo");
        let demo = Demo::start(&["--workers", "3"], &[&path], Stdio::null());
        let (workers, readers) = (demo.children("worker", 3), demo.children("reader", 1));
        kill_process(Pid::from_raw(demo.pid() as i32).unwrap(), signal).unwrap();
        let output = demo.end_within(SOON);
        assert!(!output.status.success());
        let deadline = Instant::now() + SOON;
        for pid in workers.into_iter().chain(readers) {
            while is_alive(pid) {
                assert!(Instant::now() < deadline, "{pid:?} lives on");
                thread::sleep(Duration::from_millis(2));
            }
        }
    }
}

/// Whether a process runs; a zombie, which waits for whoever adopted it, does not.
fn is_alive(pid: Pid) -> bool {
    parent_of(pid.as_raw_nonzero().get()).is_some()
}

#[test]
fn nothing_is_left_in_dev_shm() {
    let scratch = Scratch::new("shm");
    let ours = || {
        let names = fs::read_dir("/dev/shm").unwrap().map(|entry| entry.unwrap().file_name());
        names.filter(|name| name.to_string_lossy().contains("slipring")).count()
    };
    let before = ours();
    let file = scratch.file("file", text(100));
    assert_counts(&[], &[&file]);
    let (path, _fifo) = scratch.fifo("fifo");
    let demo = Demo::start(&[], &[&path], Stdio::null());
    kill_process(demo.children("reader", 1)[0], Signal::KILL).unwrap();
    assert_eq!(demo.end_within(SOON).status.code(), Some(1));
    assert!(ours() <= before);
}

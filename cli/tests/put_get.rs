//! `put` and `get` as users run them.

#[path = "put_get/run.rs"]
mod run;

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use rustix::fs::{CWD, Mode};
use rustix::process::Signal;
use slipring::{ByteReceiver, ByteSender, Event, Mutex, Name, Named, QueueOptions, unlink};

use run::{PATIENCE, Run, lines, numbered, open, through, unique, wait_for};

/// What a case is called, its options, what goes in and what comes out.
type Case<'a> = (&'a str, &'a [&'a str], &'a [u8], &'a [u8]);

#[test]
fn what_is_put_is_what_one_gets_in_every_framing() {
    let all_bytes: Vec<u8> = (0..=255).cycle().take(70_000).collect();
    let frame = |record: &[u8]| [&(record.len() as u32).to_le_bytes()[..], record].concat();
    let frames = [frame(b""), frame(b"a\n\0"), frame(&all_bytes), frame(b"")].concat();
    let long = [&vec![b'x'; 3 << 20][..], b"\n\ny\n"].concat();
    let cases: [Case<'_>; 9] = [
        ("nothing", &[], b"", b""),
        ("empty", &[], b"\n\n", b"\n\n"),
        ("open", &[], b"one\r\n\xff\0two", b"one\r\n\xff\0two\n"),
        ("long", &[], &long, &long),
        ("null", &["--null"], b"a\nb\0\0c", b"a\nb\0\0c\0"),
        ("frames", &["--frames"], &frames, &frames),
        ("batch", &["--batch", "7"], b"a\nb\n\nc\n", b"a\nb\n\nc\n"),
        ("one", &["--maxsize", "1"], b"a\nb\n\nc\n", b"a\nb\n\nc\n"),
        ("endless", &["--maxsize", "0", "--frames"], &frames, &frames),
    ];
    for (name, options, input, output) in cases {
        let putting: Vec<_> = match options {
            ["--batch", ..] => Vec::new(),
            _ => options.to_vec(),
        };
        let name = unique(&format!("framing-{name}"));
        let get = Run::get(&[&[name.as_str()], options].concat());
        open::<ByteReceiver>(&name);
        let put = Run::put(&[&[name.as_str()], &putting[..]].concat(), input);
        put.end().well();
        assert!(get.end().well() == output, "{name}");
    }
    assert_eq!(through(&unique("framing-all"), &["--null"], &all_bytes[..256]), {
        let (first, rest) = all_bytes[..256].split_at(1);
        [first, rest, &[0]].concat()
    });
}

#[test]
fn files_come_in_their_order_and_a_missing_one_is_known_before_anything_is_put() {
    let name = unique("files");
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(&name);
    fs::create_dir_all(&dir).unwrap();
    let file = |name: &str, text: &str| {
        let path = dir.join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (a, b, gone) = (file("a", "1\n2"), file("b", "3\n"), dir.join("gone"));
    let get = Run::get(&[&name]);
    open::<ByteReceiver>(&name);
    Run::put(&[&name, &b, "-", &a], b"0\n").end().well();
    assert_eq!(get.end().well(), b"3\n0\n1\n2\n");
    let said = Run::put(&[&name, &a, gone.to_str().unwrap()], b"").end().failed(2);
    assert!(said.contains("gone: No such file"), "{said}");
    let said = Run::put(&[&name, dir.to_str().unwrap()], b"").end().failed(2);
    assert!(said.contains("directory"), "{said}");
    assert!(ByteSender::open(&name).is_err(), "the queue was not made");
    fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn many_put_and_many_get_and_each_line_goes_to_one_in_its_putters_order() {
    const EACH: usize = 3000;
    let name = unique("many");
    let gets: Vec<_> = (0..3)
        .map(|n| Run::get(&[&name, "--batch", ["1", "1", "50"][n], "--maxsize", "64"]))
        .collect();
    // As long as this is there, no get ends.
    let watch: ByteSender = open(&name);
    wait_for("all gets", || (watch.receivers() == 3).then_some(()));
    let puts: Vec<_> =
        (0..4).map(|n| Run::put(&[&name], &numbered(&n.to_string(), EACH))).collect();
    puts.into_iter().for_each(|put| assert!(put.end().well().is_empty()));
    drop(watch);
    let mut all = Vec::new();
    for get in gets {
        let got = get.end().well();
        let mut last = HashMap::new();
        for line in lines(&got) {
            let (whose, n) = whose_and_which(line);
            assert!(last.insert(whose.to_owned(), n).is_none_or(|before| before < n), "{line}");
            all.push(line.to_owned());
        }
    }
    all.sort();
    let mut wanted: Vec<_> = (0..4)
        .flat_map(|n| String::from_utf8(numbered(&n.to_string(), EACH)).into_iter())
        .collect();
    wanted = wanted.iter().flat_map(|text| text.lines()).map(str::to_owned).collect();
    wanted.sort();
    assert!(all == wanted);
}

fn whose_and_which(line: &str) -> (&str, usize) {
    let mut words = line.split(' ');
    let (whose, n) = (words.next().unwrap(), words.next().unwrap().parse().unwrap());
    assert_eq!(words.next().unwrap().len(), n % 90, "whole: {line}");
    (whose, n)
}

#[test]
fn a_killed_get_costs_at_most_the_line_in_its_hands() {
    const ALL: usize = 60_000;
    let name = unique("kill-get");
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(&name);
    fs::create_dir_all(&dir).unwrap();
    let mut victims = Vec::new();
    let start = |n: usize| {
        let path = dir.join(n.to_string());
        let run = Run::start(
            &["get", &name, "--maxsize", "100"],
            Stdio::null(),
            File::create(&path).unwrap(),
        );
        (run, path)
    };
    let first = start(0);
    let survivor = start(1);
    // As long as this is there, no get ends.
    let watch: ByteSender = open(&name);
    wait_for("both gets", || (watch.receivers() == 2).then_some(()));
    let put = Run::put(&[&name], &numbered("a", ALL));
    victims.push(first);
    for n in 2..8 {
        let (run, path) = victims.last().unwrap();
        wait_for("a line", || (fs::metadata(path).unwrap().len() > 0).then_some(()));
        run.signal(Signal::KILL);
        victims.push(start(n));
    }
    let (last, last_path) = victims.pop().unwrap();
    put.end().well();
    let attached = || watch.receivers() == 2;
    wait_for("the last one, and the end of the dead", || attached().then_some(()));
    drop(watch);
    last.end().well();
    survivor.0.end().well();
    let mut files: Vec<PathBuf> = vec![last_path, survivor.1];
    let killed = victims.len();
    for (run, path) in victims {
        assert_eq!(run.end().status.signal(), Some(9));
        files.push(path);
    }
    let mut found = vec![0; ALL];
    for path in files {
        let got = fs::read(path).unwrap();
        assert!(got.is_empty() || got.ends_with(b"\n"), "no line is torn");
        lines(&got).into_iter().for_each(|line| found[whose_and_which(line).1] += 1);
    }
    let count = |times| found.iter().filter(|found| **found == times).count();
    assert_eq!(count(0) + count(1), ALL, "nothing came twice");
    assert!(count(0) <= killed, "{} lost by {killed} kills", count(0));
    fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn what_a_killed_put_had_put_is_there_and_whole_and_the_others_go_on() {
    const ALL: usize = 20_000;
    let name = unique("kill-put");
    let (get, out) = Run::get_open(&[&name, "--maxsize", "100"]);
    let mut came = BufReader::new(out);
    open::<ByteReceiver>(&name);
    let survivor = Run::put(&[&name], &numbered("survivor", ALL));
    let mut text = Vec::new();
    for n in 0..5 {
        let victim = Run::put(&[&name], &numbered(&n.to_string(), 1 << 20));
        // Until it has come into its stride.
        while !text.ends_with(format!("\n{n} 300 {}\n", "x".repeat(30)).as_bytes()) {
            assert!(came.read_until(b'\n', &mut text).unwrap() > 0);
        }
        victim.signal(Signal::KILL);
        assert_eq!(victim.end().status.signal(), Some(9));
    }
    let rest = thread::spawn(move || came.read_to_end(&mut text).map(|_| text));
    survivor.end().well();
    get.end().well();
    let text = rest.join().unwrap().unwrap();
    let mut next: HashMap<&str, usize> = HashMap::new();
    for line in lines(&text) {
        let (whose, n) = whose_and_which(line);
        let next = next.entry(whose).or_default();
        assert_eq!(n, *next, "in order, none missing, none twice: {line}");
        *next += 1;
    }
    assert_eq!((next.len(), next["survivor"]), (6, ALL));
}

#[test]
fn put_stays_until_its_lines_are_taken_and_no_longer() {
    let name = unique("stays");
    let mut put = Run::put(&[&name], b"one\ntwo\n");
    let mut other = open::<ByteSender>(&name);
    wait_for("both lines", || (other.len() == 2).then_some(()));
    other.send(b"somebody else's").unwrap();
    assert!(put.0.try_wait().unwrap().is_none());
    assert_eq!(Run::get(&[&name, "--count", "1"]).end().well(), b"one\n");
    assert!(put.0.try_wait().unwrap().is_none(), "one of its lines is left");
    assert_eq!(Run::get(&[&name, "-n1"]).end().well(), b"two\n");
    put.end().well();
    assert_eq!(other.len(), 1, "that one did not keep it");
}

#[test]
fn lines_left_in_a_queue_that_persists_are_had_later() {
    let name = unique("later");
    for line in ["one\n", "two\n"] {
        Run::put(&[&name, "--persist"], line.as_bytes()).end().well();
    }
    assert_eq!(Run::get(&[&name, "-n1"]).end().well(), b"one\n");
    // It is there to stay, whether this one says so or not.
    Run::put(&[&name], b"three\n").end().well();
    assert_eq!(Run::get(&[&name]).end().well(), b"two\nthree\n");
    assert_eq!(Run::get(&[&name]).end().well(), b"", "everybody who put has ended");
    let said = Run::get(&[&name, "--follow", "--timeout", "0"]).end().failed(4);
    assert!(said.contains(&name) && said.contains("nobody puts"), "{said}");
    unlink(&name).unwrap();
}

#[test]
fn a_get_that_follows_serves_one_put_after_the_other() {
    let name = unique("follow");
    let get = Run::get(&[&name, "--follow", "--count", "3"]);
    open::<ByteReceiver>(&name);
    for line in ["one\n", "two\n", "three\n"] {
        Run::put(&[&name], line.as_bytes()).end().well();
    }
    assert_eq!(get.end().well(), b"one\ntwo\nthree\n");
}

#[test]
fn who_waits_in_vain_says_so_when_the_time_is_over() {
    let name = unique("vain");
    let said = Run::get(&[&name, "--timeout", "0.05"]).end().failed(4);
    assert!(said.contains("no line came") && said.contains("nobody puts"), "{said}");
    let said = Run::put(&[&name, "--timeout", "0.05"], b"one\n").end().failed(4);
    assert!(said.contains("nobody takes") && said.contains("1 line is in it"), "{said}");
    let said = Run::put(&[&name, "--timeout", "0.05", "--maxsize", "2"], b"1\n2\n3\n").end();
    assert!(said.failed(4).contains("2 lines are in it"));
    let _sender = ByteSender::create(&name, QueueOptions::bounded(1)).unwrap();
    let said = Run::get(&[&name, "--timeout", "0.05"]).end().failed(4);
    assert!(said.contains("one process could"), "{said}");
    let said = Run::get(&[&name, "--timeout=-1"]).end().failed(2);
    assert!(said.contains("--timeout"), "{said}");
}

#[test]
fn names_that_are_bad_or_mean_something_else_are_refused() {
    for command in ["put", "get"] {
        let run = |args: &[&str]| {
            Run::start(&[&[command], args].concat(), Stdio::null(), Stdio::piped()).end()
        };
        for (bad, word) in [("", "empty"), ("a/b", "slash"), (&"x".repeat(129), "128")] {
            let said = run(&[bad]).failed(2);
            assert!(said.contains(word), "{said}");
        }
        let said = run(&["x", "--maxsize", "67108865"]).failed(2);
        assert!(said.contains("67108864"), "{said}");
        let name = unique(&format!("kind-{command}"));
        let _mutex = Mutex::<u64>::create(&name, 0).unwrap();
        let said = run(&[&name]).failed(1);
        assert!(said.contains(&name) && said.contains("a mutex, not a queue"), "{said}");
        let taken = unique(&format!("file-{command}"));
        let path = slipring::name::directory().join(format!("slipring.{taken}"));
        fs::write(&path, "something else").unwrap();
        let said = run(&[&taken]).failed(1);
        fs::remove_file(&path).unwrap();
        assert!(said.contains("no slipring segment"), "{said}");
        let event = unique(&format!("mode-{command}"));
        let _event = Event::create(Name::new(&event), ()).unwrap();
        assert!(run(&[&event, "--mode", "9"]).failed(2).contains("--mode"));
    }
}

#[test]
fn a_queue_is_made_as_the_options_say() {
    use std::os::unix::fs::PermissionsExt;
    let name = unique("made");
    let get = Run::get(&[&name, "--mode", "640", "--maxsize", "3", "--follow"]);
    let sender: ByteSender = open(&name);
    assert_eq!(sender.capacity(), Some(3));
    let path = slipring::name::directory().join(format!("slipring.{name}"));
    assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o640);
    drop(get);
    let name = unique("unbounded");
    let put = Run::put(&[&name, "--maxsize", "0"], b"x\n");
    assert_eq!(open::<ByteSender>(&name).capacity(), None);
    assert_eq!(Run::get(&[&name]).end().well(), b"x\n");
    put.end().well();
}

#[test]
fn a_closed_standard_output_ends_get_and_it_takes_no_more() {
    let name = unique("closed");
    let mut sender = ByteSender::create(&name, QueueOptions::bounded(8)).unwrap();
    let (get, out) = Run::get_open(&[&name]);
    let mut out = BufReader::new(out);
    sender.set_patient(true);
    sender.send(b"one").unwrap();
    let mut line = String::new();
    out.read_line(&mut line).unwrap();
    assert_eq!(line, "one\n");
    drop(out);
    // It waits, and learns of it by itself: what comes then is not its own.
    get.end().well();
    sender.send(b"two").unwrap();
    assert_eq!(ByteReceiver::open(&name).unwrap().recv().unwrap(), b"two");

    // And with more than enough to take.
    let put = Run::put(&[&name, "--timeout", "1"], &numbered("a", 5000));
    let (get, out) = Run::get_open(&[&name]);
    let mut out = BufReader::new(out);
    out.read_line(&mut line).unwrap();
    drop(out);
    get.end().well();
    assert!(put.end().failed(4).contains("lines are in it"));
}

#[test]
fn a_signal_that_asks_for_the_end_gets_it_and_the_queue_goes_on() {
    let name = unique("signal");
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143), (Signal::HUP, 129)] {
        let mut sender = ByteSender::create(&name, QueueOptions::bounded(2)).unwrap();
        // One that waits for lines, one that waits for input, one for room, and one for its lines to be taken.
        let get = Run::get(&[&name]);
        wait_for("get", || (sender.receivers() == 1).then_some(()));
        get.signal(signal);
        assert_eq!(get.end().failed(code), "");
        let open_input = Run::start(&["put", &name], Stdio::piped(), Stdio::null());
        let receiver = ByteReceiver::open(&name).unwrap();
        wait_for("put", || (receiver.senders() == 2).then_some(()));
        open_input.signal(signal);
        assert_eq!(open_input.end().failed(code), "");
        drop(receiver);
        let full = Run::put(&[&name], b"one\ntwo\nthree\n");
        wait_for("a full queue", || sender.is_full().then_some(()));
        full.signal(signal);
        assert_eq!(full.end().failed(code), "");
        let mut receiver = ByteReceiver::open(&name).unwrap();
        assert_eq!([receiver.recv().unwrap(), receiver.recv().unwrap()], [b"one", b"two"]);
        let lingering = Run::put(&[&name], b"four\n");
        wait_for("its line", || (sender.len() == 1).then_some(()));
        lingering.signal(signal);
        assert_eq!(lingering.end().failed(code), "");
        assert_eq!(receiver.recv().unwrap(), b"four");
        sender.send(b"five").unwrap();
        assert_eq!(receiver.recv().unwrap(), b"five", "nobody minds");
    }
}

#[test]
fn get_that_cannot_write_ends_on_a_signal() {
    let name = unique("stuck");
    let put = Run::put(&[&name, "--timeout", "9"], &numbered("a", 5000));
    // Nobody reads the pipe.
    let (get, out) = Run::get_open(&[&name]);
    let sender: ByteSender = open(&name);
    let mut before = 0;
    wait_for("a full pipe", || {
        let left = sender.len();
        thread::sleep(Duration::from_millis(50));
        let stuck = left == sender.len() && left > 0 && left == before;
        before = left;
        stuck.then_some(())
    });
    get.signal(Signal::INT);
    assert_eq!(get.end().failed(130), "");
    assert_eq!(sender.len(), before, "the rest is there");
    drop((out, put));
}

#[test]
fn a_record_that_is_too_long_or_cut_short_ends_put_with_its_number() {
    let name = unique("too-long");
    let mut receiver =
        ByteReceiver::create(&name, QueueOptions::bounded(9).max_message(5)).unwrap();
    let said = Run::put(&[&name], b"one\n12345\n123456\nfour\n").end().failed(1);
    assert!(said.contains("standard input: line 3") && said.contains("up to 5"), "{said}");
    assert_eq!([receiver.recv().unwrap(), receiver.recv().unwrap()], [&b"one"[..], b"12345"]);
    assert!(receiver.try_recv().is_err(), "nothing behind it was put");
    let said = Run::put(&[&name, "--frames"], b"\x02\0\0\0ab\x05\0\0\0cd").end().failed(1);
    assert!(said.contains("frame 2 is cut short: 2 of its 5"), "{said}");
    assert_eq!(receiver.recv().unwrap(), b"ab");
    let said = Run::put(&[&name, "--frames"], b"\xff\xff\xff\xff").end().failed(1);
    assert!(said.contains("frame 1 has 4294967295 bytes"), "{said}");
}

#[test]
fn lines_for_which_there_is_no_memory_wait_for_others_to_be_taken() {
    let name = unique("memory");
    let segment = slipring::SegmentOptions::new().reserve(64 << 20);
    let named = Name::new(&name).segment(segment);
    let receiver = ByteReceiver::create(named, QueueOptions::bounded(1000)).unwrap();
    // The segment has room for a few of such lines at a time.
    let line = [&vec![b'x'; 700 << 10][..], b"\n"].concat();
    let input = line.repeat(40);
    let put = Run::put(&[&name], &input);
    wait_for("some", || (!receiver.is_empty()).then_some(()));
    let get = Run::get(&[&name]);
    put.end().well();
    assert!(get.end().well() == input);
}

#[test]
fn input_is_put_as_soon_as_its_line_ends_also_from_a_fifo() {
    let name = unique("fifo");
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(&name);
    rustix::fs::mkfifoat(CWD, &path, Mode::RUSR | Mode::WUSR).unwrap();
    let mut receiver = ByteReceiver::create(&name, QueueOptions::bounded(9)).unwrap();
    let put = Run::put(&[&name, path.to_str().unwrap()], b"");
    let mut fifo = File::options().write(true).open(&path).unwrap();
    fifo.write_all(b"one\ntw").unwrap();
    assert_eq!(receiver.recv_until(PATIENCE).unwrap(), b"one");
    fifo.write_all(b"o\n").unwrap();
    assert_eq!(receiver.recv_until(PATIENCE).unwrap(), b"two");
    drop(fifo);
    put.end().well();
    fs::remove_file(&path).unwrap();
}

#[test]
fn help_teaches_with_examples_and_exit_codes() {
    for command in ["put", "get"] {
        let said = Run::start(&[command, "--help"], Stdio::null(), Stdio::piped()).end().well();
        let said = String::from_utf8(said).unwrap();
        for part in ["Examples:", "Exit codes:", "What a kill costs:", "4 bytes", "--timeout"] {
            assert!(said.contains(part), "{command}: {part}");
        }
    }
}

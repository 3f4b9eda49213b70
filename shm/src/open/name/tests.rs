use super::*;
use crate::{ByteReceiver, ByteSender, Event, Mutex, OrRecover, QueueOptions, SegmentOptions};

fn unique(what: &str) -> String {
    format!("test-{what}-{}", std::process::id())
}

#[test]
fn names_that_can_be_none_are_refused_with_the_reason() {
    let long = "x".repeat(129);
    for (text, word) in [("", "empty"), ("a/b", "slash"), ("a\0b", "NUL"), (&long, "128")] {
        let error = Event::create(text, ()).unwrap_err();
        assert!(matches!(error, Error::BadName { why } if why.contains(word)), "{text:?}");
        assert!(matches!(Event::open(text), Err(Error::BadName { .. })));
        assert!(matches!(unlink(text), Err(Error::BadName { .. })));
    }
    let longest = format!("{:-<128}", unique("long"));
    drop(Event::create(&longest, ()).unwrap());
}

#[test]
fn a_name_is_taken_once_opened_often_and_gone_with_the_last_handle() {
    let name = unique("once");
    let one = Mutex::<u64>::create(&name, 7).unwrap();
    assert!(matches!(Mutex::<u64>::create(&name, 8), Err(Error::NameTaken { .. })));
    assert!(names().unwrap().contains(&name));
    let two = Mutex::<u64>::open(&name).unwrap();
    two.lock().or_recover().unwrap().set(9);
    assert_eq!(one.lock().or_recover().unwrap().get(), 9);
    drop(one);
    let three = Mutex::<u64>::open_or_create(&name, 1).unwrap();
    assert_eq!(three.lock().or_recover().unwrap().get(), 9);
    drop((two, three));
    assert!(matches!(Mutex::<u64>::open(&name), Err(Error::NoSuchName { .. })));
    assert!(!names().unwrap().contains(&name));
}

#[test]
fn another_kind_and_another_type_are_errors() {
    let name = unique("kind");
    let _event = Event::create(&name, ()).unwrap();
    let error = ByteSender::open(&name).unwrap_err();
    assert!(matches!(error, Error::WrongKind { wanted: "queue", found: "event" }), "{error}");
    let other = unique("type");
    let _mutex = Mutex::<u64>::create(&other, 0).unwrap();
    assert!(matches!(Mutex::<u32>::open(&other), Err(Error::TypeMismatch { .. })));
}

#[test]
fn a_queue_with_a_name_has_the_sides_that_somebody_opened() {
    let name = unique("sides");
    let mut rx = ByteReceiver::create(&name, QueueOptions::bounded(2)).unwrap();
    assert!(matches!(rx.try_recv(), Err(Error::WouldBlock)), "a sender may come");
    let mut tx = ByteSender::open(&name).unwrap();
    tx.send(b"one").unwrap();
    drop(tx);
    assert_eq!(rx.recv().unwrap(), b"one");
    assert!(matches!(rx.recv(), Err(Error::Disconnected)));
    let mut tx = ByteSender::open(&name).unwrap();
    tx.send(b"two").unwrap();
    assert_eq!(rx.recv().unwrap(), b"two", "another one came");
    assert!(matches!(rx.try_recv(), Err(Error::WouldBlock)));
}

#[test]
fn a_side_that_nobody_has_had_is_waited_for_whoever_comes_and_goes_on_the_other() {
    let name = unique("first");
    let mut rx = ByteReceiver::create(&name, QueueOptions::bounded(2)).unwrap();
    drop(ByteReceiver::open(&name).unwrap());
    assert!(matches!(
        ByteReceiver::create(&name, QueueOptions::bounded(2)),
        Err(Error::NameTaken { .. })
    ));
    assert!(matches!(rx.try_recv(), Err(Error::WouldBlock)), "the first sender may still come");
    drop(rx);
    let mut tx = ByteSender::create(&name, QueueOptions::bounded(2)).unwrap();
    drop(ByteSender::open(&name).unwrap());
    tx.send(b"one").unwrap();
    drop(ByteReceiver::open(&name).unwrap());
    assert!(matches!(tx.send(b"two"), Err(Error::Disconnected)), "now there was one");
}

#[test]
fn so_it_is_with_queues_that_have_an_order() {
    let (name, options) = (unique("ordered"), crate::OrderedOptions::bounded(2));
    let mut rx = crate::ByteLifoReceiver::create(&name, options).unwrap();
    drop(crate::ByteLifoReceiver::open(&name).unwrap());
    let error = crate::ByteLifoReceiver::create(&name, options).unwrap_err();
    assert!(matches!(error, Error::NameTaken { .. }), "{error}");
    assert!(matches!(rx.try_recv(), Err(Error::WouldBlock)), "the first sender may still come");
    drop(crate::ByteLifoSender::open(&name).unwrap());
    assert!(matches!(rx.try_recv(), Err(Error::Disconnected)), "now there was one");
}

#[test]
fn what_is_to_stay_stays_with_its_messages_until_it_is_unlinked() {
    let name = unique("stay");
    let stays = Name::new(&name).persist();
    let mut tx = ByteSender::create(stays, QueueOptions::unbounded()).unwrap();
    tx.send(b"later").unwrap();
    drop(tx);
    assert!(matches!(
        ByteSender::create(&name, QueueOptions::unbounded()),
        Err(Error::NameTaken { .. })
    ));
    assert_eq!(ByteReceiver::open(&name).unwrap().try_recv().unwrap(), b"later");
    unlink(&name).unwrap();
    assert!(matches!(unlink(&name), Err(Error::NoSuchName { .. })));
}

#[test]
fn who_has_a_handle_keeps_the_object_when_its_name_is_given_to_another() {
    let name = unique("successor");
    let first = Mutex::<u64>::create(&name, 1).unwrap();
    unlink(&name).unwrap();
    let second = Mutex::<u64>::create(&name, 2).unwrap();
    assert_eq!(first.lock().or_recover().unwrap().get(), 1);
    drop(first);
    assert_eq!(Mutex::<u64>::open(&name).unwrap().lock().or_recover().unwrap().get(), 2);
    drop(second);
    assert!(matches!(Mutex::<u64>::open(&name), Err(Error::NoSuchName { .. })));
}

#[test]
fn a_file_that_is_no_segment_is_neither_opened_nor_replaced_nor_removed() {
    let name = unique("foreign");
    let path = Name::new(&name).path().unwrap();
    std::fs::write(&path, "something else").unwrap();
    let opened = Event::open(&name).unwrap_err();
    let created = Event::create(&name, ()).unwrap_err();
    let unlinked = unlink(&name).unwrap_err();
    for error in [opened, created, unlinked] {
        assert!(matches!(error, Error::NotASegment { .. }), "{error}");
    }
    assert_eq!(std::fs::read(&path).unwrap(), b"something else");
    std::fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink("/dev/null", &path).unwrap();
    assert!(matches!(Event::open(&name), Err(Error::NotASegment { .. })));
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    assert!(matches!(Event::open(&name), Err(Error::NotASegment { .. })));
    std::fs::remove_dir(&path).unwrap();
}

#[test]
fn a_file_of_another_user_is_opened_only_where_that_user_is_trusted() {
    const SOMEBODY: u32 = 12345;
    let name = unique("owner");
    let path = Name::new(&name).path().unwrap();
    let _event = Event::create(&name, ()).unwrap();
    if std::os::unix::fs::chown(&path, Some(SOMEBODY), None).is_err() {
        println!("skipped: only root can give a file away");
        return;
    }
    for error in [Event::open(&name).unwrap_err(), Event::create(&name, ()).unwrap_err()] {
        assert!(matches!(error, Error::ForeignOwner { uid: SOMEBODY, .. }), "{error}");
    }
    let wrong = Event::open(Name::new(&name).trust(SOMEBODY + 1)).unwrap_err();
    assert!(matches!(wrong, Error::ForeignOwner { .. }), "{wrong}");
    assert!(Event::open(Name::new(&name).trust(SOMEBODY)).is_ok());
}

#[test]
fn a_name_of_another_version_is_neither_opened_nor_replaced() {
    let name = unique("version");
    let path = Name::new(&name).path().unwrap();
    // A process that takes part already would not look again.
    drop(Event::create(Name::new(&name).persist(), ()).unwrap());
    let file = sys::open(&path).unwrap();
    let version = |number: u32| {
        crate::sys::file::write_at(file.as_fd(), &number.to_ne_bytes(), 8).unwrap();
    };
    version(77);
    for error in [Event::open(&name).unwrap_err(), Event::create(&name, ()).unwrap_err()] {
        assert!(matches!(error, Error::AbiVersion { theirs: 77, .. }), "{error}");
    }
    version(crate::memory::ABI_VERSION);
    assert!(Event::open(&name).is_ok());
    unlink(&name).unwrap();
}

#[test]
fn mode_and_group_are_as_asked_for() {
    let name = unique("mode");
    let asked = Name::new(&name).mode(0o664);
    let _event = Event::create(asked, ()).unwrap();
    let other = unique("plain");
    let _other = Event::create(&other, ()).unwrap();
    let mode = |name: &str| sys::status_at(&Name::new(name).path().unwrap()).unwrap().mode;
    assert_eq!((mode(&name), mode(&other)), (0o664, 0o600));
}

#[test]
fn a_name_whose_object_a_peer_gone_mad_has_ended_is_free_at_once() {
    let name = unique("ended");
    let path = Name::new(&name).path().unwrap();
    let event = Event::create(&name, ()).unwrap();
    let (segment, file) = (event.segment(), sys::open(&path).unwrap());
    let region = segment.attachment().mapping.geometry().region(crate::memory::Region::Directory);
    let scribble = |at, word: u32| {
        crate::sys::file::write_at(file.as_fd(), &word.to_ne_bytes(), at).unwrap();
    };
    // The object's entry is free, and the segment has another name.
    scribble(region.0 + 128, 0);
    scribble(264, 0x7878_7878);
    let before = crate::sys::clock::now();
    assert!(matches!(Event::open(&name), Err(Error::NoSuchName { .. })));
    assert!(sys::status_at(&path).is_err(), "whoever came took it away");
    let anew = Event::create(&name, ()).unwrap();
    assert!(crate::sys::clock::now() - before < 5_000_000_000, "it was not tried a thousand times");
    drop(event);
    assert!(Event::open(&name).is_ok(), "the old one took nobody's name away");
    drop(anew);
}

#[test]
fn a_segment_that_was_not_made_to_have_a_name_keeps_its_file() {
    let name = unique("nameless");
    let path = Name::new(&name).path().unwrap();
    let options = std::fs::File::options().read(true).write(true).create_new(true).clone();
    let file = options.open(&path).unwrap();
    let segment = Segment::create_in(&file, SegmentOptions::new().reserve(64 << 20)).unwrap();
    assert!(matches!(Event::open(&name), Err(Error::NotASegment { .. })));
    assert!(matches!(Event::create(&name, ()), Err(Error::NotASegment { .. })));
    drop(segment);
    std::fs::remove_file(&path).unwrap();
}

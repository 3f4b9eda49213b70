//! Objects with names: who finds what, among many at once.

use slipring::{
    ByteReceiver, ByteSender, Error, Mutex, Name, Named, OrRecover, QueueOptions, unlink,
};

use super::command::{Args, say, sleep_for_ever};

/// Runs `command` if it is one of these.
pub fn run(command: &str, args: &mut Args) -> bool {
    match (command, args) {
        ("name-find", args) => find(&args.text()),
        ("name-create", args) => create(&args.text()),
        ("name-send", args) => send(args),
        ("victim-names", args) => come_and_go(&args.text()),
        _ => return false,
    }
    true
}

/// `name-find NAME`: opens or makes a mutex around this process's id, says what is in it, and stays.
fn find(name: &str) {
    let me = u64::from(std::process::id());
    match Mutex::open_or_create(name, me) {
        Ok(mutex) => {
            let value = mutex.lock().or_recover().unwrap().get();
            say(&format!("found {value}"));
            sleep_for_ever()
        }
        Err(error) => say(&format!("error {error:?}")),
    }
}

/// `name-create NAME`: makes a mutex, says whether that went, and stays.
fn create(name: &str) {
    match Mutex::create(name, 1_u64) {
        Ok(_mutex) => {
            say("created");
            sleep_for_ever()
        }
        Err(Error::NameTaken { .. }) => say("taken"),
        Err(error) => say(&format!("error {error:?}")),
    }
}

/// `name-send NAME COUNT`: sends so many numbered messages to a queue, and goes.
fn send(args: &mut Args) {
    let (name, count): (String, u32) = (args.text(), args.number());
    let mut sender = ByteSender::open_or_create(&name, QueueOptions::bounded(8)).unwrap();
    (0..count).for_each(|n| sender.send(&n.to_le_bytes()).unwrap());
    say("sent");
}

/// `victim-names NAME`: makes, opens and ends what the name means, in every way there is.
fn come_and_go(name: &str) {
    for round in 0..3 {
        let mut rx = ByteReceiver::create(name, QueueOptions::bounded(3)).unwrap();
        let mut tx = ByteSender::open(name).unwrap();
        tx.send(b"a message in a block").unwrap();
        if round > 0 {
            assert_eq!(rx.recv().unwrap().len(), 20);
        }
        drop((tx, rx));
        let stays = Name::new(name).persist();
        drop(ByteSender::open_or_create(stays, QueueOptions::unbounded()).unwrap());
        drop(ByteReceiver::open(name).unwrap());
        unlink(name).unwrap();
    }
}

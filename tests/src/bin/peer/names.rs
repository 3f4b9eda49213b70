//! Objects with names: who finds what, among many at once.

use std::sync::Barrier;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use slipring::{
    Acceptor, ByteReceiver, ByteSender, Error, Mutex, Name, Named, OrRecover, PipeOptions,
    QueueOptions, ReentrantMutex, Segment, unlink,
};

use super::command::{Args, say, sleep_for_ever};
use super::forks;

/// Runs `command` if it is one of these.
pub fn run(command: &str, args: &mut Args) -> bool {
    match (command, args) {
        ("name-find", args) => find(&args.text()),
        ("name-create", args) => create(&args.text()),
        ("name-create-to-stay", args) => {
            drop(Mutex::create(Name::new(&args.text()).persist(), 0_u64).unwrap());
        }
        ("name-send", args) => send(args),
        ("name-open-often", args) => open_often(args),
        ("name-open-in-threads", args) => open_in_threads(args),
        ("name-open-in-child", args) => open_in_child(&args.text()),
        ("name-left-to-children", args) => left_to_children(&args.text()),
        ("name-inherited", args) => inherited(&args.text()),
        ("name-many", args) => many(args),
        ("name-until-refused", args) => until_refused(args),
        ("victim-names", args) => come_and_go(&args.text()),
        ("victim-left", args) => drop(Mutex::create(&args.text(), 0_u64).unwrap()),
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

fn add_one(mutex: &Mutex<u64>) {
    let mut guard = mutex.lock().or_recover().unwrap();
    let value = guard.get();
    guard.set(value + 1);
}

/// Says how many participants a segment has, and how many of them are this process.
fn say_participants(segment: &Segment) {
    let all = segment.participants();
    say(&format!("{} of {} is me", all.iter().filter(|p| p.is_me).count(), all.len()));
}

/// `name-open-often NAME COUNT`: opens a queue so many times and keeps it all; then takes a reentrant mutex that it has
/// opened twice through both.
fn open_often(args: &mut Args) {
    let (name, count): (String, u32) = (args.text(), args.number());
    let rx = ByteReceiver::create(&name, QueueOptions::bounded(16)).unwrap();
    let all: Vec<_> = (0..count).map(|_| ByteSender::open(&name).unwrap()).collect();
    say_participants(&rx.segment());
    drop((all, rx));
    let one = ReentrantMutex::create(&name, ()).unwrap();
    let two = ReentrantMutex::open(&name).unwrap();
    let _outer = one.lock().or_recover().unwrap();
    let inner = two.lock_until(Duration::from_secs(5)).or_recover();
    say(&format!("inner lock: {:?}", inner.map(|_guard| two.count())));
}

/// `name-open-in-threads NAME ROUNDS`: eight threads open a name at the same moment, again and again; each round all of it
/// is dropped, by all of them.
fn open_in_threads(args: &mut Args) {
    const THREADS: usize = 8;
    let (name, rounds): (String, u32) = (args.text(), args.number());
    let other = Mutex::<u64>::open(&name).is_ok();
    let start = Barrier::new(THREADS);
    let most = std::thread::scope(|scope| {
        let open_all = || -> usize {
            let open = |_| {
                start.wait();
                let mutex = Mutex::<u64>::open(&name).unwrap();
                start.wait();
                let here = mutex.segment().participants().iter().filter(|p| p.is_me).count();
                let all = mutex.segment().participants().len();
                add_one(&mutex);
                start.wait();
                all * here
            };
            (0..rounds).map(open).max().unwrap_or(0)
        };
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(open_all)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).max()
    });
    say(&format!("opened {other}, at most {} participants", most.unwrap_or(0)));
}

/// `name-open-in-child NAME`: makes a mutex; a forked child opens it by name beside the handle that it has.
fn open_in_child(name: &str) {
    let mutex = Mutex::create(name, 0_u64).unwrap();
    forks::join(forks::fork(|| {
        let again = Mutex::<u64>::open(name).unwrap();
        add_one(&again);
        add_one(&mutex);
        say_participants(&again.segment());
    }));
    say(&format!("{} in it", mutex.lock().or_recover().unwrap().get()));
}

/// `name-left-to-children NAME`: makes objects with names of their own, and drops them while a forked child lives that has
/// them, too, and ends as children end.
fn left_to_children(name: &str) {
    for n in 0..3 {
        let rx = ByteReceiver::create(&format!("{name}-{n}"), QueueOptions::bounded(8)).unwrap();
        let other = format!("{name}-connect-{n}");
        let acceptor = Acceptor::create(&other, PipeOptions::new()).unwrap();
        let child = forks::fork(|| std::thread::sleep(Duration::from_millis(50)));
        drop((rx, acceptor));
        forks::join(child);
    }
    drop(Mutex::create(name, 0_u64).unwrap());
    say("dropped");
    sleep_for_ever();
}

/// `name-inherited NAME`: a forked child uses what it has after its parent has dropped it, and has made and dropped other
/// names for a while.
fn inherited(name: &str) {
    let mutex = Mutex::create(name, 7_u64).unwrap();
    let child = forks::fork(|| {
        std::thread::sleep(Duration::from_millis(300));
        assert_eq!(Mutex::<u64>::open(name).unwrap().lock().or_recover().unwrap().get(), 7);
        add_one(&mutex);
        assert_eq!(mutex.lock().or_recover().unwrap().get(), 8);
    });
    drop(mutex);
    for _ in 0..30 {
        drop(Mutex::create(&format!("{name}-other"), 0_u64).unwrap());
        std::thread::sleep(Duration::from_millis(7));
    }
    forks::join(child);
    drop(Mutex::create(&format!("{name}-other"), 0_u64).unwrap());
    say("used");
    sleep_for_ever();
}

fn limit(resource: Resource, most: u64) {
    let wanted = Rlimit { current: Some(most), ..getrlimit(resource) };
    setrlimit(resource, wanted).unwrap();
}

/// `name-until-refused FILES MIB`: makes names with so many descriptors and so much address space, says why it could make no
/// more, and how many there were.
fn until_refused(args: &mut Args) {
    let (files, mib): (u64, u64) = (args.number(), args.number());
    limit(Resource::Nofile, files);
    limit(Resource::As, mib << 20);
    let mut all = vec![];
    let error = loop {
        match Mutex::create(&format!("{}", all.len()), 0_u64) {
            Ok(mutex) => all.push(mutex),
            Err(error) => break error,
        }
    };
    say(&error.to_string());
    say(&all.len().to_string());
}

/// `name-many COUNT GIB FORKS`: makes so many queues with names, all of whose ends it keeps, with 1024 descriptors and so
/// many GiB of address space (0: all there is). Then each has one more message from each of so many forked children.
fn many(args: &mut Args) {
    let (count, gib, forks): (usize, u64, usize) = (args.number(), args.number(), args.number());
    limit(Resource::Nofile, 1024);
    if gib > 0 {
        limit(Resource::As, gib << 30);
    }
    let mut all: Vec<(ByteSender, ByteReceiver)> = (0..count)
        .map(|n| {
            let name = format!("{n}");
            let rx = ByteReceiver::create(&name, QueueOptions::bounded(4));
            let rx = rx.unwrap_or_else(|error| panic!("no. {n}: {error}"));
            let mut tx = ByteSender::open(&name).unwrap();
            tx.send(&[7; 10_000]).unwrap();
            (tx, rx)
        })
        .collect();
    say(&format!("{} made", all.len()));
    let mut sent = 0;
    for _ in 0..forks {
        forks::join(forks::fork(|| {
            all.iter_mut().for_each(|(tx, _)| tx.send(b"from a child").unwrap());
        }));
        sent += 1;
    }
    for (_, rx) in &mut all {
        let got = rx.recv_batch(9, Duration::from_secs(9)).unwrap();
        assert_eq!(got.len(), 1 + sent);
    }
    drop(all);
    say("dropped");
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

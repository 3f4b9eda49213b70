//! Handles that come through sockets and pipes.

use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use slipring::{
    ByteReceiver, ByteSender, Connection, Error, Handoff, Inherited, Mutex, OrRecover, PipeWriter,
};

use super::command::{Args, inherited, say, sleep_for_ever};

/// Runs `command` if it is one of these.
pub fn run(command: &str, args: &mut Args) -> bool {
    match command {
        "parcel-serve" => serve(args),
        "parcel-send" => send(args),
        "value-serve" => value_serve(),
        _ => return false,
    }
    true
}

/// `parcel-serve PATH WHAT`: listens at PATH; when somebody has connected to PATH.go, receives a parcel from the first
/// connection, and does what is said with it.
fn serve(args: &mut Args) {
    let (path, what) = (args.text(), args.text());
    let listener = UnixListener::bind(&path).unwrap();
    let go = UnixListener::bind(format!("{path}.go")).unwrap();
    say("listening");
    go.accept().unwrap();
    let (socket, _) = listener.accept().unwrap();
    match what.as_str() {
        "leave" => {}
        "send" => {
            let mut parcel = Inherited::receive(&socket).unwrap();
            let mut tx: ByteSender = parcel.take("tx").unwrap();
            let others = parcel.segment().participants().iter().filter(|p| !p.is_me).count();
            tx.send(format!("beside {others}").as_bytes()).unwrap();
        }
        "hold" => {
            let _parcel = Inherited::receive(&socket).unwrap();
            say("holding");
            sleep_for_ever();
        }
        "few" => {
            // Descriptors run out in the middle of a parcel.
            let open = || std::fs::read_dir("/proc/self/fd").unwrap().count();
            let before = open();
            let limits = rustix::process::getrlimit(rustix::process::Resource::Nofile);
            let few = rustix::process::Rlimit { current: Some(before as u64 + 3), ..limits };
            rustix::process::setrlimit(rustix::process::Resource::Nofile, few).unwrap();
            let error = Inherited::receive(&socket).map(drop);
            rustix::process::setrlimit(rustix::process::Resource::Nofile, limits).unwrap();
            assert_eq!(open(), before, "those that came were closed");
            say(&format!("{error:?}"));
        }
        "twice" => {
            let first = Inherited::receive(&socket).unwrap();
            let second = Inherited::receive(&socket).map(|_| ());
            say(&format!("{:?} {second:?}", first.names().collect::<Vec<_>>()));
        }
        other => panic!("{other:?} is nothing to do"),
    }
}

/// `parcel-send PATH`: sends what it was given to whoever listens there, and ends.
fn send(args: &mut Args) {
    let mut inherited = inherited();
    let tx: ByteSender = inherited.take("tx").unwrap();
    let mut handoff = Handoff::new(inherited.segment());
    handoff.give("tx", &tx).unwrap();
    handoff.send(UnixStream::connect(Path::new(&args.text())).unwrap()).unwrap();
}

/// Receives values with handles in them through a pipe, uses them, and sends some back.
fn value_serve() {
    let mut pipe: Connection = inherited().take("pipe").unwrap();
    say("ready");
    loop {
        match pipe.recv_value::<(String, Option<PipeWriter>)>(None::<std::time::Duration>) {
            Ok((word, Some(mut answer))) => answer.send(word.as_bytes()).unwrap(),
            Ok((word, None)) => match word.as_str() {
                "count" => {
                    let forever = None::<std::time::Duration>;
                    let (count, mut rx): (Mutex<u64>, ByteReceiver) =
                        pipe.recv_value(forever).unwrap();
                    let mut guard = count.lock().or_recover().unwrap();
                    let sum = guard.get() + rx.recv().unwrap().len() as u64;
                    guard.set(sum);
                    drop(guard);
                    pipe.send_value(&(count, rx)).unwrap();
                }
                _ => return,
            },
            Err(Error::Disconnected) => return,
            Err(error) => panic!("{error}"),
        }
    }
}

//! Acceptors, and those who connect to them by name.

use std::time::Duration;

use rustix::net::{AddressFamily, SocketAddrUnix, SocketType, bind, listen, socket};
use slipring::{Acceptor, Connection, Error, Pipe, PipeOptions, PipeReader};

use super::command::{Args, inherited, say, sleep_for_ever};
use super::forks::fork;

/// Runs `command` if it is one of these.
pub fn run(command: &str, args: &mut Args) -> bool {
    match command {
        "accept" => accept(&args.text(), args.number()),
        "accept-given" => serve(&inherited().take("acceptor").unwrap()),
        "accept-enclosed" => accept_enclosed(),
        "accept-none" => accept_none(&args.text()),
        "connect" => connect(args),
        "connect-as" => connect_as(args),
        "connect-often" => connect_often(args),
        "squat" => squat(args),
        "connect-and-stay" => connect_and_stay(&args.text()),
        _ => return false,
    }
    true
}

/// Answers each message with this process's id and the message, in a thread of its own for each connection.
fn serve(acceptor: &Acceptor) {
    say(&format!("ready {}", std::process::id()));
    loop {
        let connection = acceptor.accept().unwrap();
        std::thread::spawn(move || answer(connection));
    }
}

fn answer(mut connection: Connection) {
    while let Ok(message) = connection.recv() {
        let text = format!("{} {}", std::process::id(), String::from_utf8_lossy(&message));
        if connection.send(text.as_bytes()).is_err() {
            return;
        }
    }
}

/// `accept NAME CHILDREN`: takes the name, or waits until it is to be had, and serves; in so many forked children as well,
/// whose ids it
/// says.
fn accept(name: &str, children: u32) {
    let acceptor = loop {
        match Acceptor::create(name, PipeOptions::new()) {
            Ok(acceptor) => break acceptor,
            Err(Error::NameTaken { .. }) => std::thread::sleep(Duration::from_millis(1)),
            Err(error) => return say(&format!("error {error:?}")),
        }
    };
    for _ in 0..children {
        let child = fork(|| {
            let kill = Some(rustix::process::Signal::KILL);
            let _ = rustix::process::set_parent_process_death_signal(kill);
            serve(&acceptor);
        });
        say(&format!("child {child}"));
    }
    serve(&acceptor);
}

/// Receives an acceptor in a value, and serves.
fn accept_enclosed() {
    let mut reader: PipeReader = inherited().take("pipe").unwrap();
    let acceptor: Acceptor = reader.recv_value(None::<Duration>).unwrap();
    serve(&acceptor);
}

/// `accept-none NAME`: takes the name, and accepts nobody.
fn accept_none(name: &str) {
    match Acceptor::create(name, PipeOptions::new()) {
        Ok(_acceptor) => {
            say("created");
            sleep_for_ever()
        }
        Err(Error::NameTaken { .. }) => say("taken"),
        Err(error) => say(&format!("error {error:?}")),
    }
}

fn ask(name: &str, message: &str, patience: Duration) -> slipring::Result<String> {
    let mut connection = Pipe::connect_until(name, patience)?;
    connection.send(message.as_bytes())?;
    Ok(String::from_utf8(connection.recv()?).unwrap())
}

/// `connect NAME MESSAGE PATIENCE`: says what the answer to a message is, or the error. Patience in milliseconds.
fn connect(args: &mut Args) {
    let (name, message, patience) = (args.text(), args.text(), args.number());
    match ask(&name, &message, Duration::from_millis(patience)) {
        Ok(answer) => say(&answer),
        Err(error) => say(&format!("error {error:?}")),
    }
}

/// `connect-as USER NAME MESSAGE PATIENCE`: the same as another user.
fn connect_as(args: &mut Args) {
    become_user(args.number());
    connect(args);
}

fn become_user(user: u32) {
    // SAFETY: system calls that change who this process is, and nothing else.
    let changed = unsafe { libc::setgroups(0, std::ptr::null()) == 0 && libc::setuid(user) == 0 };
    assert!(changed, "{}", std::io::Error::last_os_error());
}

/// `squat USER PATH`: listens there as another user.
fn squat(args: &mut Args) {
    become_user(args.number());
    let address = SocketAddrUnix::new(args.text()).unwrap();
    let socket = socket(AddressFamily::UNIX, SocketType::SEQPACKET, None).unwrap();
    bind(&socket, &address).unwrap();
    listen(&socket, 8).unwrap();
    say("listening");
    sleep_for_ever()
}

/// `connect-often NAME MESSAGE`: asks until it is answered, whatever becomes of acceptors meanwhile.
fn connect_often(args: &mut Args) {
    let (name, message) = (args.text(), args.text());
    loop {
        match ask(&name, &message, Duration::from_secs(30)) {
            Ok(answer) => return say(&answer),
            // None at this moment; or it was killed with our message in its hands.
            Err(Error::NoSuchName { .. } | Error::Disconnected) => {
                std::thread::sleep(Duration::from_millis(1));
            }
            Err(error) => return say(&format!("error {error:?}")),
        }
    }
}

/// `connect-and-stay NAME`: connects, says so, and then what becomes of the connection.
fn connect_and_stay(name: &str) {
    let mut connection = Pipe::connect_until(name, Duration::from_secs(30)).unwrap();
    say("connected");
    say(&format!("{:?}", connection.recv().map_err(|error| error.to_string())));
}

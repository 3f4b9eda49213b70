//! Victims that accept and connect.

use slipring::{Acceptor, Error, Pipe, PipeOptions};

use super::common::LONG;
use crate::command::{Args, say};

/// `victim accept NAME COUNT ROUNDS`: takes the name, answers so many who connect, and gives it up; all of that again.
pub fn accept(args: &mut Args) {
    let (name, count, rounds): (String, u32, u32) = (args.text(), args.number(), args.number());
    for _ in 0..rounds {
        let acceptor = Acceptor::create(&name, PipeOptions::new()).unwrap();
        for _ in 0..count {
            let mut connection = acceptor.accept_until(LONG).unwrap();
            match connection.recv_until(LONG) {
                Ok(message) => connection.send(&message).unwrap(),
                // It looked again just then, for it found the name gone once.
                Err(error) => assert!(matches!(error, Error::Disconnected), "{error}"),
            }
        }
    }
}

/// `victim connect NAME COUNT`: connects so many times, and asks something each time.
pub fn connect(args: &mut Args) {
    let (name, count): (String, u32) = (args.text(), args.number());
    for _ in 0..count {
        match Pipe::connect_until(&name, LONG) {
            Ok(mut connection) => {
                connection.send(b"hello").unwrap();
                assert_eq!(connection.recv_until(LONG).unwrap(), b"hello");
            }
            Err(error) => say(&format!("error {error:?}")),
        }
    }
}

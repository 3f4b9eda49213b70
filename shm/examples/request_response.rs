//! A server that answers requests, and clients that are processes of their own: each has a duplex pipe to the server, and one
//! of them is killed in the middle of a conversation. The server looks after all of them with one poll.
//!
//! `cargo run --example request_response`

use std::env;
use std::process::{Child, Command};

use rustix::event::{PollFd, PollFlags, poll};
use serde::{Deserialize, Serialize};
use slipring::{Connection, Error, Handoff, Inherited, Pipe, Result, Segment};

const CLIENTS: usize = 3;

#[derive(Serialize, Deserialize)]
enum Request {
    /// The sum of these.
    Add(Vec<i64>),
    /// This text, turned around.
    Reverse(String),
}

#[derive(Serialize, Deserialize, PartialEq, Debug)]
enum Response {
    Sum(i64),
    Text(String),
}

fn main() -> Result<()> {
    // This program starts itself as its clients: those are handed something.
    match Inherited::from_env() {
        Ok(mut inherited) => ask(inherited.take("server")?),
        Err(Error::NotInherited(_)) => serve(),
        Err(error) => Err(error),
    }
}

fn serve() -> Result<()> {
    let segment = Segment::create()?;
    let mut children: Vec<Child> = Vec::new();
    let mut clients: Vec<Connection> = Vec::new();
    for number in 0..CLIENTS {
        let (here, there) = Pipe::duplex(&segment)?;
        let mut handoff = Handoff::new(&segment);
        handoff.give("server", &there)?;
        let program = env::current_exe().expect("this program has a path");
        children.push(handoff.spawn(Command::new(program).env("CLIENT", number.to_string()))?);
        clients.push(here);
    }

    let (mut answered, mut killed) = (0, false);
    while !clients.is_empty() {
        for index in ready(&mut clients)? {
            match clients[index].recv_value(None::<std::time::Duration>) {
                Ok(request) => {
                    clients[index].send_value(&answer(request))?;
                    answered += 1;
                }
                // The end of the file: it has ended, in whatever way. The others are none the wiser.
                Err(Error::Disconnected) => drop(clients.remove(index)),
                Err(error) => return Err(error),
            }
        }
        if answered >= 20 && !killed {
            children[0].kill().expect("a child of ours");
            killed = true;
        }
    }
    println!("{answered} requests were answered");
    for mut child in children.drain(..).skip(1) {
        assert!(child.wait().is_ok_and(|status| status.success()));
    }
    Ok(())
}

/// Which clients have something for us, the last first: one that is removed moves only those behind it.
fn ready(clients: &mut [Connection]) -> Result<Vec<usize>> {
    let fds = clients
        .iter_mut()
        .map(|client| Ok(PollFd::from_borrowed_fd(client.as_fd()?, PollFlags::IN)));
    let mut fds = fds.collect::<Result<Vec<_>>>()?;
    poll(&mut fds, None).expect("descriptors of ours");
    Ok((0..fds.len()).rev().filter(|index| !fds[*index].revents().is_empty()).collect())
}

fn answer(request: Request) -> Response {
    match request {
        Request::Add(numbers) => Response::Sum(numbers.iter().sum()),
        Request::Reverse(text) => Response::Text(text.chars().rev().collect()),
    }
}

fn ask(mut server: Connection) -> Result<()> {
    let number: i64 = env::var("CLIENT").map_or(0, |text| text.parse().unwrap_or(0));
    // The first one goes on until it is killed, or the server is gone.
    let rounds = if number == 0 { i64::MAX } else { 100 };
    for round in 0..rounds {
        server.send_value(&Request::Add(vec![number, round, 1]))?;
        assert_eq!(receive(&mut server)?, Response::Sum(number + round + 1));
        server.send_value(&Request::Reverse(format!("{number} {round}")))?;
        let Response::Text(text) = receive(&mut server)? else { panic!("a text was asked for") };
        assert_eq!(text.chars().rev().collect::<String>(), format!("{number} {round}"));
    }
    println!("client {number} asked {} times", rounds * 2);
    Ok(())
}

fn receive(server: &mut Connection) -> Result<Response> {
    server.recv_value(None::<std::time::Duration>)
}

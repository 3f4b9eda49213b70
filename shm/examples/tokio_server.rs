//! A TCP server on tokio that is fed from a queue: another process sends events into the queue, and every client that is
//! connected gets each of them as a line.
//!
//! `cargo run --features tokio --example tokio_server`

use std::env;
use std::process::Command;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use slipring::{Error, Handoff, Inherited, Queue, Receiver, Result, Segment, Sender};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::broadcast;

const EVENTS: u32 = 500;
const CLIENTS: usize = 3;

#[derive(Serialize, Deserialize)]
struct Event {
    number: u32,
    text: String,
}

fn main() -> Result<()> {
    // This program starts itself as the source of events: that is handed something.
    match Inherited::from_env() {
        Ok(mut inherited) => produce(inherited.take("events")?),
        Err(Error::NotInherited(_)) => serve(),
        Err(error) => Err(error),
    }
}

/// The other process knows nothing of tokio.
fn produce(mut events: Sender<Event>) -> Result<()> {
    for number in 0..EVENTS {
        events.send(&Event { number, text: format!("reading {}", number * number % 97) })?;
        if number % 50 == 0 {
            std::thread::sleep(Duration::from_millis(2));
        }
    }
    Ok(())
}

// Before any thread of tokio's: `Handoff::spawn` may be called at any time, but a fork has one thread only.
fn serve() -> Result<()> {
    let segment = Segment::create()?;
    let (sender, receiver) = Queue::<Event>::bounded(&segment, 64)?;
    let mut handoff = Handoff::new(&segment);
    handoff.give("events", &sender)?;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (lines, _) = broadcast::channel::<String>(EVENTS as usize);
        let clients: Vec<_> = (0..CLIENTS).map(|_| tokio::spawn(client(address))).collect();
        for _ in 0..CLIENTS {
            let (stream, _) = listener.accept().await.expect("a client");
            tokio::spawn(forward(stream, lines.subscribe()));
        }
        // All clients are there: now the events may come.
        let program = env::current_exe().expect("this program has a path");
        let mut child = handoff.spawn(&mut Command::new(program))?;
        drop(sender);
        let fed = feed(receiver, lines).await?;
        for client in clients {
            assert_eq!(client.await.expect("the client's task"), EVENTS);
        }
        println!("{fed} events went to {CLIENTS} clients each");
        assert!(child.wait().is_ok_and(|status| status.success()));
        Ok(())
    })
}

/// From the queue to everybody who is connected, until the last sender is gone. No thread waits for that.
async fn feed(mut events: Receiver<Event>, lines: broadcast::Sender<String>) -> Result<u32> {
    let mut fed = 0;
    loop {
        let event = tokio::select! {
            event = events.recv_async() => event,
            () = tokio::time::sleep(Duration::from_secs(20)) => return Err(Error::TimedOut),
        };
        match event {
            // Nobody listens: an event for nobody.
            Ok(event) => drop(lines.send(format!("{} {}\n", event.number, event.text))),
            Err(Error::Disconnected) => return Ok(fed),
            Err(error) => return Err(error),
        }
        fed += 1;
    }
}

/// To one client.
async fn forward(mut stream: TcpStream, mut lines: broadcast::Receiver<String>) {
    while let Ok(line) = lines.recv().await {
        if stream.write_all(line.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// A client: how many lines it got, in order.
async fn client(address: std::net::SocketAddr) -> u32 {
    let stream = TcpStream::connect(address).await.expect("the server");
    let (mut lines, mut count) = (BufReader::new(stream).lines(), 0);
    while let Ok(Some(line)) = lines.next_line().await {
        let number = line.split(' ').next().and_then(|word| word.parse().ok());
        assert_eq!(number, Some(count), "in order, none lost, none twice");
        count += 1;
    }
    count
}

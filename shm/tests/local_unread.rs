//! What nobody has read when the last receiver goes: it goes too, at once, though there are senders. What a value does in
//! its destructor may come back to the queue that it was in.

use std::sync::Arc;
use std::time::Duration;

use slipring::Error;
use slipring::local::{Connection, Pipe, PipeReader, Queue, Receiver, SendError, Sender};
use slipring_core::primitive::{AtomicU32, Ordering};

const LONG: Duration = Duration::from_secs(20);

/// How many copies of `alive` there are besides itself.
fn copies(alive: &Arc<()>) -> usize {
    Arc::strong_count(alive) - 1
}

/// The queues that a program can make, which differ in how they are swept.
fn queues<T: Send>() -> [(Sender<T>, Receiver<T>); 2] {
    [Queue::bounded(1000).unwrap(), Queue::unbounded().unwrap()]
}

#[test]
fn whoever_waits_for_an_answer_to_what_nobody_read_hears_that_none_will_come() {
    let end_of = |mut answers: Receiver<u32>| answers.recv_until(LONG);
    for (mut requests, server) in queues() {
        let (answer_to, answers) = Queue::<u32>::bounded(1).unwrap();
        requests.send(answer_to).unwrap();
        drop(server);
        assert!(matches!(end_of(answers), Err(Error::Disconnected)));
    }
    let (server, mut requests) = Pipe::one_way().unwrap();
    let (mut answers, answer_to) = Pipe::<u32>::one_way().unwrap();
    requests.send(answer_to).unwrap();
    drop(server);
    assert!(matches!(answers.recv_until(LONG), Err(Error::Disconnected)));
}

#[test]
fn unread_values_go_with_the_last_receiver_from_every_ring_of_the_queue() {
    for (mut sender, receiver) in queues() {
        let (alive, last) = (Arc::new(()), receiver.clone());
        for _ in 0..1000 {
            sender.send(alive.clone()).unwrap();
        }
        drop(receiver);
        assert_eq!((copies(&alive), sender.len()), (1000, 1000), "somebody may read them");
        drop(last);
        assert_eq!((copies(&alive), sender.len()), (0, 0));
        let SendError { error, .. } = sender.send(alive.clone()).unwrap_err();
        assert!(matches!(error, Error::Disconnected));
    }
}

#[test]
fn a_queue_that_was_closed_keeps_its_values_as_long_as_somebody_may_read_them() {
    for (mut sender, receiver) in queues() {
        let alive = Arc::new(());
        sender.send(alive.clone()).unwrap();
        sender.close();
        assert_eq!(copies(&alive), 1);
        drop(receiver);
        assert_eq!(copies(&alive), 0);
    }
}

/// Both ways of a duplex pipe have been used, and nobody has read anything.
fn used_pipe(alive: &Arc<()>) -> (Connection<Arc<()>>, Connection<Arc<()>>) {
    let (mut here, mut there) = Pipe::<Arc<()>>::duplex_with(2).unwrap();
    here.send(alive.clone()).unwrap();
    there.send(alive.clone()).unwrap();
    (here, there)
}

#[test]
fn an_end_of_a_pipe_takes_what_came_for_it_and_leaves_what_it_sent() {
    let alive = Arc::new(());
    let (mut here, there) = used_pipe(&alive);
    drop(there);
    assert_eq!(copies(&alive), 1);
    drop(here.recv().unwrap());
    assert!(matches!(here.recv(), Err(Error::Disconnected)));
}

#[test]
fn what_comes_for_an_end_whose_reading_half_is_gone_goes_at_once() {
    let alive = Arc::new(());
    let (mut here, there) = used_pipe(&alive);
    let (reader, writer) = there.split();
    let copy = reader.clone();
    drop(reader);
    assert_eq!(copies(&alive), 2);
    drop(copy);
    assert_eq!(copies(&alive), 1);
    // The writing half stands for the end: its pipe is whole, and never full.
    for _ in 0..10 {
        here.send(alive.clone()).unwrap();
        assert_eq!(copies(&alive), 1);
    }
    drop(writer);
    assert!(matches!(here.send(alive.clone()), Err(SendError { error: Error::Disconnected, .. })));
}

#[test]
fn a_sender_that_waits_for_room_has_it_when_the_reading_half_goes() {
    let (mut here, there) = Pipe::<u8>::duplex_with(1).unwrap();
    let (reader, _writer): (PipeReader<u8>, _) = there.split();
    here.send(1).unwrap();
    std::thread::scope(|s| {
        let waiting = s.spawn(|| here.send_until(2, LONG));
        std::thread::sleep(Duration::from_millis(20));
        drop(reader);
        waiting.join().unwrap().unwrap();
    });
}

/// Does something with its own queue when it goes.
struct Meddler {
    own: Option<Sender<Meddler>>,
    refused: Arc<AtomicU32>,
}

impl Drop for Meddler {
    fn drop(&mut self) {
        let Some(mut own) = self.own.take() else { return };
        let next = Meddler { own: Some(own.clone()), refused: self.refused.clone() };
        let Err(SendError { mut value, .. }) = own.send(next) else { return };
        // This one would do the same, for ever.
        drop(value.own.take());
        self.refused.fetch_add(1, Ordering::Relaxed);
        own.close();
    }
}

#[test]
fn a_destructor_may_use_the_queue_that_it_is_swept_out_of() {
    for (sender, receiver) in queues() {
        let refused = Arc::new(AtomicU32::new(0));
        let mut first = sender.clone();
        for _ in 0..500 {
            let own = Some(sender.clone());
            first.send(Meddler { own, refused: refused.clone() }).unwrap();
        }
        // The values have the last senders.
        drop((first, sender));
        drop(receiver);
        assert_eq!(refused.load(Ordering::Relaxed), 500);
    }
}

/// Has a receiver of another queue, with values like itself in it.
struct Nested(#[expect(dead_code)] Option<Receiver<Nested>>);

#[test]
fn values_may_have_receivers_of_queues_with_values_in_them() {
    let (mut senders, mut inner) = (Vec::new(), None);
    for _ in 0..100 {
        let (mut sender, receiver) = Queue::bounded(2).unwrap();
        sender.send(Nested(inner.take())).unwrap();
        senders.push(sender);
        inner = Some(receiver);
    }
    drop(inner);
    assert!(
        senders.iter_mut().all(|sender| sender.is_empty() && sender.send(Nested(None)).is_err())
    );
}

/// Panics when it goes, if it is said so.
struct Bomb(bool, #[expect(dead_code)] Arc<()>);

impl Drop for Bomb {
    fn drop(&mut self) {
        assert!(!self.0, "a destructor's panic");
    }
}

#[test]
fn a_destructor_that_panics_keeps_no_other_value_back() {
    for (mut sender, receiver) in queues() {
        let alive = Arc::new(());
        for number in 0..100 {
            sender.send(Bomb(number == 50, alive.clone())).unwrap();
        }
        let dropped = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(receiver)));
        assert!(dropped.is_err());
        assert_eq!((copies(&alive), sender.is_empty()), (0, true));
    }
}

/// Senders that send until they are told, while the last receivers go.
fn race(queue: (Sender<Arc<()>>, Receiver<Arc<()>>), delay: u32) {
    let ((sender, receiver), alive, started) = (queue, Arc::new(()), std::sync::Barrier::new(4));
    let (started, alive) = (&started, &alive);
    // Kept till the end, with what is in the queue.
    let senders: Vec<_> = std::thread::scope(|s| {
        let sending = [(); 2].map(|()| {
            let mut sender = sender.clone();
            s.spawn(move || {
                started.wait();
                while sender.send(alive.clone()).is_ok() {}
                sender
            })
        });
        for mut receiver in [receiver.clone(), receiver] {
            s.spawn(move || {
                started.wait();
                for _ in 0..delay {
                    let _ = receiver.try_recv();
                }
            });
        }
        sending.into_iter().map(|sending| sending.join().unwrap()).collect()
    });
    assert_eq!(copies(alive), 0, "a value was left behind where nobody looks");
    assert!(senders.iter().all(Sender::is_empty));
}

#[test]
fn a_send_that_races_with_the_last_receiver_leaves_no_value_behind() {
    for round in 0..400 {
        race(Queue::bounded(1 + u64::from(round % 7)).unwrap(), round % 50);
        race(Queue::unbounded().unwrap(), round % 50);
    }
}

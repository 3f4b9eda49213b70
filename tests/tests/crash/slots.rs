//! Slot rings: what came is whole, and the other side is told of the end.

use slipring::{Error, Slots};

use super::{PATIENCE, Run, Scenario, check_segment, give, new_segment};

/// See the module.
pub const SCENARIOS: &[Scenario] = &[("slots-send", send), ("slots-recv", recv)];

fn send(run: &Run) {
    let segment = new_segment();
    let (tx, mut rx) = Slots::<[u64; 8]>::new(&segment, 3).unwrap();
    let mut victim = run.victim(give(&segment, |h| h.give("tx", &tx)), &["slots-send"]);
    drop(tx);
    let mut expected = 0;
    loop {
        match rx.recv_until(PATIENCE) {
            Ok(value) => assert_eq!(value, [expected; 8], "torn, lost or doubled"),
            Err(Error::Disconnected) => break,
            Err(error) => panic!("no end: {error}"),
        }
        expected += 1;
    }
    victim.end();
    drop(rx);
    check_segment(&segment);
}

fn recv(run: &Run) {
    let segment = new_segment();
    let (mut tx, rx) = Slots::<[u64; 8]>::new(&segment, 3).unwrap();
    let mut victim = run.victim(give(&segment, |h| h.give("rx", &rx)), &["slots-recv"]);
    drop(rx);
    let gone = (0..100_000_u64).find(|number| match tx.send_until(&[*number; 8], PATIENCE) {
        Ok(()) => false,
        Err(Error::Disconnected) => true,
        Err(error) => panic!("no end: {error}"),
    });
    assert!(gone.is_some(), "the sender is told that the receiver is gone");
    victim.end();
    drop(tx);
    check_segment(&segment);
}

//! Each state and each way out of it, with words that peers gone mad have left.

use std::vec::Vec;

use super::super::memory::Memory;
use super::*;
use crate::block::recover::Salvage;

fn table(count: u32, limit: u32) -> (Leases, Memory) {
    let memory = Memory::new(Leases::bytes(count).unwrap(), 128);
    // SAFETY: as many bytes as the table needs, aligned, kept beside the view.
    let leases = unsafe { Leases::init(NonNull::new(memory.at()).unwrap(), count, limit) };
    (leases.unwrap(), memory)
}

fn id(index: u32) -> OwnerId {
    OwnerId::new(index, 77)
}

/// A first delivery of an item with this order.
fn leased(leases: &Leases, me: OwnerId, order: u64) -> Hold {
    let claim = leases.claim(me, 0).unwrap();
    leases.remember(claim, order, order);
    leases.label(claim, order, 5);
    leases.lease(claim, me).unwrap()
}

fn no_claims(_: Hold, _: OwnerId, _: u64, _: u64) -> Salvage {
    panic!("there are no claims")
}

#[test]
fn an_entry_is_sixty_four_bytes_and_the_header_five_pairs_of_lines() {
    assert_eq!((size_of::<Entry>(), size_of::<Header>()), (64, 640));
    assert_eq!((Leases::bytes(0), Leases::bytes(MAX_ENTRIES + 1)), (None, None));
    assert_eq!(Leases::bytes(3), Some(640 + 256));
}

#[test]
fn a_lease_is_finished_once_and_by_its_owner() {
    let (leases, _memory) = table(4, 0);
    let lease = leased(&leases, id(1), 0);
    assert_eq!(leases.finish(lease, id(2)), Err(NotHeld::NotYours));
    assert_eq!((leases.finish(lease, id(1)), leases.finished()), (Ok(()), 1));
    assert_eq!(leases.finish(lease, id(1)), Err(NotHeld::Ended));
    let next = leased(&leases, id(1), 1);
    assert_eq!(next.index(), lease.index(), "the entry is used again");
    assert_ne!((next.place(), next.id()), (lease.place(), lease.id()));
    assert_eq!(leases.finish(lease, id(1)), Err(NotHeld::Ended), "and the old lease names nothing");
    assert_eq!(leases.by_id(lease.id(), id(1)), Err(NotHeld::Ended));
    assert_eq!(leases.by_id(next.id(), id(1)), Ok(next));
    assert_eq!(leases.by_id(next.id(), id(2)), Err(NotHeld::NotYours));
}

#[test]
fn ids_that_were_never_given_out_are_nobodys() {
    let (leases, _memory) = table(4, 0);
    for id_bits in [0, 1, 3, u64::MAX, 1 << 32, 1 << 63] {
        assert_eq!(leases.by_id(id_bits, id(1)), Err(NotHeld::NotYours), "{id_bits:#x}");
    }
    let lease = leased(&leases, id(1), 0);
    assert_eq!(leases.by_id(lease.id() ^ 1 << 16, id(1)), Err(NotHeld::NotYours));
    assert_eq!(leases.by_id(lease.id() + (1 << 32), id(1)), Err(NotHeld::NotYours), "from later");
}

#[test]
fn a_full_table_says_so_and_every_entry_serves() {
    let (leases, _memory) = table(3, 0);
    let all: Vec<_> = (0..3).map(|order| leased(&leases, id(1), order)).collect();
    assert_eq!(leases.claim(id(1), 0), None);
    leases.finish(all[1], id(1)).unwrap();
    let claim = leases.claim(id(2), 0).unwrap();
    assert_eq!(claim.index(), 1);
    leases.unclaim(claim, id(2));
    assert_eq!((leases.finished(), leases.count_in(|s| s == State::Free)), (1, 1));
}

#[test]
fn what_is_given_back_goes_out_again_oldest_first() {
    let (leases, _memory) = table(4, 0);
    assert_eq!(leases.next_given_back(), None);
    let [a, b] = [7, 6].map(|order| leased(&leases, id(1), order));
    leases.give_back(a, id(1)).unwrap();
    leases.give_back(b, id(1)).unwrap();
    assert_eq!(leases.give_back(a, id(1)), Err(NotHeld::Ended));
    let first = leases.next_given_back().unwrap();
    assert_eq!((first.index, first.deliveries()), (b.index(), 1));
    let again = leases.lease_again(first, id(2)).unwrap();
    assert_eq!((again.deliveries(), again.place()), (2, b.place()));
    assert_eq!(leases.lease_again(first, id(3)), None, "gone");
    assert_eq!(leases.finish(b, id(1)), Err(NotHeld::Ended), "another has it");
    assert_eq!(leases.next_given_back().unwrap().index, a.index());
    leases.finish(again, id(2)).unwrap();
    leases.lease_again(leases.next_given_back().unwrap(), id(2)).unwrap();
    assert_eq!((leases.next_given_back(), leases.next_given_back()), (None, None));
    assert_eq!(leases.finished(), 1);
}

#[test]
fn an_item_that_came_back_too_often_is_a_dead_letter_and_finished() {
    let (leases, _memory) = table(4, 1);
    let lease = leased(&leases, id(1), 3);
    leases.give_back(lease, id(1)).unwrap();
    let seen = leases.next_given_back().unwrap();
    assert!(leases.is_overdue(seen));
    let letter = leases.set_aside(seen, id(2)).unwrap();
    assert_eq!((leases.finished(), letter.place()), (1, lease.place()));
    assert!(leases.holds(letter.place(), |word| word == 3), "its block is kept");
    assert!(leases.close_letter(letter, id(2), true) && leases.holds(letter.place(), |_| true));
    let letter = leases.open_letter(id(3)).unwrap();
    assert_eq!(leases.open_letter(id(3)), None, "it is in somebody's hands");
    assert_eq!((letter.place(), letter.deliveries()), (lease.place(), 1));
    assert!(leases.close_letter(letter, id(3), false) && !leases.holds(letter.place(), |_| true));
    assert_eq!(leases.finished(), 1);
}

#[test]
fn a_deads_leases_are_given_back_and_its_letters_put_back_once() {
    let (leases, _memory) = table(8, 1);
    let dead = |owner| owner == id(1);
    let mine = leased(&leases, id(2), 0);
    let his = leased(&leases, id(1), 1);
    let letter = leased(&leases, id(1), 2);
    leases.give_back(letter, id(1)).unwrap();
    leases.set_aside(leases.next_given_back().unwrap(), id(1)).unwrap();
    for _ in 0..2 {
        assert_eq!(leases.recover(dead, no_claims), 0);
        assert_eq!(leases.next_given_back().unwrap().index, his.index());
        assert_eq!(leases.count_in(|s| s == State::Aside), 1);
        assert!(leases.holds(his.place(), |_| true) && leases.holds(letter.place(), |_| true));
    }
    assert_eq!((leases.finish(mine, id(2)), leases.finished()), (Ok(()), 2));
}

#[test]
fn a_deads_claim_is_freed_or_kept_or_waits_as_the_salvage_says() {
    let (leases, _memory) = table(8, 0);
    let claim = leases.claim(id(1), 0).unwrap();
    leases.remember(claim, 11, 22);
    assert!(leases.is_claimed(22, |word| word == 11) && !leases.is_claimed(21, |_| true));
    let dead = |owner| owner == id(1);
    let say = |what| {
        move |hold: Hold, owner, descriptor, order| {
            assert_eq!((hold, owner, descriptor, order), (claim, id(1), 11, 22));
            what
        }
    };
    assert_eq!(leases.recover(dead, say(Salvage::Wait)), 1);
    assert!(leases.holds(claim.place(), |word| word == 11));
    assert_eq!(leases.recover(dead, say(Salvage::Kept)), 0);
    let seen = leases.next_given_back().unwrap();
    assert_eq!((seen.index, seen.deliveries()), (claim.index(), 0));
    let first = leases.lease_again(seen, id(2)).unwrap();
    assert_eq!(first.deliveries(), 1, "it never reached anybody");
    let other = leases.claim(id(1), 0).unwrap();
    assert_eq!(leases.recover(dead, |_, _, _, _| Salvage::Nothing), 0);
    assert_eq!(leases.claim(id(3), other.index()), Some(other));
}

#[test]
fn leases_are_found_by_age_and_by_tag() {
    let (leases, _memory) = table(8, 0);
    let [young, old] = [9, 4].map(|since| leased(&leases, id(1), since));
    let _others = leased(&leases, id(2), 1);
    assert_eq!(leases.oldest(id(1)), Some(old));
    assert_eq!(
        (leases.tagged(id(1), 5), leases.tagged(id(1), 6), leases.of(id(1)).count()),
        (2, 0, 2)
    );
    leases.finish(old, id(1)).unwrap();
    assert_eq!((leases.oldest(id(1)), leases.oldest(id(3))), (Some(young), None));
}

#[test]
fn unfinished_is_what_was_published_and_not_finished() {
    let (leases, _memory) = table(4, 0);
    assert_eq!(leases.unfinished(|| 2), 2);
    let lease = leased(&leases, id(1), 0);
    leases.finish(lease, id(1)).unwrap();
    assert_eq!((leases.unfinished(|| 2), leases.unfinished(|| 1)), (1, 0));
    let counter = AtomicU64::new(0);
    let restless = || counter.fetch_add(1, Ordering::Relaxed);
    assert!(leases.unfinished(restless) > 0, "never 0 on a guess");
}

#[test]
fn scribbled_words_are_errors_and_no_panics() {
    let (leases, memory) = table(4, 2);
    let lease = leased(&leases, id(1), 0);
    for scribble in [u64::MAX, 6, 7, 1, 2 | 5 << 40, 0] {
        leases.entry(lease.index).word.store_lo(scribble, Ordering::Relaxed);
        leases.entry(lease.index).word.store_hi(scribble, Ordering::Relaxed);
        assert!(leases.finish(lease, id(1)).is_err());
        let _ = (leases.unfinished(|| 3), leases.holds(u64::MAX, |_| true), leases.oldest(id(1)));
        let _ =
            (leases.next_given_back(), leases.by_id(scribble, id(1)), leases.open_letter(id(1)));
        leases.recover(|_| true, |_, _, _, _| Salvage::Kept);
    }
    leases.header().used.entries.store(u32::MAX, Ordering::Relaxed);
    assert_eq!(leases.all().count(), 4);
    let at = NonNull::new(memory.at()).unwrap();
    let attach = || {
        // SAFETY: as many bytes as the table had when it was made.
        unsafe { Leases::attach(at, Leases::bytes(4).unwrap()) }
    };
    assert!(attach().is_ok_and(|again| (again.count(), again.limit()) == (4, Some(2))));
    for count in [0, 5, u32::MAX] {
        leases.header().sizes.count.store(count, Ordering::Relaxed);
        assert!(attach().is_err(), "{count}");
    }
}

#[test]
fn what_was_done_ahead_is_taken_off_once_and_comes_back_with_a_death() {
    let (leases, _memory) = table(4, 0);
    let early = leased(&leases, id(1), 0);
    assert!(!leases.count_ahead(|_| false) && !leases.take_ahead(early));
    assert!(leases.count_ahead(|ahead| ahead < 2) && leases.count_ahead(|ahead| ahead < 2));
    assert!(!leases.count_ahead(|ahead| ahead < 2) && leases.ahead() == 2);
    let (first, second) = (leased(&leases, id(1), 1), leased(&leases, id(2), 2));
    assert!(leases.take_ahead(first) && leases.finish(first, id(1)).is_ok());
    assert!(leases.take_ahead(second) && !leases.take_ahead(second) && leases.ahead() == 0);
    // It dies before it has finished the item.
    for _ in 0..2 {
        leases.recover(|owner| owner == id(2), no_claims);
        assert_eq!(leases.ahead(), 1);
    }
    leases.forget_ahead(3);
    assert_eq!(leases.ahead(), 1);
    leases.forget_ahead(1);
    assert_eq!(leases.ahead(), 0);
}

#[test]
fn others_may_end_a_lease_once_its_owner_has_a_copy() {
    let (leases, _memory) = table(4, 0);
    let (first, second) = (leased(&leases, id(1), 1), leased(&leases, id(2), 2));
    assert_eq!(leases.oldest_of(|_| true), None);
    leases.open_to_others(second, 7);
    assert_eq!(leases.oldest_of(|_| true), Some((second, id(2))));
    assert_eq!((leases.tagged(id(2), 7), leases.oldest_of(|owner| owner == id(1))), (1, None));
    leases.open_to_others(first, 8);
    assert_eq!(leases.oldest_of(|owner| owner == id(2)), Some((second, id(2))));
    // Given back and taken again, it is its new owner's alone.
    leases.give_back(second, id(2)).unwrap();
    let again = leases.lease_again(leases.next_given_back().unwrap(), id(2)).unwrap();
    assert_eq!(leases.oldest_of(|owner| owner == id(2)), None);
    leases.open_to_others(again, 9);
    assert_eq!(leases.oldest_of(|owner| owner == id(2)), Some((again, id(2))));
}

//! Slot rings, joinable queues, LIFO and priority queues, and a pipe whose messages have handles in them.

use arbitrary::Arbitrary;
use slipring::{
    ByteJoinableQueue, ByteJoinableReceiver, ByteJoinableSender, ByteLease, ByteLifoQueue,
    ByteLifoReceiver, ByteLifoSender, Connection, Event, Handoff, JoinableOptions, Pipe,
    PipeOptions, PriorityQueue, PriorityReceiver, PrioritySender, Result, Segment, SlotReceiver,
    SlotSender, Slots,
};

use crate::limits::{MOST, until};
use crate::scribble::Map;

#[derive(Arbitrary, Debug)]
pub enum Op {
    Put { len: u16, wait: bool },
    PutMany { count: u8 },
    Take { wait: bool },
    Finish { which: u8, how: u8 },
    FinishById { which: u8, how: u8 },
    Letter { sender: bool },
    Join { sender: bool, wait: bool },
    NewTasks { limit: u8 },
    CloneTasks,
    DropTasks { which: u8 },
    Push { len: u16, wait: bool },
    Pop { wait: bool },
    Urgent { key: u64, len: u8, wait: bool },
    Next { wait: bool },
    NewOrdered { capacity: u8 },
    Slot { count: u8, wait: bool },
    FromSlot { count: u8, wait: bool },
    NewSlots { capacity: u8 },
    SendHandle { back: bool, wait: bool },
    ReceiveHandle { back: bool, wait: bool },
    Close { what: u8 },
    Look,
}

type Tasks = (ByteJoinableSender, ByteJoinableReceiver);

pub struct Channels {
    /// The last one is used.
    tasks: Vec<Tasks>,
    leases: Vec<ByteLease>,
    ids: Vec<u64>,
    lifo: (ByteLifoSender, ByteLifoReceiver),
    urgent: (PrioritySender<Vec<u16>>, PriorityReceiver<Vec<u16>>),
    slots: (SlotSender<[u64; 3]>, SlotReceiver<[u64; 3]>),
    ends: [Connection; 2],
    event: Event,
    /// How many more calls may wait for a turn at a priority queue as long as one does that may not wait: 50 ms.
    patience: u8,
}

impl Channels {
    pub fn new(segment: &Segment, capacity: u64) -> Self {
        let options = JoinableOptions::bounded(capacity).max_leases(4).max_deliveries(Some(2));
        let options_of_pipe = PipeOptions::new().ring(256).handles(true);
        let (here, there) = Pipe::duplex_with(segment, options_of_pipe).unwrap();
        Self {
            tasks: vec![ByteJoinableQueue::with(segment, options).unwrap()],
            leases: Vec::new(),
            ids: Vec::new(),
            lifo: ByteLifoQueue::bounded(segment, capacity).unwrap(),
            urgent: PriorityQueue::bounded(segment, capacity).unwrap(),
            slots: Slots::new(segment, capacity).unwrap(),
            ends: [here, there],
            event: Event::new(segment).unwrap(),
            patience: 20,
        }
    }

    fn is_patient(&mut self) -> bool {
        self.patience = self.patience.saturating_sub(1);
        self.patience > 0
    }

    pub fn apply(&mut self, segment: &Segment, map: &Map, op: &Op) {
        match *op {
            Op::Push { len, wait } => {
                drop(self.lifo.0.send_until(&message(map, len), until(wait)));
            }
            Op::Pop { wait } => drop(self.lifo.1.recv_until(until(wait))),
            Op::Urgent { key, len, wait } => {
                let value = vec![u16::from(len); len.into()];
                let wait = wait || !self.is_patient();
                drop(self.urgent.0.send_until(key, &value, until(wait)));
            }
            Op::Next { wait } => {
                let wait = wait || !self.is_patient();
                drop(self.urgent.1.recv_keyed_until(until(wait)));
            }
            Op::NewOrdered { capacity } => {
                let capacity = u64::from(capacity);
                if let Ok(lifo) = ByteLifoQueue::bounded(segment, capacity) {
                    self.lifo = lifo;
                }
                if let Ok(urgent) = PriorityQueue::bounded(segment, capacity) {
                    self.urgent = urgent;
                }
            }
            Op::Slot { count, wait } => {
                let values = vec![[u64::from(count); 3]; usize::from(count % 8)];
                let _ = self.slots.0.send_batch(&values, until(wait));
                let _ = self.slots.0.send_until(&[1; 3], until(wait));
            }
            Op::FromSlot { count, wait } => {
                let mut into = vec![[0; 3]; usize::from(count % 8)];
                let _ = self.slots.1.recv_batch(&mut into, until(wait));
                let _ = self.slots.1.recv_until(until(wait));
            }
            Op::NewSlots { capacity } => {
                if let Ok(slots) = Slots::new(segment, u64::from(capacity % 16)) {
                    self.slots = slots;
                }
            }
            Op::SendHandle { back, wait } => {
                let value = (7_u8, &self.event);
                drop(self.ends[usize::from(back)].send_value_until(&value, until(wait)));
            }
            Op::ReceiveHandle { back, wait } => {
                let end = &mut self.ends[usize::from(!back)];
                if let Ok((_, event)) = end.recv_value::<(u8, Event)>(until(wait)) {
                    self.event = event;
                }
            }
            Op::Close { what } => match what % 3 {
                0 => self.lifo.0.close(),
                1 => self.urgent.1.bytes().close(),
                _ => self.tasks.iter().for_each(|(sender, _)| sender.close()),
            },
            Op::Look => self.look(),
            _ => self.on_tasks(segment, map, op),
        }
    }

    fn on_tasks(&mut self, segment: &Segment, map: &Map, op: &Op) {
        if let Op::NewTasks { limit } = *op {
            let options = JoinableOptions::unbounded().max_leases(u32::from(limit % 7) + 1);
            let options = options.max_deliveries((limit > 127).then_some(2));
            self.tasks.truncate(MOST - 1);
            self.tasks.extend(ByteJoinableQueue::with(segment, options));
        }
        let Some((sender, receiver)) = self.tasks.last_mut() else { return };
        match *op {
            Op::Put { len, wait } => drop(sender.send_until(&message(map, len), until(wait))),
            Op::PutMany { count } => {
                let many = (0..10 * u32::from(count)).map(u32::to_le_bytes);
                let _ = sender.send_batch(many, until(false));
            }
            Op::Take { wait } => self.leases.extend(receiver.recv_until(until(wait))),
            Op::Finish { which, how } => self.finish(which, how),
            Op::FinishById { which, how } => {
                let of_leases = usize::from(which).checked_rem(self.ids.len());
                let id = of_leases.map_or(u64::from(which), |index| self.ids[index]);
                let _ = match how % 3 {
                    0 => receiver.task_done(id),
                    1 => receiver.give_back(id),
                    _ => receiver.task_done_oldest(),
                };
            }
            Op::Letter { sender: true } => drop(sender.take_dead_letter()),
            Op::Letter { .. } => drop(receiver.take_dead_letter()),
            Op::Join { sender: true, wait } => drop(sender.join_until(until(wait))),
            Op::Join { wait, .. } => drop(receiver.join_until(until(wait))),
            Op::CloneTasks => {
                if let (Ok(sender), Ok(receiver)) = (sender.try_clone(), receiver.try_clone()) {
                    self.tasks.insert(0, (sender, receiver));
                }
            }
            Op::DropTasks { which } => {
                let index = usize::from(which) % self.tasks.len();
                self.tasks.remove(index);
            }
            _ => {}
        }
        self.tasks.truncate(MOST);
        self.leases.truncate(MOST);
        self.ids.truncate(MOST);
    }

    fn finish(&mut self, which: u8, how: u8) {
        let Some(index) = usize::from(which).checked_rem(self.leases.len()) else { return };
        let lease = self.leases.swap_remove(index);
        let bytes = lease.to_vec();
        assert_eq!(bytes.len(), lease.len());
        match how % 4 {
            0 => drop(lease.done()),
            1 => drop(lease.give_back()),
            2 => self.ids.push(lease.into_id()),
            _ => drop(lease),
        }
    }

    fn look(&mut self) {
        for (sender, receiver) in &self.tasks {
            let _ = (sender.unfinished(), sender.len(), sender.is_full(), sender.dead_letters());
            let _ = (receiver.unfinished(), receiver.leases(), receiver.dead_letters());
            let _ = format!("{sender:?} {receiver:?} {:?}", self.leases);
        }
        let (sender, receiver) = &mut self.slots;
        let _ = (sender.len(), sender.is_full(), receiver.len(), receiver.is_empty());
        let _ = (self.lifo.0.len(), self.lifo.1.is_full());
        if self.is_patient() {
            let _ = self.urgent.0.bytes().len();
        }
        let _ = format!("{:?} {:?} {:?} {:?}", self.slots, self.lifo, self.urgent, self.ends);
    }

    pub fn give(&self, handoff: &mut Handoff, what: u8) -> Result<()> {
        match what >> 2 & 3 {
            0 => handoff.give("lifo", &self.lifo.1),
            1 => handoff.give("slots", &self.slots.0),
            2 => handoff.give("end", &self.ends[0]),
            _ => self.tasks.iter().try_for_each(|(_, receiver)| handoff.give("tasks", receiver)),
        }
    }
}

/// Short, or as long as a block of the class in focus.
fn message(map: &Map, len: u16) -> Vec<u8> {
    let payload = map.focus().payload.min(1 << 16) as usize;
    let len = usize::from(len);
    vec![len as u8; if len.is_multiple_of(4) { payload - len % 16 } else { len % 300 }]
}

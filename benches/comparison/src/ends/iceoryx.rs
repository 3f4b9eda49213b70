//! iceoryx2, between processes: publish-subscribe without overflow, with events where somebody sleeps, and
//! request-response.
//!
//! Each role makes its node and ports in its own process. Services are named after the process of the sample.

use std::fmt::Debug;
use std::time::{Duration, Instant};

use iceoryx2::active_request::ActiveRequest;
use iceoryx2::pending_response::PendingResponse;
use iceoryx2::port::client::Client;
use iceoryx2::port::listener::Listener;
use iceoryx2::port::notifier::Notifier;
use iceoryx2::port::publisher::Publisher;
use iceoryx2::port::server::Server;
use iceoryx2::port::subscriber::Subscriber;
use iceoryx2::prelude::*;
use slipring_benches::cpu::Patience;
use slipring_benches::message::stamp;
use slipring_benches::stream::{Put, Take};

use super::{Wait, read_all};
use crate::exchange::{Site, Timing, answerer, asker, one_way, round_trips};
use crate::scenario::Scenario;

/// How long one role waits for the other one's ports.
const PATIENCE: Duration = Duration::from_secs(10);

type Ipc = ipc::Service;

/// One sample of publish-subscribe, which tells of messages by events in the scenario that blocks.
pub fn publish(scenario: Scenario, count: u64) -> Timing {
    let there = Topic::new("there", scenario);
    if !scenario.is_round_trip() {
        let (put, take) = (|| there.publisher(), || there.subscriber());
        return one_way(Site::Processes, scenario.amount(count), put, take);
    }
    let back = Topic::new("back", scenario);
    // The one who listens first: whoever sends waits until he is there.
    let ask = || {
        let take = back.subscriber();
        asker(there.publisher(), take)
    };
    let answer = || {
        let take = there.subscriber();
        answerer(take, back.publisher())
    };
    round_trips(Site::Processes, count, ask, answer)
}

/// One sample of request-response, which cannot block.
pub fn request(scenario: Scenario, count: u64) -> Timing {
    let topic = Topic::new("request", scenario);
    round_trips(Site::Processes, count, || topic.client(), || topic.server())
}

/// What both roles know of a service.
struct Topic {
    name: String,
    size: usize,
    capacity: usize,
    wait: Wait,
}

impl Topic {
    fn new(what: &str, scenario: Scenario) -> Self {
        let wait = match scenario {
            Scenario::OneWay(_) => Wait::Patient,
            Scenario::Spinning => Wait::Spin,
            Scenario::Blocking => Wait::Block,
        };
        let name = format!("slipring-comparison/{}/{what}", std::process::id());
        Self { name, size: scenario.bytes(), capacity: scenario.capacity(), wait }
    }

    fn service(&self) -> ServiceName {
        self.name.as_str().try_into().expect("a service's name")
    }

    fn publisher(&self) -> Publish {
        let node = node();
        let builder = node.service_builder(&self.service()).publish_subscribe::<[u8]>();
        let service = builder
            .enable_safe_overflow(false)
            .subscriber_max_buffer_size(self.capacity)
            .max_publishers(1)
            .max_subscribers(1)
            .open_or_create()
            .expect("a service");
        let publisher = service
            .publisher_builder()
            .initial_max_slice_len(self.size)
            .backpressure_strategy(BackpressureStrategy::RetryUntilDelivered)
            .create()
            .expect("a publisher");
        let notifier = (self.wait == Wait::Block).then(|| self.notifier(&node));
        until("a subscriber", || service.dynamic_config().number_of_subscribers() == 1);
        Publish { publisher, notifier, message: vec![0; self.size], _node: node }
    }

    fn subscriber(&self) -> Subscribe {
        let node = node();
        let builder = node.service_builder(&self.service()).publish_subscribe::<[u8]>();
        let service = builder
            .enable_safe_overflow(false)
            .subscriber_max_buffer_size(self.capacity)
            .max_publishers(1)
            .max_subscribers(1)
            .open_or_create()
            .expect("a service");
        // The listener first: the subscriber is what a publisher waits for.
        let listener = (self.wait == Wait::Block).then(|| {
            let service = node.service_builder(&self.service()).event().open_or_create();
            service.expect("a service").listener_builder().create().expect("a listener")
        });
        let subscriber = service.subscriber_builder().create().expect("a subscriber");
        Subscribe { subscriber, listener, wait: self.wait, _node: node }
    }

    fn notifier(&self, node: &Node<Ipc>) -> Notifier<Ipc> {
        let service = node.service_builder(&self.service()).event().open_or_create();
        let service = service.expect("a service");
        until("a listener", || service.dynamic_config().number_of_listeners() == 1);
        service.notifier_builder().create().expect("a notifier")
    }

    fn client(&self) -> impl FnMut(u64) + use<> {
        let node = node();
        let builder = node.service_builder(&self.service()).request_response::<[u8], [u8]>();
        let service = builder.max_clients(1).max_servers(1).open_or_create().expect("a service");
        let builder = service.client_builder().initial_max_slice_len(self.size);
        let client = builder.create().expect("a client");
        until("a server", || service.dynamic_config().number_of_servers() == 1);
        let mut message = vec![0; self.size];
        move |number| {
            let _ = &node;
            stamp(&mut message, number);
            let answer = answer_to(&send(&client, &message));
            assert_eq!(answer, number, "the answer to another request");
        }
    }

    fn server(&self) -> impl FnMut() + use<> {
        let node = node();
        let builder = node.service_builder(&self.service()).request_response::<[u8], [u8]>();
        let service = builder.max_clients(1).max_servers(1).open_or_create().expect("a service");
        let builder = service.server_builder().initial_max_slice_len(self.size);
        let server = builder.create().expect("a server");
        let mut message = vec![0; self.size];
        move || {
            let _ = &node;
            let request = next(&server);
            stamp(&mut message, read_all(&request));
            let response = request.loan_slice_uninit(message.len()).expect("memory for a response");
            response.write_from_slice(&message).send().expect("the client lives");
        }
    }
}

/// Copies messages into samples.
struct Publish {
    publisher: Publisher<Ipc, [u8], ()>,
    notifier: Option<Notifier<Ipc>>,
    message: Vec<u8>,
    _node: Node<Ipc>,
}

/// Reads samples where they lie.
struct Subscribe {
    subscriber: Subscriber<Ipc, [u8], ()>,
    listener: Option<Listener<Ipc>>,
    wait: Wait,
    _node: Node<Ipc>,
}

impl Publish {
    /// To how many subscribers the message went: there is one.
    #[inline]
    fn send(&self) -> usize {
        let sample = self.publisher.loan_slice_uninit(self.message.len()).expect("memory");
        sample.write_from_slice(&self.message).send().expect("the subscriber lives")
    }
}

impl Put for Publish {
    #[inline]
    fn put(&mut self, number: u64) {
        stamp(&mut self.message, number);
        // It goes to nobody where the buffer is full and the subscriber has not looked into it yet, not once.
        while self.send() == 0 {
            std::thread::yield_now();
        }
        if let Some(notifier) = &self.notifier {
            notifier.notify().expect("the listener lives");
        }
    }
}

impl Take for Subscribe {
    #[inline]
    fn take(&mut self) -> u64 {
        let mut patience = Patience::default();
        loop {
            if let Some(sample) = self.subscriber.receive().expect("the publisher lives") {
                return read_all(&sample);
            }
            match (&self.listener, self.wait) {
                (Some(listener), _) => drop(listener.blocking_wait(|_| {}).expect("an event")),
                (None, Wait::Patient) => patience.wait(),
                (None, _) => {}
            }
        }
    }
}

fn send(client: &Client<Ipc, [u8], (), [u8], ()>, message: &[u8]) -> Pending {
    let request = client.loan_slice_uninit(message.len()).expect("memory for a request");
    request.write_from_slice(message).send().expect("the server lives")
}

type Pending = PendingResponse<Ipc, [u8], (), [u8], ()>;

fn answer_to(pending: &Pending) -> u64 {
    loop {
        if let Some(response) = pending.receive().expect("the server lives") {
            return read_all(&response);
        }
    }
}

fn next(server: &Server<Ipc, [u8], (), [u8], ()>) -> ActiveRequest<Ipc, [u8], (), [u8], ()> {
    loop {
        if let Some(request) = server.receive().expect("the client lives") {
            return request;
        }
    }
}

fn node() -> Node<Ipc> {
    set_log_level(LogLevel::Error);
    let node = NodeBuilder::new().signal_handling_mode(SignalHandlingMode::Disabled);
    or_say("a node", node.create())
}

fn or_say<T, E: Debug>(what: &str, result: Result<T, E>) -> T {
    result.unwrap_or_else(|error| panic!("iceoryx2 has not given us {what}: {error:?}"))
}

/// Waits for what the other role does.
fn until(what: &str, mut is_there: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_there() {
        assert!(began.elapsed() < PATIENCE, "iceoryx2: {what} has not come");
        std::thread::yield_now();
    }
}

//! One way into a gateway and the origin behind it: one request at a time, so that whatever the
//! origin sees is of that request.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use parking_lot::Mutex;

use super::answers::{self, Answers};
use super::case::Case;
use super::origin::{Event, Origin};
use crate::client::Client;
use crate::judge::{Message, transcript};
use crate::marker;

/// How long an answer may take: what is not answered by then waits for more bytes.
const PATIENCE: Duration = Duration::from_millis(250);

/// Time between two looks at whether the origin has seen the end of a connection.
const SETTLE: Duration = Duration::from_millis(10);

/// Longest wait for what must come.
const LONG: Duration = Duration::from_secs(5);

/// Counts connections.
static NEXT: AtomicUsize = AtomicUsize::new(0);

/// A listener of the gateway whose requests go to `origin`.
#[derive(Debug)]
pub struct Lane {
    /// How to reach the gateway.
    pub client: Client,
    /// What is behind it.
    pub origin: Origin,
}

/// What became of a request.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Status of the first final answer.
    pub status: Option<u16>,
    /// Whether the gateway ended the connection.
    pub closed: bool,
    /// The requests that arrived, canaries aside.
    pub forwarded: Vec<Message>,
    /// Their bytes.
    pub wire: Vec<Vec<u8>>,
    /// What arrived and is no request: why, and the bytes.
    pub malformed: Vec<(&'static str, Vec<u8>)>,
    /// Bytes of a request that arrived in part.
    pub partial: usize,
    /// What happened to a request that came after, where it was damaged.
    pub damaged: Option<String>,
}

impl Outcome {
    /// Whether anything of the request reached the origin.
    pub fn arrived(&self) -> bool {
        !self.forwarded.is_empty() || !self.malformed.is_empty() || self.partial > 0
    }
}

/// Runs all cases, shared out among the lanes; the outcomes in the order of the cases.
pub fn run(lanes: &[Lane], cases: &[Case]) -> Vec<Outcome> {
    let queue: Mutex<VecDeque<usize>> = Mutex::new((0..cases.len()).collect());
    let outcomes: Mutex<Vec<Outcome>> = Mutex::new(vec![Outcome::default(); cases.len()]);
    thread::scope(|scope| {
        for lane in lanes {
            let (queue, outcomes) = (&queue, &outcomes);
            scope.spawn(move || lane.work(cases, queue, outcomes));
        }
    });
    outcomes.into_inner()
}

impl Lane {
    /// Takes cases from the queue until there is none.
    fn work(&self, cases: &[Case], queue: &Mutex<VecDeque<usize>>, outcomes: &Mutex<Vec<Outcome>>) {
        for index in std::iter::from_fn(|| queue.lock().pop_front()) {
            let outcome = self.try_case(&cases[index]);
            outcomes.lock()[index] = outcome;
        }
    }

    /// The client from the next of many addresses: one address would run out of ports.
    fn client(&self) -> Client {
        let number = NEXT.fetch_add(1, Ordering::Relaxed) % 2_000;
        self.client.clone().from(&format!("127.0.{}.{}", 2 + number / 250, 1 + number % 250))
    }

    /// Sends one request, a canary after it on the same connection, and one on a fresh connection.
    pub fn try_case(&self, case: &Case) -> Outcome {
        let mark = self.origin.mark();
        let mut outcome = Outcome::default();
        let read = transcript(&case.raw);
        let mut heads: Vec<bool> = read.messages.iter().map(|m| m.method == "HEAD").collect();
        if heads.is_empty() {
            heads.push(case.is_head());
        }
        let mut connection = match self.client().try_connect() {
            Ok(connection) => connection,
            Err(error) => {
                outcome.damaged = Some(format!("no connection: {error}"));
                return outcome;
            }
        };
        connection.write(&case.raw);
        let wanted = read.messages.len().max(1);
        let (mut bytes, mut ended) = connection
            .gather(PATIENCE, |bytes| answers::read(bytes, &heads, false).finals.len() >= wanted);
        let said = answers::read(&bytes, &heads, ended);
        outcome.status = said.finals.first().map(|said| said.status);
        let canary = marker("canary");
        let closes = said.finals.iter().any(|said| says_close(&said.fields));
        let on_same = !ended && !closes && said.finals.len() >= wanted;
        if on_same {
            connection.write(canary_request(&canary));
            let (more, end) = connection.gather(PATIENCE, |more| {
                let all = [&bytes[..], more].concat();
                answers::read(&all, &heads, false)
                    .finals
                    .iter()
                    .any(|said| tells(&said.body, &canary))
            });
            bytes.extend(more);
            ended = end;
        }
        outcome.closed = ended || closes;
        drop(connection);
        let said = answers::read(&bytes, &heads, ended);
        if on_same {
            outcome.damaged = same_connection(case, &canary, &said, ended);
        }
        let fresh = marker("canary");
        let damaged = self.fresh_connection(&fresh);
        outcome.damaged = outcome.damaged.take().or(damaged);
        self.collect(mark, &[&canary, &fresh], &mut outcome);
        outcome
    }

    fn fresh_connection(&self, canary: &str) -> Option<String> {
        let Ok(mut connection) = self.client().try_connect() else {
            return Some("no fresh connection".to_owned());
        };
        connection.write(canary_request(canary));
        let (bytes, ended) =
            connection.gather(LONG, |bytes| !answers::read(bytes, &[], false).finals.is_empty());
        let said = answers::read(&bytes, &[], ended);
        let intact =
            matches!(&said.finals[..], [one] if one.status == 200 && tells(&one.body, canary));
        if intact {
            return None;
        }
        Some(format!("a fresh connection: {:?}", String::from_utf8_lossy(&bytes)))
    }

    fn collect(&self, mark: usize, canaries: &[&str], outcome: &mut Outcome) {
        // The client is gone: what it began ends here too, or is counted as it stands.
        for _ in 0..20 {
            if self.origin.pending() == 0 {
                break;
            }
            thread::sleep(SETTLE);
        }
        outcome.partial = self.origin.pending();
        let is_canary = |message: &Message| {
            message.method == "GET"
                && message.body.is_empty()
                && canaries.iter().any(|canary| message.target == format!("/{canary}"))
        };
        let mut arrived = 0;
        for event in self.origin.since(mark) {
            match event {
                Event::Message(message, _) if is_canary(&message) => arrived += 1,
                Event::Message(message, wire) => {
                    outcome.forwarded.push(message);
                    outcome.wire.push(wire);
                }
                Event::Malformed(why, bytes) => outcome.malformed.push((why, bytes)),
                Event::Partial(bytes) => outcome.partial += bytes.len(),
            }
        }
        if outcome.damaged.is_none() && arrived > canaries.len() {
            outcome.damaged = Some("a canary arrived twice".to_owned());
        }
    }
}

/// The canary after the request: intact, or not answered at all where the bytes before it leave
/// a strict reader within a message.
fn same_connection(case: &Case, canary: &str, said: &Answers, ended: bool) -> Option<String> {
    let answered = said.finals.iter().filter(|said| tells(&said.body, canary)).count();
    let request = canary_request(canary);
    let read = transcript(&[&case.raw[..], request.as_bytes()].concat());
    let own = read.messages.iter().any(|m| m.method == "GET" && m.target == format!("/{canary}"));
    let strange = said.malformed.is_some();
    match (answered, own) {
        _ if strange => Some(format!("answers that are none: {:?}", said.malformed)),
        (1, _) | (0, false) => None,
        // The gateway may have ended the connection before it read the canary.
        (0, true) if ended => None,
        (0, true) => Some("the canary on the same connection was not answered".to_owned()),
        _ => Some("the canary was answered twice".to_owned()),
    }
}

fn canary_request(canary: &str) -> String {
    format!("GET /{canary} HTTP/1.1\r\nHost: localhost\r\n\r\n")
}

fn says_close(fields: &[crate::judge_fields::Field]) -> bool {
    let values = crate::judge_fields::all(fields, "connection").join(",");
    values.split(',').any(|value| value.trim().eq_ignore_ascii_case("close"))
}

fn tells(body: &[u8], canary: &str) -> bool {
    body == format!("seen GET /{canary}").as_bytes()
}

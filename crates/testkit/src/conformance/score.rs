//! What is counted over the outcomes of many requests.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::case::{Case, Tier};
use super::lane::Outcome;
use crate::judge::{Message, transcript};

/// The counts, each with the ids behind it.
#[derive(Clone, Debug, Default)]
pub struct Score {
    /// Requests that were tried.
    pub requests: usize,
    /// Requests of which something arrived at the origin.
    pub forwarded: usize,
    /// What arrived was no request to the judge.
    pub malformed: Vec<String>,
    /// Of these, the ones with nothing wrong but their target.
    pub malformed_target: usize,
    /// More requests arrived than a strict reader finds in what was sent.
    pub split: Vec<String>,
    /// A well-formed request arrived with another method or body.
    pub changed: Vec<String>,
    /// Of the tier that must be refused, and arrived.
    pub severe: Vec<String>,
    /// Of the tier that must be refused or isolated, and arrived on a connection that went on.
    pub ambiguous: Vec<String>,
    /// Of the same tier, and arrived at all.
    pub ambiguous_arrived: Vec<String>,
    /// Of the compliant tier, and answered with neither success nor 501.
    pub compliant: Vec<String>,
    /// Well-formed to the judge, and answered with neither success nor 501.
    pub refused: Vec<String>,
    /// A request after it was damaged.
    pub damaged: Vec<String>,
    /// How often each status was the answer.
    pub statuses: BTreeMap<String, usize>,
}

impl Score {
    /// Counts.
    pub fn of(cases: &[Case], outcomes: &[Outcome]) -> Self {
        let mut score = Self { requests: cases.len(), ..Self::default() };
        for (case, outcome) in cases.iter().zip(outcomes) {
            score.add(case, outcome);
        }
        score
    }

    fn add(&mut self, case: &Case, outcome: &Outcome) {
        let id = || case.id.clone();
        let with = |what: &str| format!("{} [{what}]", case.id);
        let status = outcome.status.map_or_else(|| "none".to_owned(), |s| s.to_string());
        *self.statuses.entry(status.clone()).or_default() += 1;
        self.forwarded += usize::from(outcome.arrived());
        if let Some((why, _)) = outcome.malformed.first() {
            self.malformed.push(with(why));
            self.malformed_target += usize::from(why.starts_with("a target with a byte"));
        }
        if outcome.forwarded.len() > most(case) {
            self.split.push(with(&format!("{} arrived", outcome.forwarded.len())));
        }
        if let Some(what) = changed(case, outcome) {
            self.changed.push(with(&what));
        }
        if let Some(what) = &outcome.damaged {
            self.damaged.push(with(what));
        }
        let served = outcome.status.is_some_and(|s| (200..300).contains(&s) || s == 501);
        match case.tier {
            Tier::Severe if outcome.arrived() => self.severe.push(id()),
            Tier::Ambiguous if outcome.arrived() => {
                self.ambiguous_arrived.push(id());
                if !outcome.closed && outcome.status.is_some() {
                    self.ambiguous.push(id());
                }
            }
            Tier::Compliant if !served => self.compliant.push(with(&status)),
            Tier::Severe | Tier::Ambiguous | Tier::Compliant | Tier::Any => {}
        }
        if !served && must_be_served(case) {
            self.refused.push(with(&status));
        }
    }

    /// All of it.
    pub fn to_json(&self) -> Value {
        json!({
            "requests": self.requests, "forwarded": self.forwarded, "malformed": self.malformed,
            "malformed_target": self.malformed_target,
            "split": self.split, "changed": self.changed, "severe": self.severe,
            "ambiguous": self.ambiguous, "ambiguous_arrived": self.ambiguous_arrived,
            "compliant_refused": self.compliant, "well_formed_refused": self.refused,
            "damaged": self.damaged, "statuses": self.statuses,
        })
    }
}

/// Most requests that may arrive of what was sent, the canary after it not counted.
fn most(case: &Case) -> usize {
    let canary = b"GET /canary HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let read = transcript(&[&case.raw[..], canary].concat());
    let own = read.messages.iter().filter(|m| m.method == "GET" && m.target == "/canary").count();
    (read.messages.len() - own).max(1)
}

/// Whether a strict reader takes all of it, and nothing in it is for a server to choose.
pub fn must_be_served(case: &Case) -> bool {
    let read = transcript(&case.raw);
    let plain = |message: &Message| {
        !matches!(message.method.as_str(), "CONNECT" | "TRACE" | "PRI")
            && message.target != "*"
            && message.all("host").iter().all(|host| is_local(host))
            && message.all("expect").is_empty()
            && message.all("upgrade").is_empty()
    };
    read.malformed.is_none()
        && read.rest == 0
        && !read.messages.is_empty()
        && read.messages.iter().all(plain)
}

/// The host that the gateway under test serves.
fn is_local(host: &str) -> bool {
    let name = host.split(':').next().unwrap_or_default();
    name.eq_ignore_ascii_case("localhost")
}

/// The first difference between what was sent and what arrived, for requests that are well-formed.
fn changed(case: &Case, outcome: &Outcome) -> Option<String> {
    let sent = transcript(&case.raw).messages;
    for (sent, arrived) in sent.iter().zip(&outcome.forwarded) {
        if sent.method != arrived.method {
            return Some(format!("{} became {}", sent.method, arrived.method));
        }
        if sent.body != arrived.body {
            let (was, is) = (sent.body.len(), arrived.body.len());
            return Some(format!("a body of {was} bytes became one of {is}"));
        }
    }
    None
}

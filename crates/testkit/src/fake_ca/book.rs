//! What the server knows: accounts, orders, authorizations, nonces, and every request that came.

use std::collections::{BTreeSet, HashSet};

use portcullis_core::clock::Timestamp;
use serde_json::{Value, json};

use super::Shared;

/// One request.
pub(crate) struct Call {
    pub(crate) kind: &'static str,
    pub(crate) name: String,
    pub(crate) at: Timestamp,
}

/// One account: its key in SEC 1 form.
pub(crate) struct Account {
    pub(crate) key: Vec<u8>,
    pub(crate) thumbprint: String,
    pub(crate) contact: Vec<String>,
}

/// One order with its one authorization; both have its number.
pub(crate) struct Order {
    pub(crate) name: String,
    pub(crate) token: String,
    pub(crate) thumbprint: String,
    pub(crate) status: &'static str,
    pub(crate) authorization: &'static str,
    pub(crate) asked: bool,
    pub(crate) error: Option<Value>,
    pub(crate) chain: Option<String>,
    pub(crate) ready_at: Timestamp,
    pub(crate) replaces: Option<String>,
}

#[derive(Default)]
pub(crate) struct Book {
    pub(crate) accounts: Vec<Account>,
    pub(crate) orders: Vec<Order>,
    pub(crate) nonces: HashSet<String>,
    pub(crate) calls: Vec<Call>,
    pub(crate) agents: BTreeSet<String>,
}

const WAYS: [&str; 3] = ["http-01", "dns-01", "tls-alpn-01"];

impl Order {
    fn base(&self) -> &str {
        self.name.strip_prefix("*.").unwrap_or(&self.name)
    }

    pub(crate) fn order_json(&self, number: usize, shared: &Shared) -> Value {
        let mut order = json!({
            "status": self.status,
            "expires": "2100-01-01T00:00:00Z",
            "identifiers": [{"type": "dns", "value": self.name}],
            "authorizations": [shared.url(&format!("/authz/{number}"))],
            "finalize": shared.url(&format!("/finalize/{number}")),
        });
        if self.status == "valid" {
            order["certificate"] = shared.url(&format!("/certificate/{number}")).into();
        }
        if let Some(replaces) = &self.replaces {
            order["replaces"] = replaces.clone().into();
        }
        if let (Some(error), "invalid") = (&self.error, self.status) {
            order["error"] = error.clone();
        }
        order
    }

    pub(crate) fn authorization_json(&self, number: usize, shared: &Shared) -> Value {
        let ways = WAYS.iter().map(|way| self.challenge_json(number, way, shared));
        let mut authorization = json!({
            "status": self.authorization,
            "expires": "2100-01-01T00:00:00Z",
            "identifier": {"type": "dns", "value": self.base()},
            "challenges": ways.collect::<Vec<_>>(),
        });
        if self.name.starts_with("*.") {
            authorization["wildcard"] = true.into();
        }
        authorization
    }

    pub(crate) fn challenge_json(&self, number: usize, way: &str, shared: &Shared) -> Value {
        let status = match self.authorization {
            "pending" if self.asked => "processing",
            other => other,
        };
        let mut challenge = json!({
            "type": way,
            "url": shared.url(&format!("/challenge/{number}/{way}")),
            "status": status,
            "token": self.token,
        });
        if let Some(error) = &self.error {
            challenge["error"] = error.clone();
        }
        challenge
    }
}

//! The shelf of keys in memory, as requests ask it.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, OnceLock};

use foldhash::fast::RandomState;
use ipnet::IpNet;
use portcullis_core::{CredentialKind, Derived, Principal, Secret, Timestamp};
use portcullis_state::Kind;
use serde_json::{Map, json};
use subtle::{Choice, ConstantTimeEq};

use super::API_KEY;
use super::record::{KeptSecret, KeyState, Record};
use super::uses::Tally;

type Digest = [u8; 32];

/// No end: later than any time that this program can tell.
const NEVER: Timestamp = Timestamp::from_unix_nanos(u64::MAX);

/// All keys, by id.
#[derive(Debug)]
pub(super) struct Index {
    keys: HashMap<Box<str>, Key, RandomState>,
    /// What a secret is compared with where there is no key of its id.
    nobody: [Slot; 2],
}

/// How many keys there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Numbers {
    /// Came to their end.
    pub expired: usize,
    /// Good.
    pub live: usize,
    /// Ended by somebody.
    pub revoked: usize,
}

/// One key.
pub(super) struct Key {
    record: Record,
    /// Where it may be used; empty: anywhere.
    allow: Vec<IpNet>,
    /// Its secrets, the newest first.
    slots: [Slot; 2],
    tally: OnceLock<Arc<Tally>>,
}

/// Place for one secret. A digest of zeros is that of no secret, and nobody's.
#[derive(Default)]
struct Slot {
    digest: Digest,
    principal: Option<Arc<Principal>>,
}

/// A key whose secret was presented, and whom it stands for.
pub(super) struct Found<'i> {
    pub(super) key: &'i Key,
    pub(super) principal: &'i Arc<Principal>,
}

impl portcullis_state::Index for Index {
    const KIND: Kind = Kind::ApiKey;

    fn build(records: Vec<(String, Secret)>) -> Self {
        let mut keys = HashMap::default();
        for (id, kept) in records {
            let key = Record::read(&kept).and_then(|record| Key::new(&id, record));
            let Some(key) = key else {
                tracing::error!(id, "this API key cannot be read, and lets nobody in");
                continue;
            };
            keys.insert(id.into_boxed_str(), key);
        }
        Self { keys, nobody: Default::default() }
    }
}

impl Index {
    /// The key `id`, where `digest` is of one of its secrets. Both of its places are compared, whole,
    /// and the same is done where there is no such key.
    pub(super) fn find(&self, id: &str, digest: &[u8]) -> Option<Found<'_>> {
        let key = self.keys.get(id);
        let [first, second] = key.map_or(&self.nobody, |key| &key.slots);
        let (is_first, is_second) = (first.is(digest), second.is(digest));
        let slot = if bool::from(is_first) {
            first
        } else if bool::from(is_second) {
            second
        } else {
            return None;
        };
        Some(Found { key: key?, principal: slot.principal.as_ref()? })
    }

    pub(super) fn numbers(&self, now: Timestamp) -> Numbers {
        let mut numbers = Numbers::default();
        for key in self.keys.values() {
            match key.record.state(now) {
                KeyState::Expired => numbers.expired += 1,
                KeyState::Live => numbers.live += 1,
                KeyState::Revoked => numbers.revoked += 1,
            }
        }
        numbers
    }
}

impl Slot {
    fn is(&self, digest: &[u8]) -> Choice {
        self.digest.ct_eq(digest)
    }

    fn new(id: &str, record: &Record, secret: &KeptSecret) -> Option<Self> {
        let digest = read_hex(&secret.digest)?;
        Some(Self { digest, principal: Some(Arc::new(principal(id, record, secret))) })
    }
}

impl Key {
    /// `None` for a record that makes no sense.
    fn new(id: &str, record: Record) -> Option<Self> {
        let (first, second) = match &*record.secrets {
            [one] => (Slot::new(id, &record, one)?, Slot::default()),
            [one, other] => (Slot::new(id, &record, one)?, Slot::new(id, &record, other)?),
            _ => return None,
        };
        let allow = record.allow.iter().map(|network| network.parse());
        let allow = allow.collect::<Result<_, _>>().ok()?;
        Some(Self { record, allow, slots: [first, second], tally: OnceLock::new() })
    }

    /// Whether it is good now and for a client at `address`.
    pub(super) fn judge(
        &self,
        principal: &Principal,
        address: IpAddr,
        now: Timestamp,
    ) -> Result<(), &'static str> {
        match self.record.state(now) {
            KeyState::Expired => return Err("the key has expired"),
            KeyState::Revoked => return Err("the key was revoked"),
            KeyState::Live if now >= principal.expires => {
                return Err("this secret of the key was replaced, and has expired");
            }
            KeyState::Live => {}
        }
        let address = address.to_canonical();
        if self.allow.is_empty() || self.allow.iter().any(|network| network.contains(&address)) {
            return Ok(());
        }
        Err("the key may not be used from this address")
    }

    /// Where its uses are counted.
    pub(super) fn tally(&self, find: impl FnOnce() -> Arc<Tally>) -> &Tally {
        self.tally.get_or_init(find)
    }
}

/// Whom a key stands for, by this secret of it.
fn principal(id: &str, record: &Record, secret: &KeptSecret) -> Principal {
    let mut claims = Map::new();
    claims.insert("key_id".to_owned(), json!(id));
    claims.insert("owner".to_owned(), json!(record.owner));
    claims.insert("scopes".to_owned(), json!(record.scopes));
    claims.insert("created".to_owned(), json!(record.created));
    if let Some(expires) = record.expires {
        claims.insert("expires".to_owned(), json!(expires));
    }
    let ends = [record.expires, secret.expires].into_iter().flatten().min();
    Principal {
        subject: record.owner.clone(),
        issuer_name: API_KEY.into(),
        issuer: API_KEY.into(),
        scopes: record.scopes.clone(),
        roles: Vec::new(),
        claims: Arc::new(claims),
        expires: ends.map_or(NEVER, Timestamp::from_unix_seconds),
        credential: CredentialKind::ApiKey,
        derived: Derived::default(),
    }
}

/// A digest as records have it.
pub(super) fn write_hex(digest: &[u8]) -> String {
    digest.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

/// `None` for what is no digest, and for that of no secret.
fn read_hex(text: &str) -> Option<Digest> {
    let mut digest = Digest::default();
    if text.len() != 2 * digest.len() || !text.is_ascii() {
        return None;
    }
    for (n, byte) in digest.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * n..2 * n + 2)?, 16).ok()?;
    }
    (digest != Digest::default()).then_some(digest)
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.record.fmt(f)
    }
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Slot(redacted)")
    }
}

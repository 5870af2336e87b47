//! What is kept of a key, and what is shown of it: never its secret.

use std::fmt;

use portcullis_core::{Secret, Timestamp};
use serde::{Deserialize, Serialize};

/// A key as the store has it. What a later version says of a key and this one does not know makes the
/// record unreadable: it may be what holds the key back.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Record {
    /// Whose it is.
    pub(super) owner: String,
    /// What it may do.
    pub(super) scopes: Vec<String>,
    /// Networks where it may be used; empty: anywhere.
    pub(super) allow: Vec<String>,
    /// Seconds since the Unix epoch, as all times here.
    pub(super) created: u64,
    /// When it ends.
    pub(super) expires: Option<u64>,
    /// When it was revoked.
    pub(super) revoked: Option<u64>,
    /// The newest first, at most two.
    pub(super) secrets: Vec<KeptSecret>,
}

/// What is kept of one secret.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct KeptSecret {
    /// SHA-256 of the whole key, in hex.
    pub(super) digest: String,
    /// When it was made.
    pub(super) created: u64,
    /// When it ends, where that is before the key does.
    pub(super) expires: Option<u64>,
}

/// Whether a key is any good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyState {
    /// It came to its end.
    Expired,
    /// It is good.
    Live,
    /// Somebody ended it.
    Revoked,
}

/// A key as people and programs are shown it.
#[derive(Clone, Debug, Serialize)]
pub struct KeyView {
    /// Its id.
    pub id: String,
    /// Whether it is good.
    pub state: KeyState,
    /// Whose it is.
    pub owner: String,
    /// What it may do.
    pub scopes: Vec<String>,
    /// Networks where it may be used; empty: anywhere.
    pub allow: Vec<String>,
    /// When it was made, RFC 3339.
    pub created: String,
    /// When it ends.
    pub expires: Option<String>,
    /// When it was revoked.
    pub revoked: Option<String>,
    /// Its secrets that are good still, the newest first.
    pub secrets: Vec<SecretView>,
    /// When it was last used, where that is no longer ago than counts are kept.
    pub last_used: Option<String>,
    /// How often it was used in the days that counts are kept.
    pub uses: u64,
    /// How often on each day, the latest first; days without a use are left out.
    pub uses_by_day: Vec<DayView>,
}

/// One secret of a key.
#[derive(Clone, Debug, Serialize)]
pub struct SecretView {
    /// When it was made, RFC 3339.
    pub created: String,
    /// When it ends, where that is before the key does.
    pub expires: Option<String>,
}

/// Uses on one day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DayView {
    /// The day in UTC, `2026-11-25`.
    pub day: String,
    /// How often.
    pub count: u64,
}

impl KeyState {
    /// Its word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::Live => "live",
            Self::Revoked => "revoked",
        }
    }
}

impl Record {
    /// Reads what the store has.
    pub(super) fn read(kept: &Secret) -> Option<Self> {
        serde_json::from_slice(kept.expose()).ok()
    }

    /// What the store keeps.
    pub(super) fn write(&self) -> Option<Secret> {
        serde_json::to_vec(self).ok().map(Secret::new)
    }

    pub(super) fn state(&self, now: Timestamp) -> KeyState {
        if self.revoked.is_some() {
            KeyState::Revoked
        } else if is_over(self.expires, now) {
            KeyState::Expired
        } else {
            KeyState::Live
        }
    }

    /// Since when it is good no more, in seconds since the Unix epoch.
    pub(super) fn ended(&self, now: Timestamp) -> Option<u64> {
        self.revoked.or(self.expires.filter(|_| is_over(self.expires, now)))
    }

    pub(super) fn view(&self, id: &str, now: Timestamp) -> KeyView {
        let live = |secret: &&KeptSecret| !is_over(secret.expires, now);
        let secret = |secret: &KeptSecret| SecretView {
            created: text(secret.created),
            expires: secret.expires.map(text),
        };
        KeyView {
            id: id.to_owned(),
            state: self.state(now),
            owner: self.owner.clone(),
            scopes: self.scopes.clone(),
            allow: self.allow.clone(),
            created: text(self.created),
            expires: self.expires.map(text),
            revoked: self.revoked.map(text),
            secrets: self.secrets.iter().filter(live).map(secret).collect(),
            last_used: None,
            uses: 0,
            uses_by_day: Vec::new(),
        }
    }
}

/// Whether a time of end has come.
fn is_over(ends: Option<u64>, now: Timestamp) -> bool {
    ends.is_some_and(|at| now >= Timestamp::from_unix_seconds(at))
}

/// Seconds since the Unix epoch, for people.
pub(super) fn text(seconds: u64) -> String {
    Timestamp::from_unix_seconds(seconds).rfc3339()
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record").field("owner", &self.owner).finish_non_exhaustive()
    }
}

impl fmt::Debug for KeptSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeptSecret(redacted)")
    }
}

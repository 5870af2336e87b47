//! `state`: where what must be remembered lives.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::raw::secret::SecretSource;

/// Where what must be remembered lives.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct State {
    /// Counters of limits. Default: `memory`, of each process by itself.
    pub shared: Shared,
    /// Keys, certificates and accounts: `sqlite:` and the path of a file, which the processes of
    /// one machine may share. Default: `state.db` in the state folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub durable: Option<Durable>,
    /// The secret that seals what is kept in `durable`; at least 32 random bytes. Default: made at
    /// the first start and kept in the state folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encryption_key: Option<SecretSource>,
}

/// What the processes of one gateway share while they run.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", expecting = "`memory`")]
pub enum Shared {
    /// Nothing: each has its own.
    #[default]
    Memory,
}

/// Where what must survive a restart is kept.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(expecting = "`sqlite:` and the path of a file")]
pub enum Durable {
    /// In this place.
    #[serde(rename = "<string>")]
    #[schemars(untagged)]
    Place(#[schemars(regex(pattern = r"^sqlite:."))] String),
}

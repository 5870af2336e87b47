//! Where what must be remembered lives: sealed records that outlive a restart and are shared by
//! replicas ([`Durable`]), a copy of those that each request asks for ([`Mirror`]), and a folder of small
//! secret files.

mod durable;
mod folder;
mod memory;
mod mirror;
mod seal;
mod sqlite;

pub use durable::{Durable, DurableError, Kind};
pub use folder::{StateError, StateFolder};
pub use memory::MemoryDurable;
pub use mirror::{Index, Mirror};
pub use seal::EncryptionKey;
pub use sqlite::{OpenError, SqliteDurable, made_key};

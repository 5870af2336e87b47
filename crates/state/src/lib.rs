//! Where what must be remembered lives: a folder of small secret files that outlive a restart.

mod folder;

pub use folder::{StateError, StateFolder};

//! Something made once of a value and looked at often, by a part that the value knows nothing of.

use std::any::Any;
use std::fmt;
use std::sync::{Arc, OnceLock};

/// A place for it. It is no part of the value: all are equal, and clones share what was made.
#[derive(Clone, Default)]
pub struct Derived(Arc<OnceLock<Box<dyn Any + Send + Sync>>>);

impl Derived {
    /// What was made, by `make` where nothing was yet; `None` where it is of another type.
    pub fn get_or_make<T: Any + Send + Sync>(&self, make: impl FnOnce() -> T) -> Option<&T> {
        self.0.get_or_init(|| Box::new(make())).downcast_ref()
    }
}

impl PartialEq for Derived {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl fmt::Debug for Derived {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.get().is_some() { "made" } else { "not made" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_made_once_and_shared_by_clones() {
        let derived = Derived::default();
        let clone = derived.clone();
        assert_eq!(derived.get_or_make(|| 1_u8), Some(&1));
        assert_eq!(clone.get_or_make(|| 2_u8), Some(&1));
        assert_eq!(clone.get_or_make(|| "other"), None);
    }
}

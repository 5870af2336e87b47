//! From the tree to the raw types, with every mistake noted on the way.
//!
//! A derived `Deserialize` stops at its first error. So the tree is read again and again: what was
//! wrong is noted at its path and left out of the next reading, until a reading goes through.

mod choice;
mod error;
mod list;
mod mapping;
mod text;
mod value;

use std::cell::RefCell;
use std::collections::HashSet;

use serde::de::DeserializeOwned;

use crate::at::At;
use crate::problem::Problems;
use crate::yaml::tree::Node;

pub use list::{Entries, Items};
pub(crate) use text::{Complaint, FromText, text};

use error::ReadError;
use value::Value;

/// Mistakes in values after which reading gives up.
const MAXIMUM_READINGS: usize = 200;

/// What one reading shares with the next.
struct Context<'p> {
    problems: RefCell<&'p mut Problems>,
    left_out: RefCell<HashSet<At>>,
}

impl Context<'_> {
    fn is_left_out(&self, at: &At) -> bool {
        self.left_out.borrow().contains(at)
    }

    /// Notes `error` and leaves out the value it is about; false where there is nothing to leave out.
    fn note(&self, error: ReadError) -> bool {
        let (at, problem) = error.into_problem();
        if let Some(problem) = problem {
            self.problems.borrow_mut().push(problem);
        }
        let mut here = Some(&at);
        while let Some(at) = here {
            if at.parent().is_some() && self.left_out.borrow_mut().insert(at.clone()) {
                return true;
            }
            here = at.parent();
        }
        false
    }
}

/// Reads `tree` as a `T`; what is wrong is noted in `problems` and is as if it were not there.
pub(crate) fn read<T: DeserializeOwned + Default>(tree: &Node, problems: &mut Problems) -> T {
    let context =
        Context { problems: RefCell::new(problems), left_out: RefCell::new(HashSet::new()) };
    for _ in 0..MAXIMUM_READINGS {
        match T::deserialize(Value::new(tree, At::root(), &context)) {
            Ok(value) => return value,
            Err(error) => {
                if !context.note(error) {
                    break;
                }
            }
        }
    }
    T::default()
}

#[cfg(test)]
mod tests;

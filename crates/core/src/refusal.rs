//! Any answer that is not the app's: a denial or a fault.

use std::borrow::Cow;

use crate::{Denial, Fault};

/// Any answer that is not the upstream's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The client was refused.
    Denial(Denial),
    /// Something on our side failed.
    Fault(Fault),
}

impl Refusal {
    /// The status it is answered with.
    pub const fn status(&self) -> u16 {
        match self {
            Self::Denial(denial) => denial.status(),
            Self::Fault(fault) => fault.status(),
        }
    }

    /// Its stable code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Denial(denial) => denial.code(),
            Self::Fault(fault) => fault.code(),
        }
    }

    /// One short sentence for people.
    pub const fn title(&self) -> &'static str {
        match self {
            Self::Denial(denial) => denial.title(),
            Self::Fault(fault) => fault.title(),
        }
    }

    /// What the log says beyond the code.
    pub fn reason(&self) -> Cow<'_, str> {
        match self {
            Self::Denial(denial) => denial.reason(),
            Self::Fault(fault) => fault.reason(),
        }
    }
}

impl From<Denial> for Refusal {
    fn from(denial: Denial) -> Self {
        Self::Denial(denial)
    }
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

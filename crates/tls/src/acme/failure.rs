//! Why an attempt ended without a certificate, and what that means for the next one.

use std::time::Duration;

use portcullis_core::Timestamp;
use portcullis_state::DurableError;

use super::SolveError;
use super::record::RecordError;
use crate::TlsError;

/// An answer of the authority that is no.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{url} answered {status}{}{}", with(": ", kind.as_deref()), with(": ", detail.as_deref()))]
pub(super) struct Refused {
    pub(super) url: String,
    pub(super) status: u16,
    /// The problem's type, without what all have in common.
    pub(super) kind: Option<String>,
    pub(super) detail: Option<String>,
    pub(super) retry_after: Option<Duration>,
}

fn with(before: &str, text: Option<&str>) -> String {
    text.map(|text| format!("{before}{text}")).unwrap_or_default()
}

/// Why an attempt ended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Failure {
    /// The authority said no.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The authority could not be reached or understood.
    #[error("{0}")]
    Unreachable(String),
    /// The authority looked and did not find the answer, or gave the order up.
    #[error("{0}")]
    Invalid(String),
    /// The authority does not come to an end.
    #[error("the authority has not decided within {0:?}")]
    TooSlow(Duration),
    /// The answer could not be shown.
    #[error(transparent)]
    Unsolved(#[from] SolveError),
    /// What was issued cannot be served.
    #[error("the authority issued a certificate that cannot be served: {0}")]
    Unusable(#[from] TlsError),
    /// Too many validations failed lately.
    #[error("4 validations within an hour: the next one has to wait")]
    Full(Timestamp),
    /// The account is being made elsewhere.
    #[error("another process makes the account")]
    Elsewhere,
    /// Another process works on it now.
    #[error("the lease was lost")]
    LeaseLost,
    /// The process ends, or the file changed.
    #[error("stopped")]
    Stopped,
    /// Nothing can be remembered, so nothing may be done.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The system gives no random bytes, or cannot make a key.
    #[error("{0}")]
    Library(String),
}

impl From<DurableError> for Failure {
    fn from(error: DurableError) -> Self {
        Self::Record(RecordError::Durable(error))
    }
}

impl From<instant_acme::Error> for Failure {
    fn from(error: instant_acme::Error) -> Self {
        if let instant_acme::Error::Api(problem) = error {
            return Self::Invalid(problem.to_string());
        }
        let instant_acme::Error::Other(inner) = error else {
            return Self::Unreachable(error.to_string());
        };
        match inner.downcast::<Self>() {
            Ok(failure) => *failure,
            Err(other) => Self::Unreachable(other.to_string()),
        }
    }
}

/// The most that is shown of what somebody else said, in characters.
const LONGEST: usize = 600;

/// What would change how the rest of a line is shown, beside control characters: marks of direction
/// (Unicode UAX #9) and what has no width.
fn is_hidden(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

impl Failure {
    /// Its text for logs, records and terminals: part of it may be the authority's.
    pub(super) fn shown(&self) -> String {
        let text = self.to_string();
        let plain = |c: char| if c.is_control() || is_hidden(c) { ' ' } else { c };
        let mut shown: String = text.chars().take(LONGEST).map(plain).collect();
        if text.chars().nth(LONGEST).is_some() {
            shown.push('…');
        }
        shown
    }

    /// Whether it tells nothing of the name: no attempt that counts.
    pub(super) const fn is_no_attempt(&self) -> bool {
        matches!(
            self,
            Self::Elsewhere | Self::LeaseLost | Self::Stopped | Self::Record(_) | Self::Library(_)
        )
    }

    /// How long the authority wants to be left alone.
    pub(super) const fn retry_after(&self) -> Option<Duration> {
        if let Self::Refused(refused) = self { refused.retry_after } else { None }
    }

    /// Whether the authority said no to what is asked, and not for a time only.
    pub(super) fn is_final(&self) -> bool {
        let for_a_time = ["rateLimited", "badNonce", "serverInternal", "orderNotReady"];
        let Self::Refused(refused) = self else { return false };
        let kind = refused.kind.as_deref().unwrap_or_default();
        (400..500).contains(&refused.status)
            && !matches!(refused.status, 408 | 425 | 429)
            && !for_a_time.contains(&kind)
    }

    /// Whether the authority named this problem.
    pub(super) fn is_of_kind(&self, kind: &str) -> bool {
        matches!(self, Self::Refused(refused) if refused.kind.as_deref() == Some(kind))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_authority_says_is_shown_on_one_line_and_not_whole() {
        let said = "a\u{1b}[31m\n\u{202e}b".to_owned();
        assert_eq!(Failure::Invalid(said).shown(), "a [31m  b");
        let shown = Failure::Invalid("x".repeat(400_000)).shown();
        assert_eq!(shown.chars().count(), LONGEST + 1);
    }
}

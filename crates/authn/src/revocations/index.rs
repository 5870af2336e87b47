//! The shelf as requests ask it.

use std::collections::HashMap;

use foldhash::quality::RandomState;
use portcullis_core::{Secret, Timestamp};
use portcullis_state::Kind;

use super::record::{Revocation, Revoked};

type ByText<T> = HashMap<Box<str>, T, RandomState>;

/// Revocations by what tokens say of themselves.
#[derive(Debug, Default)]
pub(super) struct Index {
    issuers: ByText<OfIssuer>,
    count: usize,
    unreadable: bool,
}

#[derive(Debug, Default)]
struct OfIssuer {
    /// Until when each is kept.
    jtis: ByText<End>,
    /// When each was revoked.
    subjects: ByText<Vec<(Timestamp, End)>>,
    issued_before: Vec<(Timestamp, End)>,
}

/// When a revocation is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct End(Option<Timestamp>);

impl End {
    fn counts(self, now: Timestamp) -> bool {
        self.0.is_none_or(|until| now < until)
    }
}

/// What a token says of itself.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'p> {
    pub(super) issuer: &'p str,
    pub(super) jti: Option<&'p str>,
    /// Empty where it has none.
    pub(super) subject: &'p str,
    pub(super) issued: Option<Timestamp>,
}

impl portcullis_state::Index for Index {
    const KIND: Kind = Kind::Revocation;

    fn build(records: Vec<(String, Secret)>) -> Self {
        let mut index = Self::default();
        for (id, record) in records {
            match Revocation::read(id, &record) {
                Some(revocation) => index.add(revocation),
                None => index.unreadable = true,
            }
        }
        if index.unreadable {
            let reason = "it is of a later version, or damaged: no token can be judged";
            tracing::error!(reason, "a revocation cannot be read");
        }
        index
    }
}

impl Index {
    fn add(&mut self, revocation: Revocation) {
        let Revocation { issuer, revoked, created, until, .. } = revocation;
        let of_issuer = self.issuers.entry(issuer.into_boxed_str()).or_default();
        let end = End(until);
        match revoked {
            Revoked::Jti(jti) => drop(of_issuer.jtis.insert(jti.into_boxed_str(), end)),
            Revoked::Subject(subject) => {
                of_issuer
                    .subjects
                    .entry(subject.into_boxed_str())
                    .or_default()
                    .push((created, end));
            }
            Revoked::IssuedBefore(time) => of_issuer.issued_before.push((time, end)),
        }
        self.count += 1;
    }

    /// Why the token is good no more, if it is not.
    pub(super) fn find(&self, asked: &Asked<'_>, now: Timestamp) -> Option<&'static str> {
        let of_issuer = self.issuers.get(asked.issuer)?;
        let by_jti = asked.jti.and_then(|jti| of_issuer.jtis.get(jti));
        if by_jti.is_some_and(|end| end.counts(now)) {
            return Some("the token was revoked by its jti");
        }
        let before = |limit: Timestamp| asked.issued.is_none_or(|issued| issued < limit);
        if of_issuer.issued_before.iter().any(|(time, end)| end.counts(now) && before(*time)) {
            return Some("the token was issued before a time that revokes it");
        }
        if asked.subject.is_empty() {
            return None;
        }
        let until = |limit: Timestamp| asked.issued.is_none_or(|issued| issued <= limit);
        let by_subject = of_issuer.subjects.get(asked.subject)?;
        let revoked = by_subject.iter().any(|(time, end)| end.counts(now) && until(*time));
        revoked.then_some("the tokens of the subject were revoked")
    }

    pub(super) fn is_empty(&self) -> bool {
        self.issuers.is_empty()
    }

    pub(super) const fn is_unreadable(&self) -> bool {
        self.unreadable
    }

    pub(super) const fn count(&self) -> usize {
        self.count
    }
}

//! The shelf as requests ask it.

use std::collections::HashMap;
use std::time::Duration;

use foldhash::quality::RandomState;
use portcullis_core::{Secret, Timestamp};
use portcullis_state::Kind;

use super::record::{Revocation, Revoked, Term};

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
    /// How long each is kept.
    jtis: ByText<Term>,
    /// When each was revoked.
    subjects: ByText<Vec<(Timestamp, Term)>>,
    issued_before: Vec<(Timestamp, Term)>,
}

/// What a token says of itself.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'p> {
    pub(super) issuer: &'p str,
    pub(super) jti: Option<&'p str>,
    /// Empty where it has none.
    pub(super) subject: &'p str,
    pub(super) issued: Option<Timestamp>,
    /// How far the clock of its issuer may be off.
    pub(super) leeway: Duration,
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
        let Revocation { issuer, revoked, created, term, .. } = revocation;
        let of_issuer = self.issuers.entry(issuer.into_boxed_str()).or_default();
        match revoked {
            Revoked::Jti(jti) => drop(of_issuer.jtis.insert(jti.into_boxed_str(), term)),
            Revoked::Subject(subject) => {
                of_issuer
                    .subjects
                    .entry(subject.into_boxed_str())
                    .or_default()
                    .push((created, term));
            }
            Revoked::IssuedBefore(time) => of_issuer.issued_before.push((time, term)),
        }
        self.count += 1;
    }

    /// Why the token is good no more, if it is not.
    pub(super) fn find(&self, asked: &Asked<'_>, now: Timestamp) -> Option<&'static str> {
        let of_issuer = self.issuers.get(asked.issuer)?;
        let by_jti = asked.jti.and_then(|jti| of_issuer.jtis.get(jti));
        let counts = |term: &Term| !term.is_over(now, asked.leeway);
        if by_jti.is_some_and(counts) {
            return Some("the token was revoked by its jti");
        }
        // The issuer's clock may be ahead: what it issued at a time can say a later one.
        let latest = |time: Timestamp, term: &Term| time.plus(term.leeway.max(asked.leeway));
        let before = |limit: Timestamp| asked.issued.is_none_or(|issued| issued < limit);
        let by_time =
            |(time, term): &(Timestamp, Term)| counts(term) && before(latest(*time, term));
        if of_issuer.issued_before.iter().any(by_time) {
            return Some("the token was issued before a time that revokes it");
        }
        if asked.subject.is_empty() {
            return None;
        }
        let until = |limit: Timestamp| asked.issued.is_none_or(|issued| issued <= limit);
        let by_subject = of_issuer.subjects.get(asked.subject)?;
        let of_then = |(time, term): &(Timestamp, Term)| counts(term) && until(latest(*time, term));
        by_subject.iter().any(of_then).then_some("the tokens of the subject were revoked")
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

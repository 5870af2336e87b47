//! What wrong credentials cost: nothing of the same address and account passes for a while.

use portcullis_authn::{claimed_key_id, with_claimed_account};
use portcullis_core::{Denial, Fault, Refusal};
use portcullis_limit::{Pair, Penalties};

use crate::identify::{Caller, Sent};
use crate::report::{active, refuse, told};
use crate::{PenaltyLimit, Stage, Trace, WouldDeny};

/// Why nobody was identified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failed {
    pub(crate) refusal: Refusal,
    /// Whether the credential is a guess or a forgery, and none that was good once, or is elsewhere.
    pub(crate) is_wrong: bool,
}

impl Failed {
    /// For a credential that is wrong.
    pub(crate) fn wrong(denial: Denial) -> Self {
        Self { refusal: denial.into(), is_wrong: true }
    }
}

impl From<Denial> for Failed {
    fn from(denial: Denial) -> Self {
        Self { refusal: denial.into(), is_wrong: false }
    }
}

impl From<Fault> for Failed {
    fn from(fault: Fault) -> Self {
        Self { refusal: fault.into(), is_wrong: false }
    }
}

/// A credential that is about to be judged, on a route where wrong ones cost.
pub(crate) struct Watched<'r> {
    penalties: &'r Penalties,
    sent: &'r Sent<'r>,
    address: &'r [u8],
    /// Whose it would be; not asked for while nothing is held against anybody.
    pair: Option<Claimed>,
}

/// A pair, and whether its account has a name. Without one the pair is that of whoever sends
/// something that claims none: a good credential of one says nothing of the others.
#[derive(Clone, Copy)]
struct Claimed {
    pair: Pair,
    is_named: bool,
}

/// Refuses what comes while the delay of its pair runs, before it is verified.
pub(crate) fn admit<'r, T: Trace>(
    limit: Option<&'r PenaltyLimit>,
    sent: Option<&'r Sent<'r>>,
    address: &'r [u8],
    would_deny: &mut Vec<WouldDeny>,
    trace: &mut T,
) -> Result<Option<Watched<'r>>, Refusal> {
    let Some(PenaltyLimit { penalties, origin, report_only }) = limit else { return Ok(None) };
    let name = &penalties.penalty().name;
    let sent = sent.filter(|sent| !matches!(sent, Sent::NoToken(_)));
    let pair = match sent {
        Some(sent) if !penalties.is_empty() => Some(claimed(penalties, sent, address)),
        Some(_) | None => None,
    };
    let wait = pair.and_then(|claimed| penalties.wait(claimed.pair));
    let report = wait.and(active(report_only.as_ref()));
    trace.note(Stage::Penalty, *origin, || match (sent, wait) {
        (None, _) => format!("{name}: no credential"),
        (Some(_), None) => format!("{name}: no wait"),
        (Some(_), Some(_)) => told(format!("{name}: too many wrong credentials"), report),
    });
    if let Some(retry_after) = wait {
        let denial = Denial::TooManyFailures { limit: name.to_string(), retry_after };
        refuse(denial, *origin, report, would_deny)?;
    }
    Ok(sent.map(|sent| Watched { penalties, sent, address, pair }))
}

/// Counts a wrong credential; a good one is forgiven what came before.
pub(crate) fn settle(
    watched: Option<&Watched<'_>>,
    identified: Result<Option<Caller>, Failed>,
) -> Result<Option<Caller>, Refusal> {
    if let Some(&Watched { penalties, sent, address, pair }) = watched {
        match (&identified, pair) {
            (Err(Failed { is_wrong: true, .. }), pair) => {
                let pair = pair.unwrap_or_else(|| claimed(penalties, sent, address));
                penalties.fail(pair.pair);
            }
            (Ok(Some(_)), Some(Claimed { pair, is_named: true })) => penalties.forgive(pair),
            (Ok(_) | Err(_), _) => {}
        }
    }
    identified.map_err(|failed| failed.refusal)
}

/// Whose a credential claims to be: an API key by its id, a token by its `iss` and `sub`.
fn claimed(penalties: &Penalties, sent: &Sent<'_>, address: &[u8]) -> Claimed {
    let pair = |kind: &[u8], one: &str, two: &str| {
        penalties.pair(address, [kind, one.as_bytes(), two.as_bytes()])
    };
    match sent {
        Sent::Key(_, value) => {
            let id = value.to_str().ok().and_then(claimed_key_id).unwrap_or_default();
            Claimed { pair: pair(b"key", id, ""), is_named: !id.is_empty() }
        }
        Sent::Token(found) => with_claimed_account(&found.token, |iss, sub| Claimed {
            pair: pair(b"token", iss, sub),
            is_named: !sub.is_empty(),
        }),
        Sent::NoToken(_) => Claimed { pair: pair(b"none", "", ""), is_named: false },
    }
}

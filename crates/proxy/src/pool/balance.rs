//! Which of the endpoints that can be used gets a request.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::IpAddr;

use portcullis_policy::Balance;

/// What the choice looks at.
pub(crate) struct Candidate<'c> {
    /// How the endpoint is named in the file.
    pub(crate) label: &'c str,
    /// Requests under way at it.
    pub(crate) requests: usize,
}

/// Index of the one chosen; `None` only where there is none. `turn` counts choices.
pub(crate) fn choose(
    candidates: &[Candidate<'_>],
    balance: Balance,
    turn: usize,
    client: Option<IpAddr>,
) -> Option<usize> {
    let start = turn.checked_rem(candidates.len())?;
    match (balance, client) {
        (Balance::HashAddress, Some(client)) => by_hash(candidates, client),
        (Balance::LeastRequests, _) => {
            // From the turn on, so that those with equally few take turns.
            let order = (start..candidates.len()).chain(0..start);
            order.min_by_key(|index| candidates.get(*index).map_or(usize::MAX, |one| one.requests))
        }
        (Balance::RoundRobin | Balance::HashAddress, _) => Some(start),
    }
}

/// Rendezvous: each endpoint draws a number from its name and the client, the highest wins. Where
/// one goes, only its own clients move.
fn by_hash(candidates: &[Candidate<'_>], client: IpAddr) -> Option<usize> {
    let draw = |candidate: &Candidate<'_>| {
        let mut hasher = DefaultHasher::new();
        (client, candidate.label).hash(&mut hasher);
        hasher.finish()
    };
    let drawn = candidates.iter().map(draw).enumerate();
    drawn.max_by_key(|(_, number)| *number).map(|(index, _)| index)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn candidates<'c>(all: &[(&'c str, usize)]) -> Vec<Candidate<'c>> {
        all.iter().map(|(label, requests)| Candidate { label, requests: *requests }).collect()
    }

    fn address(number: u32) -> IpAddr {
        IpAddr::from(number.to_be_bytes())
    }

    #[test]
    fn turns_and_the_fewest_requests() {
        let three = candidates(&[("a", 2), ("b", 1), ("c", 1)]);
        let turns: Vec<_> =
            (0..4).map(|turn| choose(&three, Balance::RoundRobin, turn, None)).collect();
        assert_eq!(turns, [Some(0), Some(1), Some(2), Some(0)]);
        let least = |turn| choose(&three, Balance::LeastRequests, turn, None);
        assert_eq!((least(0), least(1), least(2)), (Some(1), Some(1), Some(2)));
        assert_eq!(choose(&[], Balance::RoundRobin, 0, None), None);
    }

    #[test]
    fn a_client_keeps_its_endpoint_when_another_goes() {
        let (all, fewer) = (candidates(&[("a", 0), ("b", 0), ("c", 0)]), ["a", "c"]);
        let fewer_candidates = candidates(&fewer.map(|label| (label, 0)));
        let mut shares: HashMap<&str, usize> = HashMap::new();
        for number in 0..3_000 {
            let index = choose(&all, Balance::HashAddress, number as usize, Some(address(number)));
            let label = all[index.unwrap()].label;
            *shares.entry(label).or_default() += 1;
            let after = choose(&fewer_candidates, Balance::HashAddress, 0, Some(address(number)));
            if label != "b" {
                assert_eq!(fewer[after.unwrap()], label);
            }
        }
        assert!(shares.values().all(|share| (800..1200).contains(share)), "{shares:?}");
    }
}

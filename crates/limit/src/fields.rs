//! Items of `RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers-11).

use std::time::Duration;

use crate::{Quota, Standing};

/// The item of `RateLimit-Policy` for a limit, as `"per_address";q=50;w=10`: `q` is the burst, `w`
/// the seconds in which a whole burst comes back, rounded up (§3.1).
pub fn policy_item(quota: &Quota) -> String {
    let window = whole_seconds(quota.window());
    format!("{};q={};w={window}", string(&quota.name), quota.burst)
}

/// The item of `RateLimit` for a limit, as `"per_address";r=49;t=1`: `r` more requests may come at
/// once, and in `t` seconds one more than that (§4.1). On a refusal `t` equals `Retry-After`.
pub fn limit_item(quota: &Quota, standing: &Standing) -> String {
    let window = whole_seconds(standing.reset);
    format!("{};r={};t={window}", string(&quota.name), standing.remaining)
}

/// A wait as `Retry-After` and `RateLimit` state it: whole seconds, rounded up, at least one.
pub fn whole_seconds(wait: Duration) -> u64 {
    wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0)).max(1)
}

/// A String of RFC 9651 §4.1.6. What such a string cannot hold becomes `_`.
fn string(name: &str) -> String {
    let mut text = String::with_capacity(name.len() + 2);
    text.push('"');
    for character in name.chars() {
        match character {
            '"' | '\\' => text.extend(['\\', character]),
            ' '..='~' => text.push(character),
            _ => text.push('_'),
        }
    }
    text.push('"');
    text
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;

    fn quota(name: &str, count: u32, burst: u32) -> Quota {
        Quota {
            name: name.into(),
            count: NonZeroU32::new(count).unwrap(),
            period: Duration::from_mins(1),
            burst: NonZeroU32::new(burst).unwrap(),
            maximum_keys: 1,
        }
    }

    #[test]
    fn items_are_structured_fields() {
        let per_address = quota("per_address", 300, 50);
        assert_eq!(policy_item(&per_address), "\"per_address\";q=50;w=10");
        assert_eq!(policy_item(&quota("x", 60_000, 1)), "\"x\";q=1;w=1");
        assert_eq!(policy_item(&quota("x", 7, 2)), "\"x\";q=2;w=18");
        let standing = Standing { remaining: 49, reset: Duration::from_millis(200) };
        assert_eq!(limit_item(&per_address, &standing), "\"per_address\";r=49;t=1");
        assert_eq!(policy_item(&quota("a\"b\\c\u{e9}\n", 60, 1)), "\"a\\\"b\\\\c__\";q=1;w=1");
    }

    #[test]
    fn waits_are_rounded_up() {
        assert_eq!(whole_seconds(Duration::ZERO), 1);
        assert_eq!(whole_seconds(Duration::from_nanos(1)), 1);
        assert_eq!(whole_seconds(Duration::from_secs(6)), 6);
        assert_eq!(whole_seconds(Duration::new(6, 1)), 7);
        assert_eq!(whole_seconds(Duration::MAX), u64::MAX);
    }
}

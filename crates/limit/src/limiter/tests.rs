//! The cases of the field that concern counting, and properties of the judgement under a clock
//! that is moved by hand.

use std::collections::HashSet;
use std::num::NonZeroU32;

use portcullis_core::{ClientKey, Timestamp};
use proptest::prelude::*;

use super::*;
use crate::{limit_item, policy_item, whole_seconds};

const MINUTE: Duration = Duration::from_mins(1);

fn quota(count: u32, period: Duration, burst: u32, maximum_keys: usize) -> Quota {
    let number = |n| NonZeroU32::new(n).unwrap();
    Quota { name: "test".into(), count: number(count), period, burst: number(burst), maximum_keys }
}

fn manual() -> Clock {
    Clock::manual(Timestamp::from_unix_seconds(1_700_000_000))
}

fn admitted(limiter: &Limiter, key: &[u8]) -> bool {
    matches!(limiter.admit(key), Outcome::Admitted(_))
}

/// `Ok((remaining, seconds))` or `Err(seconds)`.
#[track_caller]
fn check(limiter: &Limiter, expected: Result<(u32, u64), u64>) {
    let actual = match limiter.admit(b"key") {
        Outcome::Admitted(standing) => Ok((standing.remaining, whole_seconds(standing.reset))),
        Outcome::Refused { retry_after } => Err(whole_seconds(retry_after)),
    };
    assert_eq!(actual, expected);
}

#[test]
fn c19_the_burst_passes_and_the_stated_wait_suffices() {
    let clock = manual();
    let limiter = Limiter::new(quota(10, MINUTE, 3, 100), clock.clone());
    check(&limiter, Ok((2, 6)));
    check(&limiter, Ok((1, 6)));
    check(&limiter, Ok((0, 6)));
    check(&limiter, Err(6));
    clock.advance(Duration::from_millis(6_100));
    check(&limiter, Ok((0, 6)));
    check(&limiter, Err(6));
    clock.advance(Duration::from_secs(6));
    check(&limiter, Ok((0, 6)));
    clock.advance(MINUTE);
    check(&limiter, Ok((2, 6)));
}

#[test]
fn c19_pressing_on_does_not_lengthen_the_wait() {
    let clock = manual();
    let limiter = Limiter::new(quota(10, MINUTE, 3, 100), clock.clone());
    while admitted(&limiter, b"key") {}
    for tenth in 1..60 {
        clock.advance(Duration::from_millis(100));
        let retry_after = Duration::from_millis(6_000 - tenth * 100);
        assert_eq!(limiter.admit(b"key"), Outcome::Refused { retry_after });
    }
    clock.advance(Duration::from_millis(100));
    assert!(admitted(&limiter, b"key"));
}

#[test]
fn c19_fields_agree_on_admission_and_refusal() {
    let limiter = Limiter::new(quota(10, MINUTE, 3, 100), manual());
    let item = || limit_item(limiter.quota(), &limiter.admit(b"key").standing());
    assert_eq!(policy_item(limiter.quota()), "\"test\";q=3;w=18");
    assert_eq!(item(), "\"test\";r=2;t=6");
    assert_eq!(item(), "\"test\";r=1;t=6");
    assert_eq!(item(), "\"test\";r=0;t=6");
    assert_eq!(item(), "\"test\";r=0;t=6");
    assert_eq!(
        limiter.admit(b"key"),
        Outcome::Refused { retry_after: Duration::from_secs(6) },
        "the same wait as t"
    );
}

#[test]
fn c17_addresses_of_one_prefix_share_a_bucket() {
    let limiter = Limiter::new(quota(5, MINUTE, 5, 1_000), manual());
    let admit = |address: String| {
        admitted(&limiter, &ClientKey::new(address.parse().unwrap(), 64).to_bytes())
    };
    let passed = (0..200).filter(|host| admit(format!("2001:db8:1:2::{host:x}"))).count();
    assert_eq!(passed, 5);
    assert!(admit("2001:db8:1:3::1".to_owned()));
    assert_eq!(limiter.keys(), 2);
}

#[test]
fn c18_a_million_keys_fit_into_the_bound() {
    const BOUND: usize = 10_000;
    let clock = manual();
    let limiter = Limiter::new(quota(1, Duration::from_hours(1), 3, BOUND), clock.clone());
    for _ in 0..3 {
        assert!(admitted(&limiter, b"attacker"));
    }
    let mut most = 0;
    for key in 0..1_000_000_u32 {
        assert!(admitted(&limiter, &key.to_be_bytes()));
        clock.advance(Duration::from_micros(60));
        if key % 10_000 == 0 {
            most = most.max(limiter.keys());
            assert!(!admitted(&limiter, b"attacker"), "set free by eviction at {key}");
        }
    }
    assert!(most <= BOUND && limiter.keys() > BOUND * 9 / 10, "{most}");
    assert_eq!(limiter.evictions(), 1_000_001 - limiter.keys() as u64);
    assert_eq!(limiter.overflows(), 0);
    clock.advance(Duration::from_hours(3));
    limiter.sweep();
    assert_eq!(limiter.keys(), 0);
    assert!(
        limiter.0.buckets.table.capacity() < BOUND / 2,
        "{}",
        limiter.0.buckets.table.capacity()
    );
}

#[test]
fn c18_while_all_are_refused_newcomers_share_one_bucket() {
    let clock = manual();
    let limiter = Limiter::new(quota(1, MINUTE, 1, 16), clock.clone());
    for key in 0..16_u8 {
        assert!(admitted(&limiter, &[key]));
    }
    assert!(admitted(&limiter, b"newcomer"));
    assert!(!admitted(&limiter, b"newcomer"));
    assert!(!admitted(&limiter, b"another"));
    assert_eq!((limiter.keys(), limiter.evictions(), limiter.overflows()), (16, 0, 3));
    for key in 0..16_u8 {
        assert!(!admitted(&limiter, &[key]), "{key} was set free");
    }
    clock.advance(MINUTE);
    assert!(admitted(&limiter, b"another"));
    assert!(!admitted(&limiter, b"another"));
    assert_eq!((limiter.evictions(), limiter.overflows()), (0, 3));
}

#[test]
fn c18_the_fullest_bucket_goes_first() {
    let clock = manual();
    let limiter = Limiter::new(quota(1, MINUTE, 3, 3), clock.clone());
    let take = |key: &[u8], times: usize| (0..times).all(|_| admitted(&limiter, key));
    assert!(take(b"refused", 3) && take(b"busy", 2) && take(b"quiet", 1));
    assert!(take(b"newcomer", 3));
    assert_eq!((limiter.keys(), limiter.evictions()), (3, 1));
    // `quiet` was forgotten; the two others were not.
    assert!(!take(b"refused", 1));
    assert!(take(b"busy", 1) && !take(b"busy", 1));
}

#[test]
fn c18_full_buckets_leave_as_others_come() {
    let clock = manual();
    let limiter = Limiter::new(quota(60, MINUTE, 1, 100_000), clock.clone());
    for key in 0..2_000_u32 {
        limiter.admit(&key.to_be_bytes());
    }
    assert_eq!(limiter.keys(), 2_000);
    clock.advance(Duration::from_secs(2));
    for key in 2_000..6_000_u32 {
        limiter.admit(&key.to_be_bytes());
    }
    // Every shard has seen enough newcomers to walk once around.
    assert_eq!(limiter.keys(), 4_000);
    assert_eq!((limiter.evictions(), limiter.overflows()), (0, 0));
}

#[test]
fn a_reload_keeps_buckets_unless_the_quota_changed() {
    let clock = manual();
    let limiter = Limiter::new(quota(10, MINUTE, 3, 100), clock.clone());
    while admitted(&limiter, b"key") {}
    let renamed = Quota { name: "other".into(), maximum_keys: 2, ..limiter.quota().clone() };
    let kept = limiter.with_quota(renamed.clone());
    assert_eq!(kept.quota(), &renamed);
    assert!(!admitted(&kept, b"key"));
    assert!(!admitted(&limiter.clone(), b"key"));
    for changed in
        [quota(11, MINUTE, 3, 100), quota(10, MINUTE, 4, 100), quota(10, MINUTE * 2, 3, 100)]
    {
        assert!(admitted(&limiter.with_quota(changed), b"key"));
    }
    assert!(!admitted(&limiter, b"key"));
}

#[test]
fn a_table_with_less_room_after_a_reload_shrinks() {
    let limiter = Limiter::new(quota(1, MINUTE, 3, 100), manual());
    for key in 0..100_u8 {
        assert!(admitted(&limiter, &[key]));
    }
    let smaller = limiter.with_quota(quota(1, MINUTE, 3, 10));
    for key in 100..200_u8 {
        smaller.admit(&[key]);
    }
    assert_eq!(smaller.keys(), 10);
}

#[test]
fn extreme_quotas_do_not_overflow() {
    for (count, period, burst) in [
        (1, Duration::MAX, u32::MAX),
        (u32::MAX, Duration::ZERO, u32::MAX),
        (1, Duration::from_hours(1), u32::MAX),
        (u32::MAX, Duration::from_secs(1), 1),
    ] {
        let clock = manual();
        let limiter = Limiter::new(quota(count, period, burst, 0), clock.clone());
        assert!(admitted(&limiter, b"key"));
        limiter.admit(b"other");
        clock.advance(Duration::from_secs(u64::from(u32::MAX)));
        limiter.admit(b"key");
        limiter.sweep();
        assert!(limiter.keys() <= 1);
    }
}

#[test]
fn threads_together_get_no_more_than_the_burst() {
    let limiter = Limiter::new(quota(1, Duration::from_hours(1), 100, 1_000), manual());
    let passed: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| (0..100).filter(|_| admitted(&limiter, b"key")).count()))
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(passed, 100);
}

/// A bucket as one would count it with tokens: an oracle that shares no code with GCRA. Time and
/// tokens are in units in which nothing is rounded.
struct TokenBucket {
    tokens: u128,
    interval: u128,
    burst: u128,
}

impl TokenBucket {
    fn full(quota: &Quota) -> Self {
        let interval = quota.interval().as_nanos();
        let burst = u128::from(quota.burst.get());
        Self { tokens: burst * interval, interval, burst }
    }

    fn wait(&mut self, nanos: u128) {
        self.tokens = (self.tokens + nanos).min(self.burst * self.interval);
    }

    fn take(&mut self) -> bool {
        let enough = self.tokens >= self.interval;
        self.tokens -= if enough { self.interval } else { 0 };
        enough
    }
}

fn quotas() -> impl Strategy<Value = Quota> {
    let period = prop::sample::select(vec![1_u64, 60, 3_600]).prop_map(Duration::from_secs);
    (1..2_000_u32, period, 1..20_u32)
        .prop_map(|(count, period, burst)| quota(count, period, burst, 64))
}

proptest! {
    #[test]
    fn decisions_are_those_of_a_token_bucket(
        quota in quotas(),
        waits in prop::collection::vec(0..3_000_u32, 1..200),
    ) {
        let clock = manual();
        let mut oracle = TokenBucket::full(&quota);
        let limiter = Limiter::new(quota.clone(), clock.clone());
        for wait in waits {
            // In thousandths of an interval, so that both answers are common.
            let wait = quota.interval() * wait / 1_000;
            clock.advance(wait);
            oracle.wait(wait.as_nanos());
            let expected = oracle.take();
            let outcome = limiter.admit(b"key");
            prop_assert_eq!(matches!(outcome, Outcome::Admitted(_)), expected);
            prop_assert_eq!(u128::from(outcome.standing().remaining), oracle.tokens / oracle.interval);
        }
    }

    #[test]
    fn the_wait_suffices_and_is_no_longer_than_needed(
        quota in quotas(),
        early in 1..1_000_u32,
        pressing in 0..50_u32,
    ) {
        let clock = manual();
        let limiter = Limiter::new(quota.clone(), clock.clone());
        let refused = loop {
            if let Outcome::Refused { retry_after } = limiter.admit(b"key") {
                break retry_after;
            }
        };
        // A little too early, and all the while pressing on.
        let early = (refused / early).max(Duration::from_nanos(1));
        clock.advance(refused.saturating_sub(early));
        for _ in 0..=pressing {
            prop_assert_eq!(limiter.admit(b"key"), Outcome::Refused { retry_after: early });
        }
        clock.advance(early);
        prop_assert!(admitted(&limiter, b"key"));
        // And as the client is told it, in whole seconds.
        while admitted(&limiter, b"key") {}
        let told = whole_seconds(limiter.admit(b"key").standing().reset);
        clock.advance(Duration::from_secs(told));
        prop_assert!(admitted(&limiter, b"key"));
    }

    #[test]
    fn no_traffic_of_others_sets_a_refused_key_free(
        maximum_keys in 1..40_usize,
        burst in 1..4_u32,
        others in prop::collection::vec((0..200_u8, 0..20_u64), 1..400),
    ) {
        let clock = manual();
        let limiter = Limiter::new(quota(1, MINUTE, burst, maximum_keys), clock.clone());
        while admitted(&limiter, b"victim") {}
        let mut passed = Duration::ZERO;
        let mut seen = HashSet::new();
        for (key, millis) in others {
            seen.insert(key);
            limiter.admit(&[key]);
            prop_assert!(limiter.keys() <= maximum_keys);
            prop_assert!(limiter.keys() <= seen.len() + 1);
            let step = Duration::from_millis(millis);
            clock.advance(step);
            passed += step;
            let expected = Outcome::Refused { retry_after: MINUTE.saturating_sub(passed) };
            prop_assert_eq!(limiter.admit(b"victim"), expected);
        }
        clock.advance(MINUTE.saturating_sub(passed));
        prop_assert!(admitted(&limiter, b"victim"));
    }
}

//! What is held against a pair, under a clock that is moved by hand.

use std::num::NonZeroU32;

use portcullis_core::Timestamp;
use proptest::prelude::*;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn penalty(after: u32, maximum: u64, maximum_keys: usize) -> Penalty {
    let number = |n| NonZeroU32::new(n).unwrap();
    Penalty {
        name: "test".into(),
        after: number(after),
        first: SECOND,
        factor: number(2),
        maximum: Duration::from_secs(maximum),
        maximum_keys,
    }
}

fn made(after: u32, maximum: u64, maximum_keys: usize) -> (Penalties, Clock) {
    let clock = Clock::manual(Timestamp::from_unix_seconds(1_700_000_000));
    (Penalties::new(penalty(after, maximum, maximum_keys), clock.clone()), clock)
}

fn of(penalties: &Penalties, account: u32) -> Pair {
    penalties.pair(b"address", [b"token", b"issuer", &account.to_be_bytes()])
}

/// Fails `times` times, each as soon as it may.
fn fail(penalties: &Penalties, clock: &Clock, pair: Pair, times: usize) {
    for _ in 0..times {
        clock.advance(penalties.wait(pair).unwrap_or_default());
        penalties.fail(pair);
    }
}

#[test]
fn the_delay_begins_at_the_third_failure_and_grows() {
    let (penalties, clock) = made(3, 10, 100);
    let pair = of(&penalties, 1);
    assert!(penalties.is_empty());
    assert_eq!(penalties.wait(pair), None);
    assert_eq!((penalties.fail(pair), penalties.fail(pair)), (None, None));
    assert_eq!(penalties.wait(pair), None);
    for expected in [1, 2, 4, 8, 10, 10] {
        let expected = Some(Duration::from_secs(expected));
        assert_eq!(penalties.fail(pair), expected);
        assert_eq!(penalties.wait(pair), expected);
        clock.advance(SECOND / 2);
        assert_eq!(penalties.wait(pair), expected.map(|delay| delay.saturating_sub(SECOND / 2)));
        clock.advance(penalties.wait(pair).unwrap());
        assert_eq!(penalties.wait(pair), None);
    }
    assert_eq!((penalties.begun(), penalties.keys()), (6, 1));
}

#[test]
fn each_part_of_a_pair_tells_it_from_others() {
    let (penalties, _) = made(1, 10, 100);
    let pair = |address: &[u8], parts: [&[u8]; 3]| penalties.pair(address, parts);
    let one = pair(b"ab", [b"c", b"d", b"e"]);
    penalties.fail(one);
    assert!(penalties.wait(pair(b"ab", [b"c", b"d", b"e"])).is_some());
    for other in [
        pair(b"a", [b"bc", b"d", b"e"]),
        pair(b"ab", [b"cd", b"", b"e"]),
        pair(b"ab", [b"c", b"de", b""]),
        pair(b"ab", [b"c", b"", b"de"]),
        pair(b"xx", [b"c", b"d", b"e"]),
        pair(b"ab", [b"", b"", b""]),
    ] {
        assert_eq!(penalties.wait(other), None);
    }
}

#[test]
fn guesses_made_at_once_all_count() {
    let (penalties, _) = made(3, 900, 100);
    let pair = of(&penalties, 1);
    // All of them came before the first was judged.
    for _ in 0..100 {
        penalties.fail(pair);
    }
    assert_eq!(penalties.wait(pair), Some(SECOND * 900));
}

#[test]
fn a_good_one_forgives_but_never_while_the_delay_runs() {
    let (penalties, clock) = made(3, 10, 100);
    let pair = of(&penalties, 1);
    fail(&penalties, &clock, pair, 4);
    penalties.forgive(pair);
    assert_eq!(penalties.wait(pair), Some(SECOND * 2));
    clock.advance(SECOND * 2);
    penalties.forgive(pair);
    assert!(penalties.is_empty());
    assert_eq!((penalties.fail(pair), penalties.fail(pair)), (None, None));
    assert_eq!(penalties.fail(pair), Some(SECOND));
    penalties.forgive(of(&penalties, 2));
    assert_eq!(penalties.keys(), 1);
}

#[test]
fn failures_are_forgotten_after_the_longest_delay_without_any() {
    let (penalties, clock) = made(3, 10, 100);
    let pair = of(&penalties, 1);
    fail(&penalties, &clock, pair, 2);
    clock.advance(SECOND * 10);
    assert_eq!(penalties.fail(pair), None, "the first two are forgotten");
    clock.advance((SECOND * 10).saturating_sub(Duration::from_nanos(1)));
    fail(&penalties, &clock, pair, 4);
    assert_eq!(penalties.wait(pair), Some(SECOND * 4), "none is");
    penalties.sweep();
    clock.advance((SECOND * 14).saturating_sub(Duration::from_nanos(1)));
    penalties.sweep();
    assert_eq!(penalties.keys(), 1);
    clock.advance(Duration::from_nanos(1));
    penalties.sweep();
    assert!(penalties.is_empty());
}

#[test]
fn a_reload_keeps_what_is_held() {
    let (before, clock) = made(3, 10, 100);
    let pair = of(&before, 1);
    fail(&before, &clock, pair, 5);
    let after = before.with_penalty(penalty(5, 2, 100));
    assert_eq!(after.wait(pair), Some(SECOND * 4));
    assert_eq!(after.fail(pair), Some(SECOND * 2), "number six of those that count");
    assert_eq!(after.wait(pair), Some(SECOND * 4), "and the delay that runs is not cut short");
    assert_eq!(after.penalty().after.get(), 5);
}

#[test]
fn room_is_made_of_those_who_failed_least_and_never_of_the_refused() {
    let (penalties, clock) = made(3, 1000, 8);
    for account in 0..4 {
        fail(&penalties, &clock, of(&penalties, account), 3);
    }
    for account in 4..8 {
        penalties.fail(of(&penalties, account));
    }
    for account in 8..1000 {
        penalties.fail(of(&penalties, account));
        assert!(penalties.keys() <= 8);
    }
    assert_eq!(penalties.evictions(), 992);
    assert!((0..4).any(|account| penalties.wait(of(&penalties, account)).is_some()));
    for account in 1000..1008 {
        for _ in 0..12 {
            penalties.fail(of(&penalties, account));
        }
    }
    let refused = (1000..1008).filter(|n| penalties.wait(of(&penalties, *n)).is_some()).count();
    assert!(refused >= 4, "{refused}");
}

#[test]
fn where_all_are_refused_a_newcomer_is_not_counted_and_nobody_is_freed() {
    let (penalties, clock) = made(1, 1000, 8);
    for account in 0..8 {
        for _ in 0..10 {
            penalties.fail(of(&penalties, account));
        }
    }
    for account in 8..100 {
        assert_eq!(penalties.fail(of(&penalties, account)), None);
        assert_eq!(penalties.wait(of(&penalties, account)), None);
    }
    assert_eq!((penalties.keys(), penalties.overflows(), penalties.evictions()), (8, 92, 0));
    for account in 0..8 {
        assert!(penalties.wait(of(&penalties, account)).is_some());
    }
    clock.advance(SECOND * 1000);
    assert_eq!(penalties.fail(of(&penalties, 8)), Some(SECOND));
}

#[test]
fn memory_is_bounded_and_given_back() {
    let (penalties, clock) = made(3, 10, 10_000);
    for account in 0..50_000 {
        penalties.fail(of(&penalties, account));
    }
    assert!(penalties.keys() <= 10_000);
    assert!(penalties.keys() > 9_000);
    clock.advance(SECOND * 11);
    penalties.sweep();
    assert_eq!(penalties.keys(), 0);
    let capacity: usize =
        penalties.held.shards.iter().map(|shard| shard.lock().records.capacity()).sum();
    assert!(capacity < 10_000, "{capacity}");
    let smaller = penalties.with_penalty(penalty(3, 10, 1000));
    for account in 0..5_000 {
        smaller.fail(of(&smaller, account));
    }
    assert!(smaller.keys() <= 1000);
}

#[derive(Clone, Copy, Debug)]
enum Act {
    Fail(u32),
    Good(u32),
    Wait(u64),
    Sweep,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => (0_u32..12).prop_map(Act::Fail),
        1 => (0_u32..12).prop_map(Act::Good),
        2 => (1_u64..3000).prop_map(Act::Wait),
        1 => Just(Act::Sweep),
    ]
}

proptest! {
    /// Whatever is done, whoever is refused is refused until the time that was said.
    #[test]
    fn nobody_is_freed_early(acts in prop::collection::vec(act(), 1..200), room in 1_usize..10) {
        let (penalties, clock) = made(2, 20, room);
        let mut until = [Duration::ZERO; 12];
        for act in acts {
            match act {
                Act::Fail(n) => {
                    let now = clock.monotonic();
                    if let Some(delay) = penalties.fail(of(&penalties, n)) {
                        let said = &mut until[n as usize];
                        prop_assert!(now + delay >= *said);
                        *said = now + delay;
                    }
                }
                Act::Good(n) => penalties.forgive(of(&penalties, n)),
                Act::Wait(millis) => clock.advance(Duration::from_millis(millis)),
                Act::Sweep => penalties.sweep(),
            }
            prop_assert!(penalties.keys() <= room);
            for (n, until) in (0..12).zip(until) {
                let left = until.checked_sub(clock.monotonic()).filter(|left| !left.is_zero());
                prop_assert_eq!(penalties.wait(of(&penalties, n)), left);
            }
        }
    }
}

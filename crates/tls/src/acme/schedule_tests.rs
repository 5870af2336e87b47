//! When to do what, for any times.

use proptest::prelude::*;

use super::*;

const NOW: u64 = 1_800_000_000;

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_unix_seconds(seconds)
}

fn seconds(number: u64) -> Duration {
    Duration::from_secs(number)
}

fn term(not_before: u64, life: u64) -> Term {
    let (not_before, not_after) = (at(not_before), at(not_before + life));
    Term { not_before, not_after, is_of_this_directory: true }
}

fn asked_before(ages: &[u64]) -> Vec<Moment> {
    ages.iter().map(|age| Moment(at(NOW - age))).collect()
}

#[test]
fn any_lifetime_is_renewed_at_two_thirds() {
    for life in [120, 3_600, 6 * 86_400, 90 * 86_400] {
        let first = renew_at(term(NOW, life), Draw::new(0));
        let last = renew_at(term(NOW, life), Draw::new(u16::MAX));
        assert_eq!(first, at(NOW + life / 3 * 2), "{life}");
        assert!(last > first && last <= at(NOW + life * 7 / 10), "{life}: {last:?}");
    }
}

#[test]
fn a_fifth_validation_in_an_hour_waits_for_the_first_to_be_an_hour_old() {
    #[track_caller]
    fn check(ages: &[u64], expected: Option<u64>) {
        let full = validations_full(&asked_before(ages), at(NOW));
        assert_eq!(full, expected.map(at), "{ages:?}");
    }
    check(&[], None);
    check(&[30, 20, 10], None);
    check(&[40, 30, 20, 10], Some(NOW - 40 + 3_600));
    check(&[10, 40, 20, 30], Some(NOW - 40 + 3_600));
    check(&[3_600, 30, 20, 10], None);
    check(&[3_599, 30, 20, 10], Some(NOW + 1));
    check(&[50, 40, 30, 20, 10], Some(NOW - 40 + 3_600));
}

#[test]
fn what_is_missing_is_ordered_at_once_and_what_failed_waits() {
    let mut record = NameRecord::new("d");
    assert_eq!(next(at(NOW), None, &record), Next::Order);
    record.next_attempt = Some(Moment(at(NOW + 5)));
    assert_eq!(next(at(NOW), None, &record), Next::Wait(at(NOW + 5)));
    assert_eq!(next(at(NOW + 5), None, &record), Next::Order);
    let old = term(NOW - 100, 120);
    assert_eq!(next(at(NOW), Some(old), &record), Next::Wait(at(NOW + 5)));
}

#[test]
fn a_certificate_that_is_old_when_it_comes_is_renewed_at_two_thirds_of_what_is_left() {
    let record = NameRecord { issued_at: Some(Moment(at(NOW))), ..NameRecord::new("d") };
    let old = term(NOW - 240, 300);
    let due = due_at(old, &record);
    assert!(due >= at(NOW + 40) && due <= at(NOW + 42), "{due:?}");
    // What is as good as over is no reason to order without end.
    assert_eq!(due_at(term(NOW - 3_600, 3_601), &record), at(NOW + 10));
    assert_eq!(due_at(term(NOW - 3_600, 10), &record), at(NOW + 10));
}

#[test]
fn another_directory_means_another_certificate() {
    let other = Term { is_of_this_directory: false, ..term(NOW - 10, 86_400) };
    assert_eq!(next(at(NOW), Some(other), &NameRecord::new("d")), Next::Order);
}

#[test]
fn the_authority_is_asked_about_renewal_and_its_window_counts() {
    let term = term(NOW, 9_000);
    let mut record = NameRecord::new("d");
    record.renew_at = Some(Moment(at(NOW + 6_100)));
    assert_eq!(next(at(NOW + 1), Some(term), &record), Next::AskRenewal);
    let none = RenewalRecord { start: None, end: None, ask_at: Moment(at(NOW + 8_000)) };
    record.renewal_info = Some(none);
    assert_eq!(next(at(NOW + 1), Some(term), &record), Next::Wait(at(NOW + 6_100)));
    assert_eq!(next(at(NOW + 6_100), Some(term), &record), Next::Order);
    let (start, end) = (Some(Moment(at(NOW + 1_000))), Some(Moment(at(NOW + 2_000))));
    record.renewal_info = Some(RenewalRecord { start, end, ask_at: Moment(at(NOW + 8_000)) });
    record.renew_at = Some(Moment(at(NOW + 1_500)));
    assert_eq!(next(at(NOW + 1_499), Some(term), &record), Next::Wait(at(NOW + 1_500)));
    assert_eq!(next(at(NOW + 1_500), Some(term), &record), Next::Order);
    // Not before a tenth of its life, or it would be replaced without end.
    record.renew_at = Some(Moment(at(NOW + 1)));
    record.issued_at = Some(Moment(at(NOW + 100)));
    assert_eq!(next(at(NOW + 989), Some(term), &record), Next::Wait(at(NOW + 990)));
    assert_eq!(next(at(NOW + 990), Some(term), &record), Next::Order);
    // A window after the end of the certificate is none.
    record.renew_at = Some(Moment(at(NOW + 9_001)));
    assert_eq!(next(at(NOW + 7_000), Some(term), &record), Next::Order);
}

#[test]
fn what_is_remembered_of_the_certificate_before_counts_for_nothing() {
    let term = term(NOW, 9_000);
    let mut record = NameRecord::new("d");
    record.renew_at = Some(Moment(at(NOW - 50)));
    assert_eq!(due_at(term, &record), renew_at(term, Draw::new(u16::MAX)));
}

proptest! {
    #[test]
    fn a_certificate_is_never_replaced_early_nor_after_its_end(
        life in 60_u64..400 * 86_400,
        part in any::<u16>(),
        kept in proptest::option::of(0_u64..800 * 86_400),
    ) {
        let term = term(NOW, life);
        let chosen = renew_at(term, Draw::new(part));
        prop_assert!(chosen >= at(NOW + life / 3 * 2) && chosen < term.not_after);
        let record = NameRecord {
            renew_at: kept.map(|after| Moment(at(NOW - 400 * 86_400 + after))),
            ..NameRecord::new("d")
        };
        let due = due_at(term, &record);
        prop_assert!(due > term.not_before && due < term.not_after);
    }

    #[test]
    fn waits_double_within_bounds(failures in 1_u32..80, part in any::<u16>()) {
        let pace = Pace::default();
        let wait = backoff(failures, &pace, Draw::new(part));
        let plain = pace.backoff.saturating_mul(2_u32.saturating_pow(failures - 1));
        let plain = plain.min(pace.longest_backoff);
        prop_assert!(wait >= plain / 4 * 3 && wait <= plain / 4 * 5);
        if failures < 8 {
            let longest_before = backoff(failures, &pace, Draw::new(u16::MAX));
            prop_assert!(backoff(failures + 1, &pace, Draw::new(0)) > longest_before);
        }
    }

    #[test]
    fn at_most_four_validations_fall_into_any_hour(gaps in proptest::collection::vec(0_u64..2_000, 1..60)) {
        let mut asked: Vec<Moment> = Vec::new();
        let mut now = NOW;
        for gap in gaps {
            now += gap;
            if validations_full(&asked, at(now)).is_none() {
                asked.push(Moment(at(now)));
            }
        }
        for window in asked.windows(5) {
            prop_assert!(window[4].0.since(window[0].0) >= WINDOW);
        }
    }

    #[test]
    fn a_time_in_the_window_is_in_the_window(start in 0_u64..1_000_000, width in 0_u64..1_000_000, part in any::<u16>()) {
        let (start, end) = (at(start), at(start + width));
        let chosen = within(start, end, Draw::new(part));
        prop_assert!(chosen >= start && chosen <= end);
    }

    #[test]
    fn the_authority_is_asked_again_within_bounds(after in 0_u64..10_000_000) {
        let again = ask_again(at(NOW), seconds(after));
        prop_assert!(again >= at(NOW + 60) && again <= at(NOW + 86_400));
    }
}

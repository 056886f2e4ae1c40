//! Back-off: the default schedule, and every input there can be.

use proptest::prelude::*;
use std::time::Duration;
use trustlog_core::backoff::Policy;

const MINUTE: Duration = Duration::from_secs(60);

const DEFAULT: Policy = Policy { base: MINUTE, factor: 2.0, max: Duration::from_secs(3600), jitter: 0.1 };

const WITHOUT_JITTER: Policy = Policy { jitter: 0.0, ..DEFAULT };

#[test]
fn the_default_schedule_doubles_from_one_minute_to_one_hour() {
    let minutes = [1, 2, 4, 8, 16, 32, 60, 60];
    for (failures, minutes) in (0..).zip(minutes) {
        assert_eq!(WITHOUT_JITTER.delay(failures, 0.9), MINUTE * minutes);
        assert_eq!(DEFAULT.delay(failures, 0.5), MINUTE * minutes);
    }
}

#[test]
fn jitter_goes_both_ways() {
    assert_eq!(DEFAULT.delay(0, 0.0), Duration::from_secs(54));
    assert_eq!(DEFAULT.delay(0, 0.75), Duration::from_secs(63));
    assert!(DEFAULT.delay(0, 1.0_f64.next_down()) <= Duration::from_secs(66));
}

#[test]
fn what_has_no_value_gives_the_longest_delay_without_jitter() {
    for factor in [f64::NAN, f64::INFINITY] {
        assert_eq!(Policy { factor, ..DEFAULT }.delay(3, 0.5), DEFAULT.max);
    }
    assert_eq!(Policy { jitter: f64::NAN, ..DEFAULT }.delay(0, 0.0), MINUTE);
    assert_eq!(DEFAULT.delay(0, f64::NAN), MINUTE);
    assert_eq!(DEFAULT.delay(u32::MAX, 0.5), DEFAULT.max);
}

#[test]
fn no_base_is_no_delay() {
    let policy = Policy { base: Duration::ZERO, ..DEFAULT };
    assert_eq!(policy.delay(u32::MAX, 0.9), Duration::ZERO);
}

#[test]
fn the_longest_duration_there_is_stays_representable() {
    let policy = Policy { max: Duration::MAX, jitter: 1.0, ..DEFAULT };
    assert_eq!(policy.delay(u32::MAX, 0.99), Duration::MAX);
}

fn durations() -> impl Strategy<Value = Duration> {
    prop_oneof![
        any::<Duration>(),
        (0_u64..10_000_000).prop_map(Duration::from_millis),
        Just(Duration::ZERO),
        Just(Duration::MAX),
    ]
}

fn floats() -> impl Strategy<Value = f64> {
    prop_oneof![prop::num::f64::ANY, 0.0..4.0_f64]
}

fn counts() -> impl Strategy<Value = u32> {
    prop_oneof![any::<u32>(), 0_u32..100]
}

proptest! {
    #[test]
    fn any_input_gives_a_delay(
        base in durations(), factor in floats(), max in durations(), jitter in floats(),
        failures in counts(), random in floats(),
    ) {
        let delay = Policy { base, factor, max, jitter }.delay(failures, random);
        // Twice the cap is what a jitter of 1 can give; the nanosecond is rounding.
        prop_assert!(delay <= max.saturating_mul(2).saturating_add(rounding(max)));
    }

    #[test]
    fn delays_grow_with_failures(
        base in durations(), factor in 1.0..10.0_f64, max in durations(), failures in 0_u32..2000,
    ) {
        let policy = Policy { base, factor, max, jitter: 0.0 };
        prop_assert!(policy.delay(failures, 0.5) <= policy.delay(failures + 1, 0.5));
    }

    #[test]
    fn jitter_stays_within_its_share(
        base in 1_u64..1_000_000, jitter in 0.0..=1.0_f64, random in 0.0..1.0_f64, failures in 0_u32..20,
    ) {
        let policy = Policy { base: Duration::from_millis(base), jitter, ..DEFAULT };
        let middle = policy.delay(failures, 0.5).as_secs_f64();
        let shift = policy.delay(failures, random).as_secs_f64() - middle;
        prop_assert!(shift.abs() <= middle * jitter + 1e-6);
        prop_assert!(shift.abs() <= 1e-6 || (shift < 0.0) == (random < 0.5));
    }
}

/// How far a duration may be off after a detour through `f64`.
fn rounding(duration: Duration) -> Duration {
    duration / (1 << 30) + Duration::from_nanos(1)
}

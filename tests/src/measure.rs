//! Random numbers, durations from the environment, percentiles.

use std::time::Duration;

/// A duration in seconds that an environment variable may set.
///
/// # Panics
/// When the variable is not a whole number.
#[must_use]
pub fn seconds(variable: &str, default: u64) -> Duration {
    Duration::from_secs(number(variable, default))
}

/// A number that an environment variable may set.
///
/// # Panics
/// When the variable is not a whole number.
#[must_use]
pub fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable)
        .map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{variable}={text} is not a whole number")))
}

/// Small random numbers, the same in every run for one seed (xorshift64*).
#[derive(Debug)]
pub struct Random(u64);

impl Random {
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// From 0 to before `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % end
    }

    /// True in `percent` of 100 cases.
    pub fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

/// Durations that were measured.
#[derive(Debug)]
pub struct Times(Vec<Duration>);

impl Times {
    /// # Panics
    /// When there are none.
    #[must_use]
    pub fn of(mut times: Vec<Duration>) -> Self {
        assert!(!times.is_empty(), "nothing was measured");
        times.sort_unstable();
        Self(times)
    }

    /// The time that `percent` of 100 do not exceed.
    #[must_use]
    pub fn percentile(&self, percent: usize) -> Duration {
        self.0[(self.0.len() * percent).div_ceil(100).max(1) - 1]
    }

    /// Prints what was measured, and returns it.
    #[must_use]
    pub fn print(self, what: &str) -> Self {
        let [p50, p95, p99, max] = [50, 95, 99, 100].map(|percent| self.percentile(percent));
        println!("{what}: p50 {p50:.2?}, p95 {p95:.2?}, p99 {p99:.2?}, max {max:.2?} of {}", self.0.len());
        self
    }
}

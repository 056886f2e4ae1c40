//! How long to wait before a failed delivery is tried again.

use std::time::Duration;

/// Exponential back-off with jitter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Policy {
    /// The delay after no earlier failure.
    pub base: Duration,
    /// What each earlier failure multiplies the delay by.
    pub factor: f64,
    /// The longest delay, before jitter.
    pub max: Duration,
    /// The share of the delay, 0 to 1, by which it varies both ways, so that what failed together is not sent again
    /// together.
    pub jitter: f64,
}

impl Policy {
    /// The delay after `failures` earlier failures: `base` × `factor`^`failures`, at most `max`, then shifted by the
    /// jitter. `random` from 0 (inclusive) to 1 (exclusive) picks the shift, 0.5 is none.
    ///
    /// Every input gives a delay, because a wrong setting must not stop the worker: `jitter` and `random` are brought
    /// into their range, a `factor` that is not a number gives the longest delay, and a `jitter` or `random` that is
    /// not a number gives no shift.
    #[must_use]
    pub fn delay(&self, failures: u32, random: f64) -> Duration {
        let seconds = self.capped_seconds(failures) * (1.0 + self.shift(random));
        Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
    }

    fn capped_seconds(&self, failures: u32) -> f64 {
        // Kept finite, because zero times infinity is not a number and a base of zero means no delay at all.
        let growth = self.factor.powf(f64::from(failures)).min(f64::MAX);
        // `min` passes over what is not a number and keeps the other side.
        let capped = (self.base.as_secs_f64() * growth).min(self.max.as_secs_f64());
        capped.max(0.0)
    }

    /// The relative shift, -1 to 1.
    fn shift(&self, random: f64) -> f64 {
        let shift = self.jitter.clamp(0.0, 1.0) * (2.0 * random.clamp(0.0, 1.0) - 1.0);
        if shift.is_nan() { 0.0 } else { shift }
    }
}

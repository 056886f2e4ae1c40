//! Waiting for a condition, with a deadline. Tests never sleep for a fixed time.

use std::time::{Duration, Instant};

/// Long enough for anything on a busy machine: a test that reaches it has failed.
pub const PATIENCE: Duration = Duration::from_secs(30);

const STEP: Duration = Duration::from_millis(10);

/// Polls until `condition` holds. A cluster of the panicking test shows the end of its log when it is dropped.
///
/// # Panics
/// With `what` when the condition does not hold before `deadline` has passed.
pub fn until(deadline: Duration, what: &str, mut condition: impl FnMut() -> bool) {
    value(deadline, what, || condition().then_some(()));
}

/// Polls until there is a value, and returns it.
///
/// # Panics
/// With `what` when there is none before `deadline` has passed.
pub fn value<T>(deadline: Duration, what: &str, mut get: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(value) = get() {
            return value;
        }
        assert!(start.elapsed() < deadline, "waited {deadline:?} in vain until {what}");
        std::thread::sleep(STEP);
    }
}

//! The highest `seq` sealed more than a second ago.

use std::time::{Duration, Instant};

/// How long a record may take from drawing its `seq` to its commit and still be found from the floor.
const LAG: Duration = Duration::from_secs(1);

/// Follows the highest `seq` sealed, about a second behind.
///
/// It keeps two samples instead of a history: when the older one has passed the lag it becomes the floor, and the newer
/// one takes its place. So while work goes on the floor lags by one to two seconds, never less than one.
#[derive(Debug, Default)]
pub(super) struct Floor {
    settled: Option<i64>,
    mark: Option<Sample>,
    newest: Option<Sample>,
}

#[derive(Clone, Copy, Debug)]
struct Sample {
    seq: i64,
    at: Instant,
}

impl Floor {
    /// The floor at the time `now`; `None` before anything is old enough.
    pub(super) fn at(&mut self, now: Instant) -> Option<i64> {
        self.rotate(now);
        self.settled
    }

    /// Takes note that everything up to `seq` was sealed, as far as it was visible.
    pub(super) fn sealed(&mut self, seq: i64, now: Instant) {
        self.rotate(now);
        if self.newest.is_none_or(|newest| seq > newest.seq) {
            self.newest = Some(Sample { seq, at: now });
        }
        self.mark = self.mark.or(self.newest);
    }

    fn rotate(&mut self, now: Instant) {
        // Twice, because after a pause both samples are old enough.
        for _ in 0..2 {
            if let Some(mark) = self.mark
                && now.saturating_duration_since(mark.at) > LAG
            {
                self.settled = Some(mark.seq);
                self.mark = self.newest;
            }
        }
    }
}

//! What a worker says of itself, as numbers in shared memory.

/// Why a worker ended, as the launcher is to take it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Verdict {
    /// It said nothing: an error or a signal ended it.
    Crashed = 0,
    /// The database has no extension: leave it alone until asked.
    NoExtension = 1,
    /// It was told to stop, or its settings changed: start it again when nothing holds the database.
    Restart = 2,
}

impl Verdict {
    pub(super) fn from(value: u8) -> Self {
        match value {
            1 => Self::NoExtension,
            2 => Self::Restart,
            _ => Self::Crashed,
        }
    }
}

/// What a worker is doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Phase {
    /// Registered or connecting, not known yet whether the database has the extension.
    Starting = 0,
    /// Waiting for work.
    Idle = 1,
    /// Sealing.
    Sealing = 2,
}

impl Phase {
    /// As `stat_worker` shows it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Idle => "idle",
            Self::Sealing => "sealing",
        }
    }
}

/// What keeps a worker from sealing, as `stat` explains it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Obstacle {
    /// Nothing.
    None = 0,
    /// `trustlog.worker_enabled` is off.
    Disabled = 1,
    /// `pause('all')`.
    Paused = 2,
    /// A restored log waits for `continue_log()`.
    Frozen = 3,
    /// Another session is sealing, or has sealed and not ended its transaction.
    Busy = 4,
}

impl Obstacle {
    /// As `stat_worker` shows it.
    pub fn name(self) -> Option<&'static str> {
        match self {
            Self::None => None,
            Self::Disabled => Some("disabled"),
            Self::Paused => Some("paused"),
            Self::Frozen => Some("frozen"),
            Self::Busy => Some("busy"),
        }
    }

    pub(super) fn from(value: u8) -> Self {
        match value {
            1 => Self::Disabled,
            2 => Self::Paused,
            3 => Self::Frozen,
            4 => Self::Busy,
            _ => Self::None,
        }
    }
}

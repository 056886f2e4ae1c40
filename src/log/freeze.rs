//! When the log must not grow: it came out of a dump, and nobody has said yet how it goes on.

use std::time::Duration;

use crate::error::{Error, Result};
use crate::pg::spi::See;
use crate::pg::{lock, xact};
use crate::store::{outbox, state, tile};

const CONTINUE: &str = "Check that everything was restored, then call trustlog.continue_log(): with old_copy_is_gone => \
    true if the old database will never be used again, otherwise the log goes on as a new history.";
const REPAIR: &str = "Restore the missing rows of trustlog.leaf and trustlog.tile from the same dump.";

/// How long to wait for another sealer: longer than a worker's batch takes.
const PATIENCE: Duration = Duration::from_secs(5);

/// Why nothing may be sealed, and what to do.
pub struct Frozen {
    /// For a message that says what is frozen.
    pub why: String,
    /// For a HINT.
    pub remedy: &'static str,
}

/// Whether the log is frozen. `see` is what the gate was read with: whoever is not the sealer needs one snapshot for all,
/// or a batch sealed in between looks like a misfit.
pub fn check(see: See, gate: &state::Gate) -> Result<Option<Frozen>> {
    if is_restored(gate) {
        let why = "restored from a dump, or copied from another database".to_owned();
        return Ok(Some(Frozen { why, remedy: CONTINUE }));
    }
    let misfit = tile::misfit(see, gate.size)?;
    Ok(misfit.map(|misfit| Frozen { why: format!("log and tiles do not fit: {misfit}"), remedy: REPAIR }))
}

/// Whether records came out of a dump, or a log is here that was begun in another database. (Should none of its records
/// be left, because all are erased, the log itself still tells.)
fn is_restored(gate: &state::Gate) -> bool {
    gate.restored || (gate.size > 0 && !gate.at_home)
}

/// Lets a restored log grow again. Returns how many records wait to be sealed.
pub fn continue_log(old_copy_is_gone: bool) -> Result<i64> {
    // A worker that finds the log frozen has the lock for a moment, too.
    if !lock::sealer_within(PATIENCE) {
        return Err(super::seal::busy());
    }
    let gate = state::gate(See::Latest)?;
    if let Some(misfit) = tile::misfit(See::Latest, gate.size)? {
        return Err(Error::state(format!("the log cannot be continued: {misfit}"), REPAIR));
    }
    if !is_restored(&gate) {
        return Err(Error::state("the log is not frozen", "There is nothing to continue."));
    }
    let waiting = outbox::release_restored()?;
    state::continue_log(!old_copy_is_gone, gate.size, &tile::root(gate.size)?)?;
    state::settle()?;
    xact::wake_at_commit();
    Ok(waiting)
}

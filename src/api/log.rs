//! The log: sealing by hand, its head, pausing, continuing after a restore.

use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;
use trustlog_core::scan::ScanFrom;

use super::arguments::{given, one_of};
use crate::config;
use crate::error::{Error, Result, SqlResult};
use crate::log::freeze;
use crate::log::seal::{self, Sealing};
use crate::pg::lock::{self, Extension};
use crate::pg::{catalog, memory, xact};
use crate::store::{state, tile};

#[pg_extern(schema = "trustlog", name = "seal", security_definer)]
#[search_path(pg_catalog, pg_temp)]
fn seal_visible() -> SqlResult<i64> {
    ready("seal")?;
    let limit = config::seal_batch_size();
    let (mut sealed, mut from) = (0, ScanFrom::Start);
    loop {
        let batch = match memory::scratch(|| seal::seal_batch(from, limit, true))? {
            Sealing::Done(batch) => batch,
            Sealing::Busy => return Err(seal::busy().into()),
            Sealing::Paused => {
                return Err(Error::state("sealing is paused", "Call trustlog.resume() first.").into());
            }
            Sealing::Frozen(frozen) => {
                return Err(Error::state(format!("the log is frozen: {}", frozen.why), frozen.remedy).into());
            }
        };
        sealed += i64::try_from(batch.sealed).unwrap_or(0);
        for (seq, reason) in batch.set_aside {
            warning!("record {seq} cannot be sealed and was set aside: {reason}");
        }
        match batch.highest {
            Some(highest) => from = ScanFrom::Floor(highest),
            None => break,
        }
    }
    xact::announce_at_commit();
    Ok(sealed)
}

#[pg_extern(schema = "trustlog", stable, security_definer)]
#[search_path(pg_catalog, pg_temp)]
fn tree_head() -> std::result::Result<TableIterator<'static, (name!(size, i64), name!(root, Vec<u8>))>, ErrorReport> {
    let size = state::size()?;
    Ok(TableIterator::once((size, tile::root(size)?.to_vec())))
}

#[pg_extern(schema = "trustlog", security_definer)]
#[search_path(pg_catalog, pg_temp)]
fn pause(what: default!(Option<&str>, "'all'")) -> SqlResult<()> {
    let known = |name: &str| ["delivery", "all"].into_iter().find(|known| *known == name);
    let what = one_of("what", given("what", what)?, known, &["delivery", "all"])?;
    state::set_paused(Some(what))?;
    // It may be the end of a pause of everything.
    xact::wake_at_commit();
    Ok(())
}

#[pg_extern(schema = "trustlog", security_definer)]
#[search_path(pg_catalog, pg_temp)]
fn resume() -> SqlResult<()> {
    state::set_paused(None)?;
    xact::wake_at_commit();
    Ok(())
}

#[pg_extern(schema = "trustlog", security_definer)]
#[search_path(pg_catalog, pg_temp)]
fn continue_log(old_copy_is_gone: default!(Option<bool>, "false")) -> SqlResult<i64> {
    ready("continue the log")?;
    Ok(freeze::continue_log(given("old_copy_is_gone", old_copy_is_gone)?)?)
}

/// What whoever changes the log needs: to see what is committed, and the extension to stay.
fn ready(to_do: &str) -> Result<()> {
    if catalog::sees_one_snapshot() {
        return Err(Error::state(
            format!("cannot {to_do} in a transaction that sees one snapshot throughout"),
            "Use READ COMMITTED.",
        ));
    }
    match lock::try_extension() {
        Extension::Held(_) => Ok(()),
        _ => Err(Error::state("the extension is being dropped or altered", "Try again when that has ended.")),
    }
}

/// For the functions that are written in SQL and lock what the sealer then skips.
#[pg_extern(schema = "trustlog")]
fn wake_worker_at_end() {
    xact::wake_at_end();
}

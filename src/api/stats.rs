//! What only the processes know; the views `stat` and `stat_worker` are made of it.

use std::sync::atomic::{AtomicI64, Ordering};

use pgrx::datum::TimestampWithTimeZone;
use pgrx::prelude::*;

use crate::error::SqlResult;
use crate::log::freeze;
use crate::pg::spi::See;
use crate::pg::{catalog, shared};
use crate::store::state;

/// Whether the library was preloaded, so that there can be workers.
#[pg_extern(schema = "trustlog", stable, parallel_restricted)]
fn is_preloaded() -> bool {
    shared::available()
}

/// One row for each process of the extension on this server.
#[pg_extern(schema = "trustlog", stable, parallel_restricted)]
pub fn stat_get_workers() -> TableIterator<
    'static,
    (
        name!(pid, i32),
        name!(datid, Option<pg_sys::Oid>),
        name!(kind, &'static str),
        name!(state, &'static str),
        name!(obstacle, Option<&'static str>),
        name!(started_at, Option<TimestampWithTimeZone>),
        name!(sealed, i64),
        name!(batches, i64),
        name!(last_sealed_at, Option<TimestampWithTimeZone>),
        name!(errors, i64),
        name!(last_error, Option<String>),
    ),
> {
    let launcher = Some(shared::launcher_pid()).filter(|pid| *pid != 0);
    let launcher = launcher.map(|pid| (pid, None, "launcher", "running", None, None, 0, 0, None, 0, None));
    let workers = shared::occupied().filter(|(_, slot)| slot.pid() != 0).map(|(_, slot)| {
        (
            slot.pid(),
            Some(slot.database()),
            "worker",
            slot.phase().name(),
            slot.obstacle().name(),
            time(&slot.started_at),
            slot.sealed.load(Ordering::SeqCst),
            slot.batches.load(Ordering::SeqCst),
            time(&slot.last_sealed_at),
            slot.errors.load(Ordering::SeqCst),
            // Another database's error may quote its data.
            slot.last_error().filter(|_| slot.database() == catalog::my_database()),
        )
    });
    TableIterator::new(launcher.into_iter().chain(workers).collect::<Vec<_>>())
}

/// Why the log is frozen and what to do, NULL when it is not.
#[pg_extern(schema = "trustlog", stable, security_definer)]
#[search_path(pg_catalog, pg_temp)]
fn stat_get_freeze() -> SqlResult<Option<String>> {
    let frozen = freeze::check(See::Caller, &state::gate(See::Caller)?)?;
    Ok(frozen.map(|frozen| format!("{}. {}", frozen.why, frozen.remedy)))
}

fn time(at: &AtomicI64) -> Option<TimestampWithTimeZone> {
    match at.load(Ordering::SeqCst) {
        0 => None,
        micros => TimestampWithTimeZone::try_from(micros).ok(),
    }
}

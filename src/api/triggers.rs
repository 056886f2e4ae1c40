//! The triggers of the tables; `sql/schema/40_triggers.sql` declares their functions.

use pgrx::prelude::*;
use pgrx::{AllocatedByPostgres, WhoAllocated};
use trustlog_core::model::doid_prefix;

use crate::error::{Error, SqlResult};
use crate::pg::{guard, xact};
use crate::store::{erased, outbox};

/// BEFORE INSERT, for rows without do_prefix.
#[pg_trigger(sql = false)]
fn fill_do_prefix<'a>(trigger: &'a PgTrigger<'a>) -> SqlResult<Option<PgHeapTuple<'a, impl WhoAllocated>>> {
    let row: PgHeapTuple<'a, AllocatedByPostgres> =
        trigger.new().ok_or_else(|| Error::internal("fill_do_prefix is a BEFORE INSERT trigger"))?;
    let mut row = row.into_owned();
    let doid: Option<String> = row.get_by_name("doid").map_err(|e| Error::internal(e.to_string()))?;
    if let Some(doid) = doid {
        row.set_by_name("do_prefix", doid_prefix(&doid).to_owned()).map_err(|e| Error::internal(e.to_string()))?;
    }
    Ok(Some(row))
}

/// AFTER INSERT, once a statement: feeds the outbox, and wakes the worker when the transaction commits.
#[pg_trigger(sql = false)]
fn feed_outbox<'a>(
    trigger: &'a PgTrigger<'a>,
) -> SqlResult<Option<PgHeapTuple<'a, AllocatedByPostgres>>> {
    if let Some(op_id) = erased::taken(trigger)? {
        return Err(crate::save::taken_by_erased(&op_id).into());
    }
    if outbox::feed(trigger)? > 0 {
        xact::wake_at_commit();
    }
    Ok(None)
}

/// BEFORE UPDATE, DELETE or TRUNCATE of an append-only table.
#[pg_trigger(sql = false)]
fn guard_append_only<'a>(
    trigger: &'a PgTrigger<'a>,
) -> SqlResult<Option<PgHeapTuple<'a, AllocatedByPostgres>>> {
    if guard::passes() {
        return Ok(None);
    }
    let table = trigger.table_name().map_err(|e| Error::internal(e.to_string()))?;
    let what = trigger.op().map_err(|e| Error::internal(e.to_string()))?;
    Err(Error::state(
        format!("cannot {what} trustlog.{table}: it is append-only"),
        "Records and evidence never change; the functions of the extension do what may be done.",
    )
    .into())
}

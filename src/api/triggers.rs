//! The triggers of the tables; `sql/schema/40_triggers.sql` declares their functions.

use pgrx::prelude::*;
use pgrx::{AllocatedByPostgres, AllocatedByRust};
use trustlog_core::model::doid_prefix;

// Not `Result`: what the trigger macro writes means the standard one.
use crate::error::{self, Error, raise};
use crate::pg::{guard, xact};
use crate::save;
use crate::store::{erased, outbox};

type Unchanged<'a> = Option<PgHeapTuple<'a, AllocatedByPostgres>>;

/// BEFORE INSERT, for rows without do_prefix.
#[pg_trigger(sql = false)]
fn fill_do_prefix<'a>(
    trigger: &'a PgTrigger<'a>,
) -> Result<Option<PgHeapTuple<'a, AllocatedByRust>>, PgHeapTupleError> {
    Ok(Some(with_do_prefix(trigger).unwrap_or_else(|error| raise(error))))
}

/// AFTER INSERT, once a statement: feeds the outbox, and wakes the worker when the transaction commits.
#[pg_trigger(sql = false)]
fn feed_outbox<'a>(trigger: &'a PgTrigger<'a>) -> Result<Unchanged<'a>, PgHeapTupleError> {
    feed(trigger).unwrap_or_else(|error| raise(error));
    Ok(None)
}

/// BEFORE UPDATE, DELETE or TRUNCATE of an append-only table.
#[pg_trigger(sql = false)]
fn guard_append_only<'a>(trigger: &'a PgTrigger<'a>) -> Result<Unchanged<'a>, PgHeapTupleError> {
    if !guard::use_pass() {
        raise(refusal(trigger).unwrap_or_else(|error| error));
    }
    Ok(None)
}

fn with_do_prefix<'a>(trigger: &'a PgTrigger<'a>) -> error::Result<PgHeapTuple<'a, AllocatedByRust>> {
    let internal = |error: &dyn std::fmt::Display| Error::internal(error.to_string());
    let row = trigger.new().ok_or_else(|| Error::internal("fill_do_prefix is a BEFORE INSERT trigger"))?;
    let mut row = row.into_owned();
    // Without a doid the table's NOT NULL speaks.
    if let Some(doid) = row.get_by_name::<String>("doid").map_err(|e| internal(&e))? {
        row.set_by_name("do_prefix", doid_prefix(&doid).to_owned()).map_err(|e| internal(&e))?;
    }
    Ok(row)
}

fn feed(trigger: &PgTrigger) -> error::Result<()> {
    if let Some(op_id) = erased::taken(trigger)? {
        return Err(save::taken_by_erased(&op_id));
    }
    if outbox::feed(trigger)? > 0 {
        xact::wake_at_commit();
    }
    Ok(())
}

fn refusal(trigger: &PgTrigger) -> error::Result<Error> {
    let table = trigger.table_name().map_err(|e| Error::internal(e.to_string()))?;
    let what = trigger.op().map_err(|e| Error::internal(e.to_string()))?;
    Ok(Error::state(
        format!("cannot {what} trustlog.{table}: it is append-only"),
        "Records and evidence never change; the functions of the extension do what may be done.",
    ))
}

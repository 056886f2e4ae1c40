//! Retries and dead letters.

use pgrx::datum::TimestampWithTimeZone;
use pgrx::prelude::*;
use trustlog_core::model::Sink;

use super::arguments::given;
use super::status::hold;
use crate::config;
use crate::error::{Error, Result, SqlResult};
use crate::pg::catalog;
use crate::store::retry::{self, Due};
use crate::store::status::{self, Standing};
use crate::store::unattested;

#[pg_extern(schema = "trustlog", security_definer)]
#[search_path(pg_catalog, pg_temp)]
fn add_retry(
    op_id: Option<&str>,
    error_message: default!(Option<&str>, "NULL"),
    next_retry_at: default!(Option<TimestampWithTimeZone>, "NULL"),
) -> SqlResult<()> {
    let op_id = given("op_id", op_id)?;
    retriable(op_id)?;
    Ok(retry::add(op_id, error_message, &due(next_retry_at, 0))?)
}

#[pg_extern(schema = "trustlog", security_definer)]
#[search_path(pg_catalog, pg_temp)]
fn increment_retry(
    op_id: Option<&str>,
    error_message: default!(Option<&str>, "NULL"),
    next_retry_at: default!(Option<TimestampWithTimeZone>, "NULL"),
) -> SqlResult<i32> {
    let op_id = given("op_id", op_id)?;
    retriable(op_id)?;
    let failures = retry::count(op_id)?.map_or(1, |count| count.saturating_add(1));
    Ok(retry::increment(op_id, error_message, &due(next_retry_at, u32::try_from(failures).unwrap_or(0)))?)
}

#[pg_extern(schema = "trustlog", security_definer)]
#[search_path(pg_catalog, pg_temp)]
fn mark_as_dead_letter(op_id: Option<&str>, error_message: default!(Option<&str>, "NULL")) -> SqlResult<()> {
    let op_id = given("op_id", op_id)?;
    let standing = unattested_standing(op_id)?;
    if standing.dead {
        return Ok(());
    }
    Ok(retry::bury(op_id, error_message)?)
}

#[pg_extern(schema = "trustlog", security_definer)]
#[search_path(pg_catalog, pg_temp)]
fn requeue_dead_letters(op_ids: default!(Option<Vec<Option<String>>>, "NULL")) -> SqlResult<i64> {
    let op_ids: Option<Vec<String>> =
        op_ids.map(|ids| ids.into_iter().map(|id| given("op_ids", id)).collect::<Result<_>>()).transpose()?;
    for op_id in op_ids.iter().flatten() {
        if !status::find(op_id)?.dead {
            return Err(not_dead(op_id).into());
        }
    }
    let requeued = retry::requeue(op_ids.as_deref())?;
    Ok(i64::try_from(requeued).unwrap_or(i64::MAX))
}

#[pg_extern(schema = "trustlog", security_definer)]
#[search_path(pg_catalog, pg_temp)]
fn discard_dead_letter(op_id: Option<&str>, reason: Option<&str>) -> SqlResult<()> {
    let (op_id, reason) = (given("op_id", op_id)?, given("reason", reason)?);
    let standing = status::find_to_change(op_id)?;
    if !retry::remove_dead(op_id)? {
        return Err(not_dead(op_id).into());
    }
    if unattested::set_discarded(standing.seq, true)? == 0 {
        return Err(Error::state(
            format!("operation \"{op_id}\" is not sealed, or not sent, yet"),
            "Discard it when that has been tried; call trustlog.pause() to keep it from being tried.",
        )
        .into());
    }
    log!("trustlog: dead letter {op_id:?} was discarded: {reason:?}");
    Ok(())
}

#[pg_extern(schema = "trustlog", security_definer)]
#[search_path(pg_catalog, pg_temp)]
fn delete_retry(op_id: Option<&str>) -> SqlResult<bool> {
    let op_id = given("op_id", op_id)?;
    let standing = status::find(op_id)?;
    if config::sink() == Sink::Http && !standing.is_attested() && retry::count(op_id)?.is_some() {
        return Err(Error::state(
            format!("operation \"{op_id}\" is not attested, and without its retry nobody would send it again"),
            "Let the worker retry it, or make it a dead letter and call trustlog.discard_dead_letter().",
        )
        .into());
    }
    Ok(retry::remove(op_id)?)
}

fn not_dead(op_id: &str) -> Error {
    Error::state(format!("operation \"{op_id}\" is not a dead letter"), "See trustlog.dead_letter for those that are.")
}

/// A record that is to be attested and is not. The sealer leaves it alone until this transaction ends, and no earlier
/// discarding counts any more.
fn unattested_standing(op_id: &str) -> Result<Standing> {
    let standing = hold(op_id)?;
    if standing.is_attested() {
        return Err(Error::state(
            format!("operation \"{op_id}\" is attested"),
            "There is nothing to retry; call trustlog.delete_retry() should it be queued.",
        ));
    }
    unattested::set_discarded(standing.seq, false)?;
    Ok(standing)
}

/// A record that may be tried again.
fn retriable(op_id: &str) -> Result<()> {
    if unattested_standing(op_id)?.dead {
        return Err(Error::state(
            format!("operation \"{op_id}\" is a dead letter"),
            "Call trustlog.requeue_dead_letters() to try it again.",
        ));
    }
    Ok(())
}

/// The given time, or the back-off of the settings after so many failures.
fn due(at: Option<TimestampWithTimeZone>, failures: u32) -> Due {
    at.map_or_else(
        || {
            let random = catalog::random_bytes().map_or(0.5, |bytes| f64::from(bytes[0]) / 256.0);
            Due::In(i64::try_from(config::backoff().delay(failures, random).as_millis()).unwrap_or(i64::MAX))
        },
        Due::At,
    )
}

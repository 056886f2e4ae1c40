//! Changing and awaiting the status of a record.

use std::time::{Duration, Instant};

use pgrx::prelude::*;
use trustlog_core::model::{Status, Strategy};

use super::arguments::{given, one_of};
use crate::error::{Error, Result, SqlResult};
use crate::pg::{catalog, shared, xact};
use crate::store::status::{self, Standing};
use crate::store::{erased, operation, outbox, retry, state, unattested};

#[pg_extern(schema = "trustlog", security_definer)]
#[search_path(pg_catalog, pg_temp)]
fn update_status(op_id: Option<&str>, status: Option<&str>) -> SqlResult<()> {
    set(given("op_id", op_id)?, parse_status("status", status)?)?;
    Ok(())
}

#[pg_extern(schema = "trustlog", security_definer)]
#[search_path(pg_catalog, pg_temp)]
fn update_status_cas(op_id: Option<&str>, expected: Option<&str>, new: Option<&str>) -> SqlResult<bool> {
    let op_id = given("op_id", op_id)?;
    let (expected, new) = (parse_status("expected", expected)?, parse_status("new", new)?);
    if expected == new {
        return Ok(changeable(status::find(op_id)?, op_id)?.is_attested() == (new == Status::Trustlogged));
    }
    Ok(set(op_id, new)?)
}

/// Waits until the record is attested; false when the time is up before.
#[pg_extern(schema = "trustlog", security_definer)]
#[search_path(pg_catalog, pg_temp)]
fn wait_for_attestation(op_id: Option<&str>, timeout: Option<Interval>) -> SqlResult<bool> {
    let op_id = given("op_id", op_id)?;
    let timeout = to_duration(given("timeout", timeout)?)?;
    if catalog::sees_one_snapshot() {
        return Err(Error::state(
            "cannot wait for an attestation in a transaction that sees one snapshot throughout",
            "Call wait_for_attestation() under READ COMMITTED, outside the REPEATABLE READ or SERIALIZABLE transaction.",
        )
        .into());
    }
    Ok(wait(op_id, Instant::now().checked_add(timeout))?)
}

pub(super) fn parse_status(name: &str, value: Option<&str>) -> Result<Status> {
    one_of(name, given(name, value)?, Status::parse, &Status::NAMES)
}

/// Sets the status by hand; whether that changed anything.
pub(super) fn set(op_id: &str, to: Status) -> Result<bool> {
    let mut standing = hold(op_id)?;
    if standing.strategy == Some(Strategy::TrustlogOnly) {
        // It may have to be erased: whoever holds it locked to attest it comes first.
        operation::lock(standing.seq)?;
        standing = status::find_to_change(op_id)?;
    }
    match to {
        Status::Trustlogged => attest(op_id, &standing),
        Status::NotTrustlogged => withdraw(op_id, &standing),
    }
}

/// A record whose status can change at all, as it stands once the sealer leaves it alone, which it does until this
/// transaction ends.
pub(super) fn hold(op_id: &str) -> Result<Standing> {
    outbox::lock(changeable(status::find_to_change(op_id)?, op_id)?.seq)?;
    // Should that be a rollback, the sealer must look again.
    xact::wake_at_end();
    changeable(status::find_to_change(op_id)?, op_id)
}

fn attest(op_id: &str, standing: &Standing) -> Result<bool> {
    if standing.is_attested() || !status::attest_by_hand(standing.seq)? {
        return Ok(false);
    }
    xact::announce_at_commit();
    unattested::remove(standing.seq)?;
    retry::remove(op_id)?;
    if standing.strategy == Some(Strategy::TrustlogOnly) && standing.leaf_index.is_some() {
        erased::erase_trustlog_only(&[standing.seq])?;
    }
    Ok(true)
}

fn withdraw(op_id: &str, standing: &Standing) -> Result<bool> {
    if !standing.is_attested() {
        return Ok(false);
    }
    if !standing.is_attested_by_hand_only() || standing.strategy.is_none() {
        return Err(Error::state(
            format!("operation \"{op_id}\" is attested, and evidence is not withdrawn"),
            "Only a status that was set by hand can be set back, while the record exists.",
        ));
    }
    if !status::withdraw_by_hand(standing.seq)? {
        return Ok(false);
    }
    // Beyond the delivery cursor the record is found without a row.
    let behind = |index: i64| Ok(state::delivery_cursor()?.is_none_or(|cursor| index < cursor));
    if standing.leaf_index.map(behind).transpose()?.unwrap_or(false) {
        unattested::add(&[standing.seq])?;
    }
    Ok(true)
}

/// A record whose status can change at all.
fn changeable(standing: Standing, op_id: &str) -> Result<Standing> {
    if standing.strategy == Some(Strategy::DbOnly) {
        return Err(Error::state(
            format!("operation \"{op_id}\" has strategy DB_ONLY and is never attested"),
            "Save operations that are to be attested with another strategy.",
        ));
    }
    Ok(standing)
}

fn wait(op_id: &str, deadline: Option<Instant>) -> Result<bool> {
    let slot = shared::slot_of(catalog::my_database());
    loop {
        // Watch first, then look: an attestation in between ends the wait at once.
        if let Some(slot) = slot {
            slot.watch_attestations();
        }
        let attested = is_attested(op_id);
        let left = deadline.map_or(Duration::MAX, |at| at.saturating_duration_since(Instant::now()));
        if !matches!(attested, Ok(false)) || left.is_zero() {
            shared::stop_watching();
            return attested;
        }
        // Also looks by itself: without the library preloaded nobody announces anything.
        let step = left.min(Duration::from_millis(if slot.is_some() { 1000 } else { 50 }));
        match slot {
            Some(slot) => slot.wait_for_attestations(step),
            None => crate::pg::background::nap(step),
        }
    }
}

fn is_attested(op_id: &str) -> Result<bool> {
    let standing = changeable(status::find(op_id)?, op_id)?;
    if standing.is_attested() {
        return Ok(true);
    }
    if standing.dead {
        return Err(Error::state(
            format!("operation \"{op_id}\" is a dead letter"),
            "See trustlog.dead_letter for the reason; call trustlog.requeue_dead_letters() to try again.",
        ));
    }
    if status::saved_by_this_transaction(standing.seq)? {
        return Err(Error::state(
            format!("operation \"{op_id}\" was saved by this transaction, which has not committed"),
            "Commit first: nothing is attested before it is committed.",
        ));
    }
    Ok(false)
}

fn to_duration(interval: Interval) -> Result<Duration> {
    let micros = interval.as_micros();
    u64::try_from(micros).map(Duration::from_micros).map_err(|_| {
        Error::invalid("invalid timeout: it is negative or too long", "Give an interval from 0 on, for example '5 s'.")
    })
}

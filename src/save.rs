//! Saving operations: idempotent by op_id, and safe against sessions that save the same one.

use std::collections::HashMap;
use std::net::IpAddr;

use trustlog_core::Hash;
use trustlog_core::model::{self, Strategy};
use trustlog_core::record::Record;

use crate::config;
use crate::error::{Error, Result};
use crate::pg::catalog;
use crate::store::erased::{self, Erased};
use crate::store::operation::{self, NewOperation, Saved, unix_micros};

/// What became of one operation.
pub struct Outcome {
    /// Its key.
    pub seq: i64,
    /// Its leaf hash; DB_ONLY operations have none.
    pub leaf_hash: Option<Hash>,
    /// Whether this call saved it; else it was there, with the same content.
    pub created: bool,
}

/// Saves all or none; one outcome each, in the order given.
pub fn save_all(new: &[NewOperation]) -> Result<Vec<Outcome>> {
    let strategy = config::default_strategy();
    let mut outcomes: Vec<Option<Outcome>> = new.iter().map(|n| known_erased(n, strategy)).collect::<Result<_>>()?;
    let mut to_insert: Vec<usize> = (0..new.len()).filter(|i| outcomes[*i].is_none()).collect();
    // Every batch takes its op_ids in the same order, so that two of them cannot deadlock.
    to_insert.sort_by(|a, b| new[*a].op_id.cmp(&new[*b].op_id));
    to_insert.dedup_by(|a, b| new[*a].op_id == new[*b].op_id);
    let operations: Vec<&NewOperation> = to_insert.iter().map(|i| &new[*i]).collect();
    let mut inserted: HashMap<String, Saved> =
        operation::insert(&operations, strategy)?.into_iter().map(|saved| (saved.op_id.clone(), saved)).collect();
    for index in to_insert {
        outcomes[index] = inserted.remove(&new[index].op_id).map(|saved| outcome(saved, true));
    }
    outcomes.into_iter().zip(new).map(|(outcome, new)| outcome.map_or_else(|| existing(new), Ok)).collect()
}

fn outcome(saved: Saved, created: bool) -> Outcome {
    Outcome { seq: saved.seq, leaf_hash: saved.leaf_hash, created }
}

/// The record that was there before, if it has the same content.
fn existing(new: &NewOperation) -> Result<Outcome> {
    match operation::compare(new)? {
        Some(existing) if existing.differing.is_empty() => Ok(outcome(existing.saved, false)),
        Some(existing) => Err(clash(&new.op_id, &existing.differing)?),
        // Erased between the insert and this look.
        None => match erased::find(&new.op_id)? {
            Some(erased) => same_as_erased(new, &erased),
            None => Err(Error::state(
                format!("operation \"{}\" is being changed by another session", new.op_id),
                "Save it again.",
            )),
        },
    }
}

fn clash(op_id: &str, differing: &[&str]) -> Result<Error> {
    let readable = catalog::caller_may_read(operation::table()?);
    Ok(Error::Clash {
        message: format!("operation \"{op_id}\" exists with other content"),
        detail: readable.then(|| format!("Differing fields: {}.", differing.join(", "))),
        hint: "An op_id names one operation for ever: use another one, or save the same content again.".to_owned(),
    })
}

/// The error for an op_id whose record was erased.
pub fn taken_by_erased(op_id: &str) -> Error {
    Error::Clash {
        message: format!("operation \"{op_id}\" was erased, and its op_id stays taken"),
        detail: None,
        hint: "Use another op_id. A TRUSTLOG_ONLY operation that is saved again must be given with all its fields, \
               the time included, so that it can be compared with its leaf."
            .to_owned(),
    }
}

/// A TRUSTLOG_ONLY operation that was saved, attested and erased before. Other strategies leave no such trace, but for
/// erasure by hand, which the table's trigger finds.
fn known_erased(new: &NewOperation, default_strategy: Strategy) -> Result<Option<Outcome>> {
    if new.strategy.unwrap_or(default_strategy) != Strategy::TrustlogOnly {
        return Ok(None);
    }
    erased::find(&new.op_id)?.map(|erased| same_as_erased(new, &erased)).transpose()
}

/// Nothing is left to compare but the leaf hash: the content is the same if it gives the same one.
fn same_as_erased(new: &NewOperation, erased: &Erased) -> Result<Outcome> {
    let (Some(salt), Some(leaf_hash), Some(op_time)) = (&erased.salt, &erased.leaf_hash, new.op_time) else {
        return Err(taken_by_erased(&new.op_id));
    };
    let client_ip = operation::canonical_address(new.client_ip.as_deref())?;
    let server_ip = operation::canonical_address(new.server_ip.as_deref())?;
    let record = Record {
        op_id: &new.op_id,
        op_actor: &new.op_actor,
        doid: &new.doid,
        producer_id: &new.producer_id,
        request_body_hash: new.request_body_hash.as_deref(),
        response_body_hash: new.response_body_hash.as_deref(),
        op_source: &new.op_source,
        op_code: new.op_code,
        do_prefix: new.do_prefix(),
        do_repository: &new.do_repository,
        client_ip: client_ip.as_deref(),
        server_ip: server_ip.as_deref(),
        timestamp_micros: unix_micros(op_time),
    };
    let hash = operation::hash_record(&record, salt).map_err(Error::internal)?;
    if hash[..] != leaf_hash[..] {
        return Err(taken_by_erased(&new.op_id));
    }
    Ok(Outcome { seq: erased.seq, leaf_hash: Some(hash), created: false })
}

/// Checks what the table's CHECKs would refuse, with the name, the value and a hint. `at` says where in a batch.
pub fn check(new: &NewOperation, at: &str) -> Result<()> {
    let required = [
        ("op_id", &new.op_id, model::MAX_OP_ID_BYTES),
        ("op_actor", &new.op_actor, model::MAX_TEXT_BYTES),
        ("doid", &new.doid, model::MAX_TEXT_BYTES),
        ("producer_id", &new.producer_id, model::MAX_TEXT_BYTES),
        ("op_source", &new.op_source, model::MAX_TEXT_BYTES),
        ("do_repository", &new.do_repository, model::MAX_TEXT_BYTES),
    ];
    for (name, value, max) in required {
        check_text(name, value, max, at)?;
    }
    let optional = [("request_body_hash", &new.request_body_hash), ("response_body_hash", &new.response_body_hash)];
    for (name, value) in optional {
        value.as_deref().map_or(Ok(()), |value| check_text(name, value, model::MAX_TEXT_BYTES, at))?;
    }
    check_text("do_prefix", new.do_prefix(), model::MAX_TEXT_BYTES, at)?;
    check_address("client_ip", new.client_ip.as_deref(), at)?;
    check_address("server_ip", new.server_ip.as_deref(), at)?;
    check_time(new, at)
}

fn check_text(name: &str, value: &str, max: usize, at: &str) -> Result<()> {
    if (1..=max).contains(&value.len()) {
        return Ok(());
    }
    let shown: String = value.chars().take(40).collect();
    let dots = if shown.len() < value.len() { "..." } else { "" };
    Err(Error::invalid(
        format!("invalid {name}{at}: \"{shown}{dots}\" ({} bytes)", value.len()),
        if name == "do_prefix" {
            format!("It is the part of doid before the first \"/\" when left out; give 1 to {max} bytes.")
        } else {
            format!("Give a text of 1 to {max} bytes.")
        },
    ))
}

fn check_address(name: &str, value: Option<&str>, at: &str) -> Result<()> {
    match value {
        Some(text) if text.parse::<IpAddr>().is_err() => Err(Error::invalid(
            format!("invalid {name}{at}: \"{text}\""),
            "Give the address of one host, without a netmask, for example 192.0.2.1 or 2001:db8::1.",
        )),
        _ => Ok(()),
    }
}

fn check_time(new: &NewOperation, at: &str) -> Result<()> {
    let allowed = model::MIN_TIMESTAMP_MICROS..model::END_TIMESTAMP_MICROS;
    match new.op_time {
        Some(time) if !allowed.contains(&unix_micros(time)) => Err(Error::invalid(
            format!("invalid op_time{at}: \"{time}\""),
            "Give a finite time in the years 1 to 9999.",
        )),
        _ => Ok(()),
    }
}

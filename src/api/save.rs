//! Saving operations.

use pgrx::datum::{Inet, TimestampWithTimeZone};
use pgrx::name;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;
use serde_json::{Map, Value};
use trustlog_core::model::{Status, Strategy};
use trustlog_core::timestamp;

use super::arguments::{given, one_of};
use super::status;
use crate::error::{Error, Result};
use crate::pg::jsonb::JsonbText;
use crate::save::{self, Outcome};
use crate::store::operation::{NewOperation, from_unix_micros};

type Rows = TableIterator<'static, (name!(seq, i64), name!(leaf_hash, Option<Vec<u8>>), name!(created, bool))>;

#[pg_extern(schema = "trustlog", security_definer)]
#[search_path(pg_catalog, pg_temp)]
#[allow(clippy::too_many_arguments)]
fn save(
    op_id: Option<String>,
    op_actor: Option<String>,
    doid: Option<String>,
    producer_id: Option<String>,
    op_source: Option<String>,
    op_code: Option<i32>,
    do_repository: Option<String>,
    do_prefix: default!(Option<String>, "NULL"),
    op_time: default!(Option<TimestampWithTimeZone>, "NULL"),
    request_body_hash: default!(Option<String>, "NULL"),
    response_body_hash: default!(Option<String>, "NULL"),
    client_ip: default!(Option<Inet>, "NULL"),
    server_ip: default!(Option<Inet>, "NULL"),
    strategy: default!(Option<&str>, "NULL"),
    status: default!(Option<&str>, "'NOT_TRUSTLOGGED'"),
) -> std::result::Result<
    TableIterator<'static, (name!(seq, i64), name!(leaf_hash, Option<Vec<u8>>), name!(created, bool))>,
    ErrorReport,
> {
    let operation = NewOperation {
        op_id: given("op_id", op_id)?,
        op_actor: given("op_actor", op_actor)?,
        doid: given("doid", doid)?,
        producer_id: given("producer_id", producer_id)?,
        op_source: given("op_source", op_source)?,
        op_code: given("op_code", op_code)?,
        do_repository: given("do_repository", do_repository)?,
        do_prefix,
        op_time,
        request_body_hash,
        response_body_hash,
        client_ip: client_ip.map(|ip| ip.0),
        server_ip: server_ip.map(|ip| ip.0),
        strategy: strategy.map(|s| parse_strategy(s, "")).transpose()?,
    };
    save::check(&operation, "")?;
    let status = status::parse_status("status", status)?;
    Ok(save_all(vec![(operation, status)])?)
}

#[pg_extern(schema = "trustlog", name = "save", security_definer)]
#[search_path(pg_catalog, pg_temp)]
fn save_json(
    operation: Option<JsonbText>,
) -> std::result::Result<
    TableIterator<'static, (name!(seq, i64), name!(leaf_hash, Option<Vec<u8>>), name!(created, bool))>,
    ErrorReport,
> {
    let value = parse("operation", operation)?;
    Ok(save_all(vec![from_json(value, "")?])?)
}

#[pg_extern(schema = "trustlog", security_definer)]
#[search_path(pg_catalog, pg_temp)]
fn save_batch(
    operations: Option<JsonbText>,
) -> std::result::Result<
    TableIterator<'static, (name!(seq, i64), name!(leaf_hash, Option<Vec<u8>>), name!(created, bool))>,
    ErrorReport,
> {
    let Value::Array(elements) = parse("operations", operations)? else {
        return Err(Error::invalid(
            "invalid operations: not an array",
            "Give a JSON array of objects, one for each operation.",
        )
        .into());
    };
    let operations: Vec<(NewOperation, Status)> = elements
        .into_iter()
        .enumerate()
        .map(|(index, element)| from_json(element, &format!(" (element {})", index + 1)))
        .collect::<Result<_>>()?;
    Ok(save_all(operations)?)
}

fn save_all(operations: Vec<(NewOperation, Status)>) -> Result<Rows> {
    let (operations, statuses): (Vec<NewOperation>, Vec<Status>) = operations.into_iter().unzip();
    let outcomes = save::save_all(&operations)?;
    let mut to_attest: Vec<&str> = operations
        .iter()
        .zip(statuses)
        .filter(|(_, status)| *status == Status::Trustlogged)
        .map(|(operation, _)| operation.op_id.as_str())
        .collect();
    // As the inserts: in the same order in every batch, so that two of them cannot deadlock.
    to_attest.sort_unstable();
    for op_id in to_attest {
        status::set(op_id, Status::Trustlogged)?;
    }
    let row = |o: Outcome| (o.seq, o.leaf_hash.map(|hash| hash.to_vec()), o.created);
    Ok(TableIterator::new(outcomes.into_iter().map(row)))
}

/// Reads the JSON that PostgreSQL has read already; what it takes and we do not is numbers beyond a double and deep nesting.
fn parse(name: &str, value: Option<JsonbText>) -> Result<Value> {
    let JsonbText(text) = given(name, value)?;
    serde_json::from_str(&text).map_err(|error| {
        Error::invalid(
            format!("invalid {name}: {error}"),
            "Give a JSON object, or an array of objects, with plain values.",
        )
    })
}

fn parse_strategy(value: &str, at: &str) -> Result<Strategy> {
    one_of(&format!("strategy{at}"), value, Strategy::parse, &Strategy::NAMES)
}

/// An operation out of a JSON object; `at` says where in a batch.
fn from_json(value: Value, at: &str) -> Result<(NewOperation, Status)> {
    let Value::Object(object) = value else {
        return Err(Error::invalid(format!("invalid operation{at}: not an object"), "Give a JSON object."));
    };
    let mut fields = Fields { object, at };
    let operation = NewOperation {
        op_id: fields.text("op_id")?,
        op_actor: fields.text("op_actor")?,
        doid: fields.text("doid")?,
        producer_id: fields.text("producer_id")?,
        op_source: fields.text("op_source")?,
        op_code: fields.integer("op_code")?,
        do_repository: fields.text("do_repository")?,
        do_prefix: fields.optional("do_prefix")?,
        op_time: fields.time("timestamp")?,
        request_body_hash: fields.optional("request_body_hash")?,
        response_body_hash: fields.optional("response_body_hash")?,
        client_ip: fields.optional("client_ip")?,
        server_ip: fields.optional("server_ip")?,
        strategy: fields.optional("strategy")?.map(|s| parse_strategy(&s, at)).transpose()?,
    };
    let status = fields.optional("status")?;
    let status = status::parse_status(&format!("status{at}"), Some(status.as_deref().unwrap_or("NOT_TRUSTLOGGED")))?;
    fields.nothing_left()?;
    save::check(&operation, at)?;
    Ok((operation, status))
}

/// The keys of an object, taken one by one. A JSON null is the same as a missing key.
struct Fields<'a> {
    object: Map<String, Value>,
    at: &'a str,
}

impl Fields<'_> {
    fn optional(&mut self, key: &str) -> Result<Option<String>> {
        match self.object.remove(key) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(self.wrong(key, &other, "Give a JSON string.")),
        }
    }

    fn text(&mut self, key: &str) -> Result<String> {
        self.optional(key)?.ok_or_else(|| self.missing(key))
    }

    fn integer(&mut self, key: &str) -> Result<i32> {
        match self.object.remove(key) {
            None | Some(Value::Null) => Err(self.missing(key)),
            Some(value) => value
                .as_i64()
                .and_then(|n| i32::try_from(n).ok())
                .ok_or_else(|| self.wrong(key, &value, "Give a whole number of 32 bits.")),
        }
    }

    fn time(&mut self, key: &str) -> Result<Option<TimestampWithTimeZone>> {
        let Some(text) = self.optional(key)? else { return Ok(None) };
        let time = timestamp::parse_rfc3339(&text).and_then(from_unix_micros);
        time.map(Some).ok_or_else(|| {
            self.wrong(
                key,
                &Value::String(text),
                "Give a time with its offset, for example \"2026-01-02T03:04:05.678901Z\".",
            )
        })
    }

    fn nothing_left(&self) -> Result<()> {
        match self.object.keys().next() {
            None => Ok(()),
            Some(key) => Err(Error::invalid(
                format!("unknown key \"{key}\"{}", self.at),
                "Known keys: op_id, op_actor, doid, producer_id, op_source, op_code, do_repository, do_prefix, timestamp, \
                 request_body_hash, response_body_hash, client_ip, server_ip, strategy, status.",
            )),
        }
    }

    fn missing(&self, key: &str) -> Error {
        Error::Null { name: key.to_owned(), at: self.at.to_owned() }
    }

    fn wrong(&self, key: &str, value: &Value, hint: &str) -> Error {
        let shown: String = value.to_string().chars().take(60).collect();
        Error::invalid(format!("invalid {key}{}: {shown}", self.at), hint)
    }
}

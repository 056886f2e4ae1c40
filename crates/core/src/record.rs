//! Record bytes, version 1, and the log entry made of them.
//!
//! Record bytes are what a verifier hashes years from now, so they depend on nothing but the record: no server setting,
//! no time zone, no order of columns. They are JSON in the canonical form of RFC 8785 (JCS).

use crate::hash::{Hash, sha256};
use crate::timestamp;
use serde::Serialize;

/// The version written as `v` into the record bytes.
const VERSION: u8 = 1;

/// Keeps an entry from being mistaken for a digest made for another purpose or by another version.
const ENTRY_CONTEXT: &[u8] = b"trustlog-record-v1\n";

/// Keys, punctuation, timestamp and numbers together need less than this many bytes.
const FIXED_BYTES: usize = 320;

/// One operation on a digital object, as its caller saved it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// Names the operation, unique in the database.
    pub op_id: &'a str,
    /// Who performed the operation.
    pub op_actor: &'a str,
    /// The digital object operated on.
    pub doid: &'a str,
    /// Who produced the record.
    pub producer_id: &'a str,
    /// Hash of the request body, in the form the caller chose.
    pub request_body_hash: Option<&'a str>,
    /// Hash of the response body, in the form the caller chose.
    pub response_body_hash: Option<&'a str>,
    /// The system the operation came through.
    pub op_source: &'a str,
    /// What kind of operation it was.
    pub op_code: i32,
    /// The prefix of the digital object's identifier.
    pub do_prefix: &'a str,
    /// The repository that holds the digital object.
    pub do_repository: &'a str,
    /// The client's address, in the canonical text form of its address family, without a netmask.
    pub client_ip: Option<&'a str>,
    /// The server's address, in the same form.
    pub server_ip: Option<&'a str>,
    /// When the operation happened, in microseconds since the Unix epoch.
    pub timestamp_micros: i64,
}

/// Why a record has no record bytes.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The timestamp, in microseconds since the Unix epoch, lies outside the years 1 to 9999.
    #[error("timestamp outside the years 1 to 9999: {0} microseconds since 1970-01-01")]
    Timestamp(i64),
    /// The JSON encoder failed. It cannot, writing text and integers to memory, but its signature says it may.
    #[error("cannot encode the record as JSON: {0}")]
    Json(#[from] serde_json::Error),
}

impl Record<'_> {
    /// The record bytes, version 1: canonical JSON (RFC 8785) of `v` and the fields that are not `None`, the timestamp
    /// as `2026-01-02T03:04:05.678901Z`.
    ///
    /// # Errors
    /// [`RecordError::Timestamp`] when the timestamp is outside the years 1 to 9999.
    pub fn record_bytes(&self) -> Result<Vec<u8>, RecordError> {
        let timestamp =
            timestamp::to_text(self.timestamp_micros).ok_or(RecordError::Timestamp(self.timestamp_micros))?;
        let mut bytes = Vec::with_capacity(FIXED_BYTES + self.text_bytes());
        serde_json::to_writer(&mut bytes, &self.canonical(&timestamp))?;
        Ok(bytes)
    }

    fn canonical<'b>(&'b self, timestamp: &'b str) -> Canonical<'b> {
        Canonical {
            client_ip: self.client_ip,
            do_prefix: self.do_prefix,
            do_repository: self.do_repository,
            doid: self.doid,
            op_actor: self.op_actor,
            op_code: self.op_code,
            op_id: self.op_id,
            op_source: self.op_source,
            producer_id: self.producer_id,
            request_body_hash: self.request_body_hash,
            response_body_hash: self.response_body_hash,
            server_ip: self.server_ip,
            timestamp,
            v: VERSION,
        }
    }

    /// Bytes of all texts before escaping.
    fn text_bytes(&self) -> usize {
        let needed = [
            self.op_id,
            self.op_actor,
            self.doid,
            self.producer_id,
            self.op_source,
            self.do_prefix,
            self.do_repository,
        ];
        let optional = [self.request_body_hash, self.response_body_hash, self.client_ip, self.server_ip];
        let optional = optional.into_iter().flatten();
        needed.into_iter().chain(optional).map(str::len).sum()
    }
}

/// The members in the order of RFC 8785 §3.2.3: sorted by key, compared by UTF-16 code units (all keys are ASCII).
///
/// The other rules of that RFC hold because `serde_json` writes no white space, escapes exactly what §3.2.2.2 lists in
/// exactly that form, and prints integers, the only numbers here, as §3.2.2.3 asks.
#[derive(Serialize)]
struct Canonical<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    client_ip: Option<&'a str>,
    do_prefix: &'a str,
    do_repository: &'a str,
    doid: &'a str,
    op_actor: &'a str,
    op_code: i32,
    op_id: &'a str,
    op_source: &'a str,
    producer_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_body_hash: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_body_hash: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    server_ip: Option<&'a str>,
    timestamp: &'a str,
    v: u8,
}

/// The log entry of a record: SHA-256 of `"trustlog-record-v1\n"`, the salt and the record bytes.
///
/// The salt hides a record whose content could be guessed. Nothing marks where it ends, so it must always have the same
/// length, or whoever passes on salt and record bytes as one string must say how long it is.
#[must_use]
pub fn entry(salt: &[u8], record_bytes: &[u8]) -> Hash {
    sha256(&[ENTRY_CONTEXT, salt, record_bytes])
}

//! Sealing: a batch of the outbox becomes leaves and full tiles, in the transaction that is running.

use trustlog_core::model::Sink;
use trustlog_core::scan::ScanFrom;

use super::freeze::{self, Frozen};
use crate::config;
use crate::error::{Error, Result};
use crate::pg::lock;
use crate::pg::spi::See;
use crate::store::operation::{self, Leafed};
use crate::store::{erased, leaf, outbox, retry, state, tile, unattested};

/// How an attempt to seal went.
pub enum Sealing {
    /// Rows were taken from the outbox, or none were there.
    Done(Batch),
    /// Another session seals, or has sealed and not ended its transaction.
    Busy,
    /// `pause('all')` is in force.
    Paused,
    /// The log must not grow.
    Frozen(Frozen),
}

/// What was taken.
pub struct Batch {
    /// Rows taken from the outbox.
    pub taken: usize,
    /// Leaves written.
    pub sealed: usize,
    /// The highest `seq` taken.
    pub highest: Option<i64>,
    /// Records that could not be sealed and were set aside, with the reason.
    pub set_aside: Vec<(i64, String)>,
}

/// Seals at most `limit` records. To be called under READ COMMITTED: each statement must see what is committed.
///
/// `careful` is for when something has gone wrong: looks for records that are in the outbox and have a leaf already, which
/// nothing but a hand in the tables brings about, and which would make the whole batch fail.
pub fn seal_batch(from: ScanFrom, limit: i64, careful: bool) -> Result<Sealing> {
    if !lock::try_sealer() {
        return Ok(Sealing::Busy);
    }
    let gate = state::gate(See::Latest)?;
    if gate.paused {
        return Ok(Sealing::Paused);
    }
    if let Some(frozen) = freeze::check(See::Latest, &gate)? {
        return Ok(Sealing::Frozen(frozen));
    }
    let after = match from {
        ScanFrom::Start => i64::MIN,
        ScanFrom::Floor(seq) => seq,
    };
    let sink = config::sink();
    if sink != gate.sink && !state::try_lock()? {
        return Ok(Sealing::Busy);
    }
    let (rows, taken) = outbox::take(after, limit)?;
    if taken.is_empty() {
        return Ok(Sealing::Done(Batch { taken: 0, sealed: 0, highest: None, set_aside: Vec::new() }));
    }
    if sink != gate.sink {
        state::switch_sink(gate.sink, sink, gate.size)?;
    }
    if gate.size == 0 {
        state::settle()?;
    }
    let mut records = operation::to_seal(&taken)?;
    if careful {
        let again = leaf::sealed_among(&taken)?;
        for record in records.iter_mut().filter(|record| again.contains(&record.seq)) {
            record.leaf_hash = Err("it has a leaf already".to_owned());
        }
    }
    let set_aside = set_aside(&taken, &records)?;
    let sealed = append(&gate, sink, &records)?;
    Ok(Sealing::Done(Batch { taken: rows, sealed, highest: taken.last().copied(), set_aside }))
}

/// The error for a caller that wants to seal and cannot.
pub fn busy() -> Error {
    Error::state("another session is sealing", "Wait for its transaction to end; a worker's takes milliseconds.")
}

/// Writes leaves and tiles, then whatever the sink wants of the records.
fn append(gate: &state::Gate, sink: Sink, records: &[Leafed]) -> Result<usize> {
    let (mut seqs, mut hashes) = (Vec::with_capacity(records.len()), Vec::with_capacity(records.len()));
    let (mut pending, mut to_erase) = (Vec::new(), Vec::new());
    for record in records {
        let Ok(hash) = record.leaf_hash else { continue };
        seqs.push(record.seq);
        hashes.push(hash);
        let attested = record.attested || sink == Sink::Log;
        // Under http an unattested record is beyond the delivery cursor, which finds it.
        if !attested && sink == Sink::Manual {
            pending.push(record.seq);
        }
        if attested && record.trustlog_only {
            to_erase.push(record.seq);
        }
    }
    leaf::append(gate.size, &seqs, &hashes, sink == Sink::Log)?;
    for full in tile::completed(gate.size, &hashes)? {
        tile::insert(&full)?;
    }
    unattested::add(&pending)?;
    if sink == Sink::Log {
        retry::remove_sealed(&seqs)?;
    }
    erased::erase_trustlog_only(&to_erase)?;
    Ok(seqs.len())
}

/// Sets aside what was taken and cannot be sealed: one bad row must not hold up the rest.
fn set_aside(taken: &[i64], records: &[Leafed]) -> Result<Vec<(i64, String)>> {
    let missing = taken
        .iter()
        .filter(|seq| records.binary_search_by_key(*seq, |record| record.seq).is_err())
        .map(|seq| (*seq, "there is no such record".to_owned()));
    let unfit = records.iter().filter_map(|record| Some((record.seq, record.leaf_hash.clone().err()?)));
    let aside: Vec<(i64, String)> = missing.chain(unfit).collect();
    for (seq, reason) in &aside {
        outbox::set_aside(*seq, reason)?;
    }
    Ok(aside)
}

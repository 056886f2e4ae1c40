//! Checks a whole log from a client's connection, with nothing of the server's own checks: every hash is computed again
//! here, from the records.

use std::collections::{HashMap, HashSet};

use postgres::{Client, Row};
use trustlog_core::record::{Record, entry};
use trustlog_core::{Hash, merkle};

use crate::wait;

/// What the audit found out about one saved operation.
#[derive(Clone, Debug)]
pub struct Found {
    pub seq: i64,
    /// Erased after sealing: only the salt is left.
    pub erased: bool,
    pub salt: Vec<u8>,
    /// Of a record in the log: its index and hash.
    pub leaf: Option<(u64, Hash)>,
    /// The leaf hash that its row gives; none when it was erased.
    pub row_hash: Option<Hash>,
    pub attested: bool,
}

/// A log without faults.
#[derive(Debug)]
pub struct Log {
    /// Leaf hashes in order.
    pub leaves: Vec<Hash>,
    /// All operations, by op_id.
    pub operations: HashMap<String, Found>,
}

/// Waits until nothing waits to be sealed.
pub fn wait_until_sealed(client: &mut Client) {
    wait::until(wait::PATIENCE, "everything is sealed", || {
        let empty = "SELECT NOT EXISTS (SELECT FROM trustlog.outbox)";
        client.query_one(empty, &[]).unwrap().get(0)
    });
}

/// Waits until everything is sealed, and checks the log.
///
/// # Panics
/// With the faults.
pub fn check(client: &mut Client) -> Log {
    wait_until_sealed(client);
    find_faults(client).unwrap_or_else(|faults| {
        let shown = &faults[..faults.len().min(20)];
        panic!("the log has {} faults:\n{}", faults.len(), shown.join("\n"))
    })
}

/// Checks a log at rest.
///
/// # Errors
/// With every fault.
pub fn find_faults(client: &mut Client) -> Result<Log, Vec<String>> {
    let mut faults = Vec::new();
    for table in ["outbox", "set_aside"] {
        let count: i64 = client.query_one(&format!("SELECT count(*) FROM trustlog.{table}"), &[]).unwrap().get(0);
        if count != 0 {
            faults.push(format!("{count} rows in {table}"));
        }
    }
    let (leaves, by_seq) = leaves(client, &mut faults);
    let operations = operations(client, &by_seq, &mut faults);
    let known: HashSet<i64> = operations.values().map(|found| found.seq).collect();
    for seq in by_seq.keys().filter(|seq| !known.contains(seq)) {
        faults.push(format!("the leaf of record {seq} belongs to none"));
    }
    tiles(client, &leaves, &mut faults);
    // Last, because it fails where the tree does not fit together, and ends a transaction that is open.
    head(client, &leaves, &mut faults);
    if faults.is_empty() { Ok(Log { leaves, operations }) } else { Err(faults) }
}

struct Leaf {
    idx: u64,
    hash: Hash,
    attested: bool,
}

fn leaves(client: &mut Client, faults: &mut Vec<String>) -> (Vec<Hash>, HashMap<i64, Leaf>) {
    let (mut hashes, mut by_seq) = (Vec::new(), HashMap::new());
    let all = "SELECT idx, seq, leaf_hash, attested_at IS NOT NULL FROM trustlog.leaf ORDER BY idx";
    for row in client.query(all, &[]).unwrap() {
        let (idx, seq) = (u64::try_from(row.get::<_, i64>(0)).unwrap(), row.get(1));
        let expected = hashes.len() as u64;
        if idx != expected {
            faults.push(format!("leaf {idx} where {expected} is expected"));
        }
        let hash = hash(&row, 2);
        hashes.push(hash);
        let attested = row.get(3);
        if let Some(earlier) = by_seq.insert(seq, Leaf { idx, hash, attested }) {
            faults.push(format!("record {seq} is sealed as {} and {idx}", earlier.idx));
        }
    }
    (hashes, by_seq)
}

fn operations(client: &mut Client, by_seq: &HashMap<i64, Leaf>, faults: &mut Vec<String>) -> HashMap<String, Found> {
    let mut operations = HashMap::new();
    let all = "SELECT o.seq, o.op_id, o.op_actor, o.doid, o.producer_id, o.request_body_hash, o.response_body_hash,
                      o.op_source, o.op_code, o.do_prefix, o.do_repository, host(o.client_ip), host(o.server_ip),
                      (extract(epoch FROM o.\"timestamp\") * 1000000)::int8, o.salt, o.strategy, a.seq IS NOT NULL
                 FROM trustlog.operation o LEFT JOIN trustlog.attestation a ON a.seq = o.seq";
    for row in client.query(all, &[]).unwrap() {
        let (seq, op_id): (i64, String) = (row.get(0), row.get(1));
        let leaf = by_seq.get(&seq);
        let row_hash = row_hash(&row);
        let to_be_sealed = row.get::<_, &str>(15) != "DB_ONLY";
        match leaf {
            Some(_) if !to_be_sealed => faults.push(format!("{op_id} is DB_ONLY and sealed")),
            Some(leaf) if leaf.hash != row_hash => {
                faults.push(format!("{op_id} does not give the hash of its leaf {}", leaf.idx));
            }
            None if to_be_sealed => faults.push(format!("{op_id} ({seq}) is not sealed")),
            _ => (),
        }
        let found = Found {
            seq,
            erased: false,
            salt: row.get(14),
            leaf: leaf.map(|leaf| (leaf.idx, leaf.hash)),
            row_hash: Some(row_hash),
            attested: row.get::<_, bool>(16) || leaf.is_some_and(|leaf| leaf.attested),
        };
        operations.insert(op_id, found);
    }
    let erased = "SELECT e.seq, e.op_id, e.salt, a.seq IS NOT NULL
                    FROM trustlog.erased e LEFT JOIN trustlog.attestation a ON a.seq = e.seq";
    for row in client.query(erased, &[]).unwrap() {
        let (seq, op_id): (i64, String) = (row.get(0), row.get(1));
        let Some(leaf) = by_seq.get(&seq) else {
            faults.push(format!("{op_id} was erased before it was sealed"));
            continue;
        };
        let found = Found {
            seq,
            erased: true,
            salt: row.get(2),
            leaf: Some((leaf.idx, leaf.hash)),
            row_hash: None,
            attested: row.get::<_, bool>(3) || leaf.attested,
        };
        if operations.insert(op_id.clone(), found).is_some() {
            faults.push(format!("{op_id} was erased and is there"));
        }
    }
    operations
}

fn row_hash(row: &Row) -> Hash {
    let record = Record {
        op_id: row.get(1),
        op_actor: row.get(2),
        doid: row.get(3),
        producer_id: row.get(4),
        request_body_hash: row.get(5),
        response_body_hash: row.get(6),
        op_source: row.get(7),
        op_code: row.get(8),
        do_prefix: row.get(9),
        do_repository: row.get(10),
        client_ip: row.get(11),
        server_ip: row.get(12),
        timestamp_micros: row.get(13),
    };
    merkle::leaf_hash(&entry(row.get(14), &record.record_bytes().unwrap()))
}

fn head(client: &mut Client, leaves: &[Hash], faults: &mut Vec<String>) {
    match client.query_one("SELECT size, root FROM trustlog.tree_head()", &[]) {
        Ok(row) => {
            let size: i64 = row.get(0);
            if usize::try_from(size) != Ok(leaves.len()) {
                faults.push(format!("tree_head() says {size} of {} leaves", leaves.len()));
            }
            if hash(&row, 1) != merkle::root(leaves) {
                faults.push("tree_head() has another root than the leaves".to_owned());
            }
        }
        Err(error) => faults.push(format!("tree_head(): {error:?}")),
    }
}

/// Every tile that must be there is, with the right content, and no other.
fn tiles(client: &mut Client, leaves: &[Hash], faults: &mut Vec<String>) {
    let mut expected = HashMap::new();
    let mut level_hashes = leaves.to_vec();
    for level in 0_i16.. {
        let full = level_hashes.chunks_exact(256);
        let roots: Vec<Hash> = full.clone().map(merkle::root).collect();
        for ((n, hashes), root) in (0_i64..).zip(full).zip(&roots) {
            expected.insert((level, n), (*root, hashes.concat()));
        }
        if roots.is_empty() {
            break;
        }
        level_hashes = roots;
    }
    let all = "SELECT level, n, root, hashes FROM trustlog.tile";
    for row in client.query(all, &[]).unwrap() {
        let key: (i16, i64) = (row.get(0), row.get(1));
        match expected.remove(&key) {
            None => faults.push(format!("tile {key:?} ought not to be there")),
            Some((root, _)) if root != hash(&row, 2) => {
                faults.push(format!("tile {key:?} has a wrong root"));
            }
            Some((_, hashes)) if hashes != row.get::<_, &[u8]>(3) => {
                faults.push(format!("tile {key:?} has wrong hashes"));
            }
            Some(_) => (),
        }
    }
    for key in expected.keys() {
        faults.push(format!("tile {key:?} is missing"));
    }
}

fn hash(row: &Row, column: usize) -> Hash {
    Hash::try_from(row.get::<_, &[u8]>(column)).expect("32 bytes")
}

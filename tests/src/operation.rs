//! Operations that tests save. What one holds follows from its op_id and a variant, so a test knows what the server must
//! have sealed without reading it back.

use std::fmt::Write as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use postgres::types::ToSql;
use trustlog_core::model::Strategy;
use trustlog_core::record::{Record, entry};
use trustlog_core::{Hash, merkle};

/// 2026-01-02T03:04:05Z.
const SECONDS: u64 = 1_767_323_045;

/// Saves one; see [`Operation::save_params`].
pub const SAVE: &str = "SELECT seq, leaf_hash, created FROM trustlog.save($1, $2, $3, $4, $5, $6, $7, op_time => $8,
    request_body_hash => $9, client_ip => $10::text::inet, strategy => $11)";

/// The columns of [`Operation::copy_line`] and [`Operation::sql_row`].
pub const COLUMNS: &str = "op_id, op_actor, doid, producer_id, op_source, op_code, do_repository, \"timestamp\",
    request_body_hash, client_ip, strategy";

/// What a test saves, and holds on to.
#[derive(Clone, Debug)]
pub struct Operation {
    pub op_id: String,
    op_actor: String,
    doid: String,
    producer_id: String,
    op_source: String,
    op_code: i32,
    do_repository: String,
    micros: u64,
    request_body_hash: Option<String>,
    client_ip: Option<String>,
    pub strategy: Strategy,
    /// The leaf hash that `save` returned, if it was asked.
    pub promised: Option<Hash>,
}

impl Operation {
    /// An operation of the default strategy.
    #[must_use]
    pub fn new(op_id: impl Into<String>) -> Self {
        Self::with(op_id, 0, Strategy::DbAndTrustlog)
    }

    /// An operation; two variants of one op_id differ in content.
    #[must_use]
    pub fn with(op_id: impl Into<String>, variant: u32, strategy: Strategy) -> Self {
        let op_id = op_id.into();
        let seed = op_id
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        let client_ip = match seed % 3 {
            0 => None,
            1 => Some(format!("192.0.2.{}", seed / 3 % 256)),
            _ => Some(format!("2001:db8::{:x}", 1 + seed / 3 % 0xffff)),
        };
        Self {
            op_actor: format!("actor-{variant}"),
            doid: format!("86.5000.470/{op_id}"),
            producer_id: format!("producer-{}", seed % 7),
            op_source: "Straße 1".to_owned(),
            op_code: i32::try_from(seed % 2001).unwrap() - 1000,
            do_repository: "repository".to_owned(),
            micros: seed / 11 % 1_000_000,
            request_body_hash: (seed % 2 == 0).then(|| format!("sha256:{seed:016x}")),
            client_ip,
            strategy,
            promised: None,
            op_id,
        }
    }

    /// Whether it gets a leaf.
    #[must_use]
    pub fn is_to_be_sealed(&self) -> bool {
        self.strategy != Strategy::DbOnly
    }

    /// Its leaf hash with this salt.
    #[must_use]
    pub fn leaf_hash(&self, salt: &[u8]) -> Hash {
        let record = Record {
            op_id: &self.op_id,
            op_actor: &self.op_actor,
            doid: &self.doid,
            producer_id: &self.producer_id,
            request_body_hash: self.request_body_hash.as_deref(),
            response_body_hash: None,
            op_source: &self.op_source,
            op_code: self.op_code,
            do_prefix: "86.5000.470",
            do_repository: &self.do_repository,
            client_ip: self.client_ip.as_deref(),
            server_ip: None,
            timestamp_micros: i64::try_from(SECONDS * 1_000_000 + self.micros).unwrap(),
        };
        merkle::leaf_hash(&entry(salt, &record.record_bytes().unwrap()))
    }

    fn time(&self) -> String {
        format!("2026-01-02 03:04:05.{:06}+00", self.micros)
    }

    /// Calls `run` with the parameters of [`SAVE`].
    pub fn save_params<T>(&self, run: impl FnOnce(&[&(dyn ToSql + Sync)]) -> T) -> T {
        let time: SystemTime = UNIX_EPOCH + Duration::from_secs(SECONDS) + Duration::from_micros(self.micros);
        run(&[
            &self.op_id,
            &self.op_actor,
            &self.doid,
            &self.producer_id,
            &self.op_source,
            &self.op_code,
            &self.do_repository,
            &time,
            &self.request_body_hash,
            &self.client_ip,
            &self.strategy.as_str(),
        ])
    }

    /// A line of `COPY ... FROM STDIN`.
    #[must_use]
    pub fn copy_line(&self) -> String {
        let fields = self.fields();
        let fields: Vec<_> = fields.iter().map(|field| field.as_deref().unwrap_or("\\N")).collect();
        fields.join("\t") + "\n"
    }

    /// A row of `VALUES`, of literals that need no escaping.
    #[must_use]
    pub fn sql_row(&self) -> String {
        let mut row = String::from("(");
        for field in self.fields() {
            match field {
                Some(text) => write!(row, "'{text}', ").unwrap(),
                None => row.push_str("NULL, "),
            }
        }
        row.truncate(row.len() - 2);
        row + ")"
    }

    /// An element of `save_batch`'s array.
    #[must_use]
    pub fn json(&self) -> String {
        let names = COLUMNS.split(',').map(|name| name.trim().trim_matches('"'));
        let mut object = String::from("{");
        for (name, field) in names.zip(self.fields()) {
            match field {
                Some(code) if name == "op_code" => write!(object, "\"{name}\":{code},").unwrap(),
                Some(text) if name == "timestamp" => {
                    write!(object, "\"{name}\":\"{}\",", text.replace("+00", "Z")).unwrap();
                }
                Some(text) => write!(object, "\"{name}\":\"{text}\",").unwrap(),
                None => (),
            }
        }
        object.truncate(object.len() - 1);
        object + "}"
    }

    fn fields(&self) -> [Option<String>; 11] {
        [
            Some(self.op_id.clone()),
            Some(self.op_actor.clone()),
            Some(self.doid.clone()),
            Some(self.producer_id.clone()),
            Some(self.op_source.clone()),
            Some(self.op_code.to_string()),
            Some(self.do_repository.clone()),
            Some(self.time()),
            self.request_body_hash.clone(),
            self.client_ip.clone(),
            Some(self.strategy.as_str().to_owned()),
        ]
    }
}

/// A statement that inserts all of these.
#[must_use]
pub fn insert(operations: &[Operation]) -> String {
    let rows: Vec<_> = operations.iter().map(Operation::sql_row).collect();
    format!("INSERT INTO trustlog.operation ({COLUMNS}) VALUES {}", rows.join(", "))
}

/// The argument of `save_batch`.
#[must_use]
pub fn batch(operations: &[Operation]) -> String {
    let elements: Vec<_> = operations.iter().map(Operation::json).collect();
    format!("[{}]", elements.join(","))
}

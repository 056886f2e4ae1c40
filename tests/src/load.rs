//! Writers that do everything a client may do when it saves operations, and remember what they were told.

use std::collections::HashMap;
use std::io::Write as _;
use std::time::{Duration, Instant};

use postgres::error::SqlState;
use postgres::{Client, Error, NoTls};
use trustlog_core::Hash;
use trustlog_core::model::Strategy;

use crate::audit::Log;
use crate::measure::Random;
use crate::operation::{self, Operation, SAVE};
use crate::{Cluster, wait};

/// Writers that choose to save the same operation within this time choose the same op_id.
const RIVALRY: Duration = Duration::from_millis(40);

/// The way in which something was saved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Way {
    Save,
    Transaction,
    Savepoints,
    Prepared,
    Rows,
    Copy,
    Batch,
    Retried,
}

const WAYS: [Way; 8] =
    [Way::Save, Way::Transaction, Way::Savepoints, Way::Prepared, Way::Rows, Way::Copy, Way::Batch, Way::Retried];

/// What a writer knows about the end of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fate {
    Committed,
    RolledBack,
    /// The connection broke after the commit was sent and before it was answered.
    Unknown,
}

/// Operations that exist together or not at all.
#[derive(Debug)]
pub struct Unit {
    way: Way,
    operations: Vec<Operation>,
    fate: Fate,
}

/// What `save` said about an operation that others save, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Answer {
    Created,
    Existed,
    /// 23505.
    Clash,
}

/// An attempt to save an operation that others save, too.
#[derive(Debug)]
pub struct Attempt {
    operation: Operation,
    answer: Option<Answer>,
    fate: Fate,
}

/// Everything one or more writers remember.
#[derive(Debug, Default)]
pub struct Journal {
    units: Vec<Unit>,
    attempts: Vec<Attempt>,
    /// Connections that broke.
    pub lost: usize,
}

impl Journal {
    pub fn merge(&mut self, other: Self) {
        self.units.extend(other.units);
        self.attempts.extend(other.attempts);
        self.lost += other.lost;
    }

    /// Adds operations that were saved otherwise.
    pub fn add(&mut self, way: Way, operations: Vec<Operation>, fate: Fate) {
        self.units.push(Unit { way, operations, fate });
    }

    /// Transactions that ended so.
    #[must_use]
    pub fn count(&self, way: Way, fate: Fate) -> usize {
        let units = self.units.iter();
        units.filter(|unit| unit.way == way && unit.fate == fate).count()
    }

    /// Transactions whose end is unknown.
    #[must_use]
    pub fn unknown(&self) -> usize {
        let units = self.units.iter().map(|unit| unit.fate);
        units.chain(self.attempts.iter().map(|attempt| attempt.fate)).filter(|fate| *fate == Fate::Unknown).count()
    }

    /// How often `save` answered so about an operation that others saved, too.
    #[must_use]
    pub fn answers(&self, answer: Answer) -> usize {
        let attempts = self.attempts.iter();
        attempts.filter(|attempt| attempt.answer == Some(answer)).count()
    }

    /// Says what was done.
    pub fn print(&self, log: &Log) {
        for way in WAYS {
            let [committed, rolled_back, unknown] =
                [Fate::Committed, Fate::RolledBack, Fate::Unknown].map(|fate| self.count(way, fate));
            println!("{way:?}: {committed} committed, {rolled_back} rolled back, {unknown} unknown");
        }
        println!(
            "rivals: {} created, {} existed, {} clashed",
            self.answers(Answer::Created),
            self.answers(Answer::Existed),
            self.answers(Answer::Clash)
        );
        println!("{} operations, {} leaves, {} connections lost", log.operations.len(), log.leaves.len(), self.lost);
    }

    /// Compares what the writers were told with what is there.
    ///
    /// # Panics
    /// With what does not agree.
    pub fn compare(&self, log: &Log) {
        let mut faults = Vec::new();
        let mut unexplained: HashMap<&str, ()> = log.operations.keys().map(|op_id| (op_id.as_str(), ())).collect();
        for unit in &self.units {
            compare_unit(unit, log, &mut faults);
            for operation in &unit.operations {
                unexplained.remove(operation.op_id.as_str());
            }
        }
        let mut rivalries: HashMap<&str, Vec<&Attempt>> = HashMap::new();
        for attempt in &self.attempts {
            unexplained.remove(attempt.operation.op_id.as_str());
            let op_id = attempt.operation.op_id.as_str();
            rivalries.entry(op_id).or_default().push(attempt);
        }
        for (op_id, attempts) in rivalries {
            compare_rivals(op_id, &attempts, log, &mut faults);
        }
        faults.extend(unexplained.keys().map(|op_id| format!("nobody saved {op_id}")));
        let shown = &faults[..faults.len().min(20)];
        assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), shown.join("\n"));
    }
}

/// All of a committed transaction is there, nothing of one that was rolled back, all or nothing otherwise.
fn compare_unit(unit: &Unit, log: &Log, faults: &mut Vec<String>) {
    let here = |operation: &&Operation| log.operations.contains_key(&operation.op_id);
    let present = unit.operations.iter().filter(here).count();
    let (fate, way) = (unit.fate, unit.way);
    let fits = match fate {
        Fate::Committed => present == unit.operations.len(),
        Fate::RolledBack => present == 0,
        Fate::Unknown => present == 0 || present == unit.operations.len(),
    };
    if !fits {
        let (all, first) = (unit.operations.len(), &unit.operations[0].op_id);
        faults.push(format!("{way:?} {fate:?}: {present} of {all} are there, from {first} on"));
    }
    for operation in unit.operations.iter().filter(here) {
        compare_content(operation, log, faults);
    }
}

/// The content that was saved is the content that is in the log.
fn compare_content(operation: &Operation, log: &Log, faults: &mut Vec<String>) {
    let (op_id, found) = (&operation.op_id, &log.operations[&operation.op_id]);
    let expected = operation.leaf_hash(&found.salt);
    if found.row_hash.is_some_and(|hash| hash != expected) {
        faults.push(format!("{op_id} has other content than was saved"));
    }
    if found.leaf.is_some() != operation.is_to_be_sealed() {
        let strategy = operation.strategy;
        faults.push(format!("{op_id} is {strategy:?} and its leaf is {:?}", found.leaf));
    }
    if let Some((idx, hash)) = found.leaf {
        if hash != expected {
            faults.push(format!("leaf {idx} is not that of {op_id} as it was saved"));
        }
        if operation.promised.is_some_and(|promised| promised != hash) {
            faults.push(format!("save() promised another leaf of {op_id} than {idx}"));
        }
    }
}

/// One wins; who saves the same finds it, who saves other content is refused.
fn compare_rivals(op_id: &str, attempts: &[&Attempt], log: &Log, faults: &mut Vec<String>) {
    let count = |answer, fate| {
        let matching = attempts.iter().filter(|a| a.answer == answer && a.fate == fate);
        matching.count()
    };
    let created = count(Some(Answer::Created), Fate::Committed);
    let perhaps = count(Some(Answer::Created), Fate::Unknown) + count(None, Fate::Unknown);
    let Some(found) = log.operations.get(op_id) else {
        let seen =
            |a: &&&Attempt| matches!(a.answer, Some(Answer::Existed | Answer::Clash)) || a.fate == Fate::Committed;
        if let Some(attempt) = attempts.iter().find(seen) {
            faults.push(format!("{op_id} is not there: {attempt:?}"));
        }
        return;
    };
    if created > 1 || created + perhaps == 0 {
        faults.push(format!("{op_id} was created {created} times, perhaps {perhaps}"));
    }
    for attempt in attempts {
        let same = found.row_hash == Some(attempt.operation.leaf_hash(&found.salt));
        let fits = match attempt.answer {
            Some(Answer::Created) => same || attempt.fate != Fate::Committed,
            Some(Answer::Existed) => same,
            Some(Answer::Clash) => !same,
            None => true,
        };
        if !fits {
            faults.push(format!("{op_id}: {attempt:?}"));
        }
    }
}

/// What all writers of a load share.
#[derive(Debug)]
pub struct Load<'a> {
    pub cluster: &'a Cluster,
    pub db: &'a str,
    pub until: Instant,
    /// Whether a connection may break.
    pub crashes: bool,
    pub started: Instant,
}

impl<'a> Load<'a> {
    #[must_use]
    pub fn new(cluster: &'a Cluster, db: &'a str, time: Duration, crashes: bool) -> Self {
        let started = Instant::now();
        Self { cluster, db, until: started + time, crashes, started }
    }

    /// Lets so many writers write until the time is over.
    #[must_use]
    pub fn run(&self, writers: u64) -> Journal {
        let mut journal = Journal::default();
        std::thread::scope(|scope| {
            let writers: Vec<_> =
                (0..writers).map(|number| scope.spawn(move || Writer::new(self, number).run())).collect();
            for writer in writers {
                journal.merge(writer.join().expect("a writer failed"));
            }
        });
        journal
    }
}

/// A transaction that was prepared, or perhaps was.
struct Doubt {
    gid: String,
    unit: usize,
    /// PREPARE was answered.
    prepared: bool,
    decision: Fate,
}

struct Writer<'a> {
    load: &'a Load<'a>,
    number: u64,
    random: Random,
    /// Operations made so far.
    made: u64,
    journal: Journal,
    doubts: Vec<Doubt>,
    /// A unit of one operation to be saved again, because its end is unknown.
    retry: Option<usize>,
}

impl<'a> Writer<'a> {
    fn new(load: &'a Load<'a>, number: u64) -> Self {
        Self {
            load,
            number,
            random: Random::new(number + 1),
            made: 0,
            journal: Journal::default(),
            doubts: Vec::new(),
            retry: None,
        }
    }

    /// Writes until the time is over, and then until nothing prepared is left.
    fn run(mut self) -> Journal {
        loop {
            let mut config = self.load.cluster.config(self.load.db, "postgres");
            config.application_name(&format!("writer {}", self.number));
            // Its errors are wanted, and would fill the server's log.
            config.options("-c log_min_messages=log");
            let end = match config.connect(NoTls) {
                Ok(mut client) => self.session(&mut client),
                Err(error) => Err(error),
            };
            let Err(error) = end else { return self.journal };
            assert!(self.load.crashes && is_loss(&error), "writer {}: {error:?}", self.number);
            assert!(Instant::now() < self.load.until + wait::PATIENCE, "no connection after the end: {error:?}");
            self.journal.lost += 1;
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn session(&mut self, client: &mut Client) -> Result<(), Error> {
        self.resolve(client)?;
        if let Some(unit) = self.retry.take() {
            self.save_again(client, unit)?;
        }
        while Instant::now() < self.load.until {
            match self.random.below(100) {
                0..20 => self.save(client)?,
                20..35 => self.transaction(client)?,
                35..50 => self.savepoints(client)?,
                50..62 => self.prepared(client)?,
                62..82 => self.rival(client)?,
                82..88 => self.rows(client)?,
                88..94 => self.copy(client)?,
                _ => self.batch(client)?,
            }
        }
        Ok(())
    }

    fn operation(&mut self) -> Operation {
        let strategy = match self.random.below(20) {
            0..2 => Strategy::DbOnly,
            2..5 => Strategy::TrustlogOnly,
            _ => Strategy::DbAndTrustlog,
        };
        self.made += 1;
        Operation::with(format!("w{}-{}", self.number, self.made), 0, strategy)
    }

    fn operations(&mut self, most: u64) -> Vec<Operation> {
        (0..=self.random.below(most)).map(|_| self.operation()).collect()
    }

    /// Mostly short; now and then long enough for the sealer to be far ahead.
    fn delay(&mut self) {
        let millis = match self.random.below(40) {
            0 => 200 + self.random.below(1500),
            1..12 => self.random.below(40),
            _ => self.random.below(3),
        };
        std::thread::sleep(Duration::from_millis(millis));
    }

    /// Begins a unit, which counts as rolled back until more is known.
    fn begin(&mut self, way: Way, operations: Vec<Operation>) -> usize {
        self.journal.add(way, operations, Fate::RolledBack);
        self.journal.units.len() - 1
    }

    /// Runs what commits some units, whose end is unknown meanwhile.
    fn commit(&mut self, units: &[usize], run: impl FnOnce(&mut Self) -> Result<(), Error>) -> Result<(), Error> {
        for unit in units {
            self.journal.units[*unit].fate = Fate::Unknown;
        }
        run(self)?;
        for unit in units {
            self.journal.units[*unit].fate = Fate::Committed;
        }
        Ok(())
    }

    /// Saves a new operation with `save` in whatever transaction is open, and notes the leaf it promises.
    fn call_save(&mut self, client: &mut Client, unit: usize, index: usize) -> Result<(), Error> {
        let operation = &self.journal.units[unit].operations[index];
        let row = operation.save_params(|params| client.query_one(SAVE, params))?;
        assert!(row.get::<_, bool>(2), "{} existed", operation.op_id);
        self.journal.units[unit].operations[index].promised = promise(&row);
        Ok(())
    }

    fn save(&mut self, client: &mut Client) -> Result<(), Error> {
        let operation = self.operation();
        let unit = self.begin(Way::Save, vec![operation]);
        let end = self.commit(&[unit], |writer| writer.call_save(client, unit, 0));
        if end.is_err() && self.random.chance(50) {
            self.retry = Some(unit);
        }
        end
    }

    /// What a client does that was not answered: it saves the same again.
    fn save_again(&mut self, client: &mut Client, unit: usize) -> Result<(), Error> {
        let operation = &self.journal.units[unit].operations[0];
        let row = operation.save_params(|params| client.query_one(SAVE, params));
        let row = row.inspect_err(|_| self.retry = Some(unit))?;
        let unit = &mut self.journal.units[unit];
        unit.operations[0].promised = promise(&row);
        (unit.way, unit.fate) = (Way::Retried, Fate::Committed);
        Ok(())
    }

    fn transaction(&mut self, client: &mut Client) -> Result<(), Error> {
        let operations = self.operations(5);
        let count = operations.len();
        let unit = self.begin(Way::Transaction, operations);
        client.batch_execute("BEGIN")?;
        for index in 0..count {
            self.call_save(client, unit, index)?;
        }
        self.delay();
        if self.random.chance(30) {
            return client.batch_execute("ROLLBACK");
        }
        self.commit(&[unit], |_| client.batch_execute("COMMIT"))
    }

    /// Some of what it saves is rolled back to a savepoint, some is released.
    fn savepoints(&mut self, client: &mut Client) -> Result<(), Error> {
        let mut kept = Vec::new();
        client.batch_execute("BEGIN")?;
        for _ in 0..=self.random.below(4) {
            client.batch_execute("SAVEPOINT s")?;
            let operation = self.operation();
            let unit = self.begin(Way::Savepoints, vec![operation]);
            self.call_save(client, unit, 0)?;
            if self.random.chance(40) {
                client.batch_execute("ROLLBACK TO SAVEPOINT s")?;
                if self.random.chance(50) {
                    client.batch_execute("RELEASE SAVEPOINT s")?;
                }
            } else {
                if self.random.chance(70) {
                    client.batch_execute("RELEASE SAVEPOINT s")?;
                }
                kept.push(unit);
            }
        }
        self.delay();
        if self.random.chance(20) {
            return client.batch_execute("ROLLBACK");
        }
        self.commit(&kept, |_| client.batch_execute("COMMIT"))
    }

    fn prepared(&mut self, client: &mut Client) -> Result<(), Error> {
        let operations = self.operations(3);
        let rows = operation::insert(&operations);
        let unit = self.begin(Way::Prepared, operations);
        let gid = format!("w{}-{}", self.number, self.made);
        client.batch_execute(&format!("BEGIN; {rows}"))?;
        let decision = if self.random.chance(70) { Fate::Committed } else { Fate::RolledBack };
        self.doubts.push(Doubt { gid: gid.clone(), unit, prepared: false, decision });
        client.batch_execute(&format!("PREPARE TRANSACTION '{gid}'"))?;
        self.doubts.last_mut().unwrap().prepared = true;
        self.delay();
        self.resolve(client)
    }

    /// Carries out what was decided about prepared transactions.
    fn resolve(&mut self, client: &mut Client) -> Result<(), Error> {
        while let Some(doubt) = self.doubts.last() {
            let there = "SELECT FROM pg_prepared_xacts WHERE gid = $1";
            let there = client.query_opt(there, &[&doubt.gid])?.is_some();
            if there {
                let decision = match doubt.decision {
                    Fate::Committed => "COMMIT",
                    _ => "ROLLBACK",
                };
                client.batch_execute(&format!("{decision} PREPARED '{}'", doubt.gid))?;
            }
            // It is gone because it was carried out, or because it never came to be.
            if there || doubt.prepared {
                self.journal.units[doubt.unit].fate = doubt.decision;
            }
            self.doubts.pop();
        }
        Ok(())
    }

    /// Saves what other writers are saving, with the same or with other content.
    fn rival(&mut self, client: &mut Client) -> Result<(), Error> {
        let round = self.load.started.elapsed().as_millis() / RIVALRY.as_millis();
        let variant = u32::from(self.random.chance(25));
        let operation = Operation::with(format!("rival-{round}"), variant, Strategy::DbAndTrustlog);
        self.journal.attempts.push(Attempt { operation: operation.clone(), answer: None, fate: Fate::RolledBack });
        let attempt = self.journal.attempts.len() - 1;
        client.batch_execute("BEGIN")?;
        match operation.save_params(|params| client.query_one(SAVE, params)) {
            Ok(row) => {
                let created = row.get(2);
                self.journal.attempts[attempt].answer = Some(if created { Answer::Created } else { Answer::Existed });
            }
            Err(error) if error.code() == Some(&SqlState::UNIQUE_VIOLATION) => {
                self.journal.attempts[attempt].answer = Some(Answer::Clash);
                return client.batch_execute("ROLLBACK");
            }
            Err(error) => return Err(error),
        }
        let millis = self.random.below(20);
        std::thread::sleep(Duration::from_millis(millis));
        if self.random.chance(25) {
            return client.batch_execute("ROLLBACK");
        }
        self.journal.attempts[attempt].fate = Fate::Unknown;
        client.batch_execute("COMMIT")?;
        self.journal.attempts[attempt].fate = Fate::Committed;
        Ok(())
    }

    fn rows(&mut self, client: &mut Client) -> Result<(), Error> {
        let operations = self.operations(20);
        let rows = operation::insert(&operations);
        let unit = self.begin(Way::Rows, operations);
        self.commit(&[unit], |_| client.batch_execute(&rows))
    }

    fn copy(&mut self, client: &mut Client) -> Result<(), Error> {
        let operations = self.operations(40);
        let lines: String = operations.iter().map(Operation::copy_line).collect();
        let unit = self.begin(Way::Copy, operations);
        let copy = format!("COPY trustlog.operation ({}) FROM STDIN", operation::COLUMNS);
        client.batch_execute("BEGIN")?;
        let mut sink = client.copy_in(&copy)?;
        // An error of the server is the answer to the end of the copy.
        let _ = sink.write_all(lines.as_bytes());
        sink.finish()?;
        if self.random.chance(30) {
            return client.batch_execute("ROLLBACK");
        }
        self.commit(&[unit], |_| client.batch_execute("COMMIT"))
    }

    fn batch(&mut self, client: &mut Client) -> Result<(), Error> {
        let operations = self.operations(30);
        let array = operation::batch(&operations);
        let unit = self.begin(Way::Batch, operations);
        let save = "SELECT seq, leaf_hash, created FROM trustlog.save_batch($1::text::jsonb)";
        self.commit(&[unit], |writer| {
            let rows = client.query(save, &[&array])?;
            let operations = &mut writer.journal.units[unit].operations;
            assert_eq!(rows.len(), operations.len());
            for (operation, row) in operations.iter_mut().zip(rows) {
                assert!(row.get::<_, bool>(2), "{} existed", operation.op_id);
                operation.promised = promise(&row);
            }
            Ok(())
        })
    }
}

fn promise(row: &postgres::Row) -> Option<Hash> {
    let hash: Option<&[u8]> = row.get(1);
    hash.map(|hash| Hash::try_from(hash).expect("32 bytes"))
}

/// Whether the server went away.
#[must_use]
pub fn is_loss(error: &Error) -> bool {
    let going = [SqlState::ADMIN_SHUTDOWN, SqlState::CRASH_SHUTDOWN, SqlState::CANNOT_CONNECT_NOW];
    match error.code() {
        Some(code) => going.contains(code),
        None => true,
    }
}

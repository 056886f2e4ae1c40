//! Typed statements over SPI.
//!
//! pgrx's own client decides by the state of the transaction whether a statement is read-only, gives every query a
//! transaction id, and does not check argument types of kept plans. Here the caller says which snapshot a statement
//! sees, nothing draws a transaction id by itself, plans are prepared for exactly the argument types they are then
//! run with, and every plan is kept for the life of the session.

use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::{CString, c_char, c_int};
use std::marker::PhantomData;

use pgrx::datum::{DatumWithOid, TimestampWithTimeZone};
use pgrx::{FromDatum, IntoDatum, pg_sys};

use crate::error::{Error, Result};

/// What a statement sees.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum See {
    /// The caller's snapshot: what a STABLE function is to use. Runs read-only, also on a standby.
    Caller,
    /// What is committed now (and this transaction's own work so far), whatever the isolation level. Runs read-only.
    Latest,
    /// A new command: sees what earlier statements of this function did and, under READ COMMITTED, what others have
    /// committed since. May write.
    Command,
}

/// An SQL statement with a plan that the session keeps.
pub struct Statement {
    sql: &'static str,
    cursor_options: c_int,
}

impl Statement {
    /// A statement whose plan does not depend on its arguments: planned once.
    pub const fn new(sql: &'static str) -> Self {
        Self { sql, cursor_options: pg_sys::CURSOR_OPT_GENERIC_PLAN as c_int }
    }

    /// A statement that is planned anew for the arguments of every call: those with optional filters or a LIMIT,
    /// where a generic plan would assume a tenth of the table.
    pub const fn planned_each_time(sql: &'static str) -> Self {
        Self { sql, cursor_options: pg_sys::CURSOR_OPT_CUSTOM_PLAN as c_int }
    }

    /// Runs the statement and returns how many rows it touched.
    pub fn run(&self, args: &[DatumWithOid]) -> Result<u64> {
        self.execute(See::Command, args, None, |rows| Ok(rows.processed))
    }

    /// Runs the statement inside a trigger, where it sees the trigger's transition tables.
    pub fn run_in_trigger(&self, trigger: &pgrx::PgTrigger, args: &[DatumWithOid]) -> Result<u64> {
        self.execute(See::Command, args, Some(trigger), |rows| Ok(rows.processed))
    }

    /// All rows, mapped.
    pub fn rows<T>(&self, see: See, args: &[DatumWithOid], map: impl FnMut(&Row) -> Result<T>) -> Result<Vec<T>> {
        self.execute(see, args, None, |rows| rows.collect(map))
    }

    /// The first row, mapped, or `None`.
    pub fn first<T>(&self, see: See, args: &[DatumWithOid], map: impl FnMut(&Row) -> Result<T>) -> Result<Option<T>> {
        Ok(self.rows(see, args, map)?.into_iter().next())
    }

    /// The one row that the statement always yields (an aggregate, a list of sub-selects).
    pub fn one<T>(&self, see: See, args: &[DatumWithOid], map: impl FnMut(&Row) -> Result<T>) -> Result<T> {
        self.first(see, args, map)?.ok_or_else(|| Error::internal(format!("no row from: {}", self.sql)))
    }

    /// As [`Statement::first`], inside a trigger.
    pub fn first_in_trigger<T>(
        &self,
        see: See,
        trigger: &pgrx::PgTrigger,
        args: &[DatumWithOid],
        map: impl FnMut(&Row) -> Result<T>,
    ) -> Result<Option<T>> {
        Ok(self.execute(see, args, Some(trigger), |rows| rows.collect(map))?.into_iter().next())
    }

    fn execute<T>(
        &self,
        see: See,
        args: &[DatumWithOid],
        trigger: Option<&pgrx::PgTrigger>,
        take: impl FnOnce(Rows) -> Result<T>,
    ) -> Result<T> {
        let _connection = Connection::open(trigger)?;
        let plan = self.plan(args)?;
        let mut values: Vec<pg_sys::Datum> =
            args.iter().map(|a| a.datum().map_or(pg_sys::Datum::null(), |d| d.sans_lifetime())).collect();
        let nulls: Vec<c_char> = args.iter().map(|a| if a.datum().is_some() { b' ' } else { b'n' } as c_char).collect();
        let _snapshot = (see == See::Latest).then(LatestSnapshot::push);
        // SAFETY: connected above; `plan` was prepared by this session for the types of `args` and is never freed;
        // `values` and `nulls` have one element for each argument and outlive the call.
        let status =
            unsafe { pg_sys::SPI_execute_plan(plan, values.as_mut_ptr(), nulls.as_ptr(), see != See::Command, 0) };
        if status < 0 {
            return Err(Error::internal(format!("SPI status {status} from: {}", self.sql)));
        }
        // SAFETY: SPI sets both globals on success; the table lives until SPI_finish, that is until `_connection` is
        // dropped, after `take` has returned.
        take(unsafe { Rows { processed: pg_sys::SPI_processed, table: pg_sys::SPI_tuptable, _life: PhantomData } })
    }

    fn plan(&self, args: &[DatumWithOid]) -> Result<pg_sys::SPIPlanPtr> {
        let key = (self.sql.as_ptr() as usize, self.cursor_options);
        let mut types: Vec<pg_sys::Oid> = args.iter().map(DatumWithOid::oid).collect();
        if let Some(plan) = PLANS.with_borrow(|plans| plans.get(&key).map(|p| (p.plan, p.types == types))) {
            return match plan {
                (plan, true) => Ok(plan),
                (_, false) => Err(Error::internal(format!("argument types of: {}", self.sql))),
            };
        }
        let text = CString::new(self.sql).map_err(|e| Error::internal(e.to_string()))?;
        // SAFETY: the caller is connected to SPI; the text is NUL-terminated and `types` has as many elements as said.
        let plan = unsafe {
            pg_sys::SPI_prepare_cursor(text.as_ptr(), types.len() as c_int, types.as_mut_ptr(), self.cursor_options)
        };
        // SAFETY: a plan just made by SPI_prepare_cursor, kept once.
        if plan.is_null() || unsafe { pg_sys::SPI_keepplan(plan) } != 0 {
            return Err(Error::internal(format!("cannot prepare: {}", self.sql)));
        }
        PLANS.with_borrow_mut(|plans| plans.insert(key, Plan { plan, types }));
        Ok(plan)
    }
}

struct Plan {
    plan: pg_sys::SPIPlanPtr,
    types: Vec<pg_sys::Oid>,
}

thread_local! {
    /// Kept plans by the address of their text and how they are planned. The plan cache behind them follows DDL, also DROP and CREATE EXTENSION.
    static PLANS: RefCell<HashMap<(usize, c_int), Plan>> = RefCell::new(HashMap::new());
}

/// An SPI connection, closed when dropped.
struct Connection;

impl Connection {
    fn open(trigger: Option<&pgrx::PgTrigger>) -> Result<Self> {
        // SAFETY: may be called in any transaction; nested connections are what SPI is made for.
        let status = unsafe { pg_sys::SPI_connect() };
        if status != pg_sys::SPI_OK_CONNECT as c_int {
            return Err(Error::internal(format!("SPI_connect: {status}")));
        }
        let connection = Self;
        if let Some(trigger) = trigger {
            // SAFETY: the trigger data is that of the running trigger call and outlives this connection.
            let status =
                unsafe { pg_sys::SPI_register_trigger_data(std::ptr::from_ref(trigger.trigger_data()).cast_mut()) };
            if status < 0 {
                return Err(Error::internal(format!("SPI_register_trigger_data: {status}")));
            }
        }
        Ok(connection)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // While a PostgreSQL error unwinds, the abort of the (sub)transaction closes the connection.
        if !std::thread::panicking() {
            // SAFETY: opened by this guard, and guards are dropped in reverse order.
            unsafe { pg_sys::SPI_finish() };
        }
    }
}

/// The newest snapshot, active until dropped.
struct LatestSnapshot;

impl LatestSnapshot {
    fn push() -> Self {
        // SAFETY: inside a transaction; the snapshot is copied by the push.
        unsafe { pg_sys::PushActiveSnapshot(pg_sys::GetLatestSnapshot()) };
        Self
    }
}

impl Drop for LatestSnapshot {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            // SAFETY: pushed by this guard; SPI leaves the stack of active snapshots as it found it.
            unsafe { pg_sys::PopActiveSnapshot() };
        }
    }
}

struct Rows<'a> {
    processed: u64,
    table: *mut pg_sys::SPITupleTable,
    _life: PhantomData<&'a ()>,
}

impl Rows<'_> {
    fn collect<T>(&self, mut map: impl FnMut(&Row) -> Result<T>) -> Result<Vec<T>> {
        // SAFETY: null or the table of the statement just run, see `Statement::execute`.
        let Some(table) = (unsafe { self.table.as_ref() }) else { return Ok(Vec::new()) };
        (0..table.numvals as usize)
            .map(|i| {
                // SAFETY: `vals` holds `numvals` tuples.
                let tuple = unsafe { *table.vals.add(i) };
                map(&Row { tuple, desc: table.tupdesc, _life: PhantomData })
            })
            .collect()
    }
}

/// One row of a result; columns are counted from 1.
pub struct Row<'a> {
    tuple: pg_sys::HeapTuple,
    desc: pg_sys::TupleDesc,
    _life: PhantomData<&'a ()>,
}

/// What a column can be read as: borrowed for the life `'r` of its row, or owned.
pub trait Column<'r>: FromDatum + IntoDatum {}

impl<'r> Column<'r> for &'r str {}
impl<'r> Column<'r> for &'r [u8] {}
impl Column<'_> for String {}
impl Column<'_> for bool {}
impl Column<'_> for i32 {}
impl Column<'_> for i64 {}
impl Column<'_> for pg_sys::Oid {}
impl Column<'_> for TimestampWithTimeZone {}
impl Column<'_> for Vec<u8> {}

impl Row<'_> {
    /// The value of a column, `None` when NULL.
    pub fn get<'r, T: Column<'r>>(&'r self, column: usize) -> Result<Option<T>> {
        // SAFETY: tuple and descriptor belong to the same live result; SPI_gettypeid answers InvalidOid for a column
        // that does not exist, which no type has.
        let found = unsafe { pg_sys::SPI_gettypeid(self.desc, column as c_int) };
        if found != T::type_oid() {
            return Err(Error::internal(format!(
                "column {column} has type {} and not {}",
                found.to_u32(),
                T::type_oid().to_u32()
            )));
        }
        let mut null = false;
        // SAFETY: as above, and the datum's type has just been checked.
        unsafe {
            let datum = pg_sys::SPI_getbinval(self.tuple, self.desc, column as c_int, &mut null);
            Ok(T::from_datum(datum, null))
        }
    }

    /// The value of a column that is never NULL.
    pub fn need<'r, T: Column<'r>>(&'r self, column: usize) -> Result<T> {
        self.get(column)?.ok_or_else(|| Error::internal(format!("column {column} is NULL")))
    }
}

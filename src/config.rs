//! The settings: one place for names, defaults, ranges and the reason for each default.
//!
//! What concerns the whole server is SIGHUP; `default_strategy` may be set by anyone; everything else is SUSET, so that
//! `ALTER DATABASE ... SET` works and a worker follows it.

use std::ffi::CString;
use std::time::Duration;

use pgrx::{GucContext, GucFlags, GucRegistry, GucSetting, PostgresGucEnum};
use trustlog_core::backoff::Policy;
use trustlog_core::model;

/// Which strategy an operation gets that names none.
#[derive(PostgresGucEnum, Clone, Copy, PartialEq, Eq, Debug)]
#[allow(non_camel_case_types, clippy::upper_case_acronyms)]
enum StrategyGuc {
    #[name = c"DB_AND_TRUSTLOG"]
    DbAndTrustlog,
    #[name = c"DB_ONLY"]
    DbOnly,
    #[name = c"TRUSTLOG_ONLY"]
    TrustlogOnly,
}

#[derive(PostgresGucEnum, Clone, Copy, PartialEq, Eq, Debug)]
enum SinkGuc {
    #[name = c"log"]
    Log,
    #[name = c"http"]
    Http,
    #[name = c"manual"]
    Manual,
}

/// `*`: a database that creates the extension gets its worker with nothing to configure.
static DATABASES: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(Some(c"*"));
/// On: the extension does its job from CREATE EXTENSION on.
static WORKER_ENABLED: GucSetting<bool> = GucSetting::<bool>::new(true);
/// `log` needs nothing else: sealing is the attestation.
static SINK: GucSetting<SinkGuc> = GucSetting::<SinkGuc>::new(SinkGuc::Log);
/// 10 s: commits wake the worker; the poll is the safety net should a wake-up be lost, and it costs an idle server a few
/// index probes.
static POLL_INTERVAL: GucSetting<i32> = GucSetting::<i32>::new(10_000);
/// 5000: the rate is flat between 1000 and 10,000 and a batch this size takes well under 100 ms, so that stopping a
/// worker never waits longer.
static SEAL_BATCH_SIZE: GucSetting<i32> = GucSetting::<i32>::new(5000);
/// Keep the record and have it attested: what the mission asks for.
static DEFAULT_STRATEGY: GucSetting<StrategyGuc> = GucSetting::<StrategyGuc>::new(StrategyGuc::DbAndTrustlog);
/// 1, 2, 4, 8, 16 minutes: the schedule of the system this one succeeds.
static RETRY_BASE_DELAY: GucSetting<i32> = GucSetting::<i32>::new(60_000);
static RETRY_FACTOR: GucSetting<f64> = GucSetting::<f64>::new(2.0);
/// 1 h: after a long outage nothing waits longer than that.
static RETRY_MAX_DELAY: GucSetting<i32> = GucSetting::<i32>::new(3_600_000);
/// A tenth: enough to spread a herd, small enough to keep the schedule readable.
static RETRY_JITTER: GucSetting<f64> = GucSetting::<f64>::new(0.1);

/// Defines all settings.
pub fn define() {
    GucRegistry::define_string_guc(
        c"trustlog.databases",
        c"Databases that get a worker: * for every one that has the extension, or a comma-separated list of names.",
        c"The launcher reads it at a configuration reload.",
        &DATABASES,
        GucContext::Sighup,
        GucFlags::default(),
    );
    GucRegistry::define_bool_guc(
        c"trustlog.worker_enabled",
        c"Whether the database's worker seals and delivers.",
        c"When off nothing is sealed or sent; saving goes on and nothing is lost.",
        &WORKER_ENABLED,
        GucContext::Suset,
        GucFlags::default(),
    );
    GucRegistry::define_enum_guc(
        c"trustlog.sink",
        c"What attests a record: log (sealing it), http (an outside service), manual (callers, through SQL).",
        c"A change never changes the status of older records.",
        &SINK,
        GucContext::Suset,
        GucFlags::default(),
    );
    GucRegistry::define_int_guc(
        c"trustlog.poll_interval",
        c"How often an idle worker looks for work that no commit announced.",
        c"Commits wake the worker at once; this is the safety net.",
        &POLL_INTERVAL,
        100,
        3_600_000,
        GucContext::Suset,
        GucFlags::UNIT_MS,
    );
    GucRegistry::define_int_guc(
        c"trustlog.seal_batch_size",
        c"How many records one transaction seals at the most.",
        c"",
        &SEAL_BATCH_SIZE,
        1,
        10_000,
        GucContext::Suset,
        GucFlags::default(),
    );
    GucRegistry::define_enum_guc(
        c"trustlog.default_strategy",
        c"The strategy of an operation that is saved without one.",
        c"DB_AND_TRUSTLOG keeps and attests, DB_ONLY only keeps, TRUSTLOG_ONLY erases the record once it is attested.",
        &DEFAULT_STRATEGY,
        GucContext::Userset,
        GucFlags::default(),
    );
    define_retry();
    crate::pg::session::reserve_setting_prefix();
}

fn define_retry() {
    GucRegistry::define_int_guc(
        c"trustlog.retry_base_delay",
        c"How long the first retry of a record waits.",
        c"",
        &RETRY_BASE_DELAY,
        1,
        86_400_000,
        GucContext::Suset,
        GucFlags::UNIT_MS,
    );
    GucRegistry::define_float_guc(
        c"trustlog.retry_factor",
        c"By how much each further retry waits longer than the one before.",
        c"",
        &RETRY_FACTOR,
        1.0,
        100.0,
        GucContext::Suset,
        GucFlags::default(),
    );
    GucRegistry::define_int_guc(
        c"trustlog.retry_max_delay",
        c"The longest a retry waits.",
        c"",
        &RETRY_MAX_DELAY,
        1,
        604_800_000,
        GucContext::Suset,
        GucFlags::UNIT_MS,
    );
    GucRegistry::define_float_guc(
        c"trustlog.retry_jitter",
        c"The part of a retry's delay that is random, so that many failures do not come back at once.",
        c"0.1 spreads a delay by a tenth in both directions.",
        &RETRY_JITTER,
        0.0,
        1.0,
        GucContext::Suset,
        GucFlags::default(),
    );
}

/// `trustlog.databases` as it is written.
pub fn databases() -> String {
    DATABASES.get().map_or_else(String::new, |list| list.to_string_lossy().into_owned())
}

/// `trustlog.worker_enabled`.
pub fn worker_enabled() -> bool {
    WORKER_ENABLED.get()
}

/// `trustlog.sink`.
pub fn sink() -> model::Sink {
    match SINK.get() {
        SinkGuc::Log => model::Sink::Log,
        SinkGuc::Http => model::Sink::Http,
        SinkGuc::Manual => model::Sink::Manual,
    }
}

/// `trustlog.poll_interval`.
pub fn poll_interval() -> Duration {
    Duration::from_millis(u64::try_from(POLL_INTERVAL.get()).unwrap_or(0))
}

/// `trustlog.seal_batch_size`.
pub fn seal_batch_size() -> i64 {
    i64::from(SEAL_BATCH_SIZE.get())
}

/// `trustlog.default_strategy`.
pub fn default_strategy() -> model::Strategy {
    match DEFAULT_STRATEGY.get() {
        StrategyGuc::DbAndTrustlog => model::Strategy::DbAndTrustlog,
        StrategyGuc::DbOnly => model::Strategy::DbOnly,
        StrategyGuc::TrustlogOnly => model::Strategy::TrustlogOnly,
    }
}

/// The back-off of the `retry_*` settings.
pub fn backoff() -> Policy {
    Policy {
        base: Duration::from_millis(u64::try_from(RETRY_BASE_DELAY.get()).unwrap_or(0)),
        factor: RETRY_FACTOR.get(),
        max: Duration::from_millis(u64::try_from(RETRY_MAX_DELAY.get()).unwrap_or(0)),
        jitter: RETRY_JITTER.get(),
    }
}

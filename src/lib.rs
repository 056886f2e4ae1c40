//! trustlog: operation records, saved in one SQL call and attested by a verifiable log inside PostgreSQL.
//!
//! `docs/design.md` is the map. In short: `api` is the SQL surface, `store` the typed SQL, `log` the sealing, `worker` the
//! background processes, `pg` everything that touches PostgreSQL's C interface, `config` the settings, `error` the
//! SQLSTATEs. The pure parts are in the crate `trustlog-core`.

use pgrx::prelude::*;

#[cfg(not(panic = "unwind"))]
compile_error!("PostgreSQL's errors pass through Rust by unwinding: build with panic = \"unwind\"");

mod api;
mod config;
mod ddl;
mod error;
mod log;
mod pg;
mod save;
mod store;
#[cfg(any(test, feature = "pg_test"))]
mod tests;
mod worker;

::pgrx::pg_module_magic!(name, version);

/// Called by PostgreSQL when it loads the library: in the postmaster when it is preloaded, else in a session.
#[pg_guard]
pub extern "C-unwind" fn _PG_init() {
    config::define();
    pg::xact::register();
    if pg::background::preloading() {
        pg::shared::request();
        pg::hooks::install();
        pg::background::register_launcher();
    }
}

/// What pgrx's test framework asks for.
#[cfg(test)]
pub mod pg_test {
    /// Called once before the tests.
    pub fn setup(_options: Vec<&str>) {}

    /// The configuration of the server under test.
    pub fn postgresql_conf_options() -> Vec<&'static str> {
        vec!["shared_preload_libraries = 'trustlog'"]
    }
}

//! The SQL functions, one file per noun. They map arguments and results; what is done is done elsewhere.
//!
//! No function is STRICT: a NULL where a value is needed is an error, never a call that silently does nothing.

mod arguments;
mod cursors;
pub mod install;
mod log;
mod retries;
mod save;
pub mod stats;
mod status;
mod triggers;

//! Typed SQL: every statement is a constant beside the function that runs it.

pub mod cursor;
pub mod erased;
pub mod leaf;
pub mod operation;
pub mod outbox;
pub mod retry;
pub mod state;
pub mod status;
pub mod tile;
pub mod unattested;

//! Everything that touches PostgreSQL's C interface.
//!
//! This is the only module with hand-written `unsafe`; each block says why it is sound. What it offers to the rest of
//! the extension is safe: typed statements, transactions for the workers, wake-ups, locks, shared memory.
#![allow(unsafe_code)]

pub mod background;
pub mod catalog;
pub mod guard;
pub mod hooks;
pub mod jsonb;
pub mod lock;
pub mod memory;
pub mod session;
pub mod shared;
pub mod spi;
pub mod xact;

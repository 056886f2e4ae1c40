//! The pure parts of trustlog: what a record is, how it becomes a leaf of the Merkle log, which tiles an append
//! completes, when a failed delivery is tried again, and where the sealing worker looks next.
//!
//! Nothing here knows PostgreSQL, reads a clock, or touches a file, so every rule can be tested on its own and shared
//! with an offline verifier.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod backoff;
mod hash;
pub mod merkle;
pub mod model;
pub mod record;
pub mod scan;
pub mod tiles;
pub mod timestamp;

pub use hash::Hash;

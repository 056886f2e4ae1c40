//! The log: sealing records into it, and what may keep that from happening.

pub mod freeze;
pub mod seal;

//! The pure parts of trustlog.
#![forbid(unsafe_code)]

//! The Merkle log: tree, tiles and roots, compared with implementations by other people.
#![allow(clippy::unwrap_used, clippy::panic)]

mod merkle;
mod others;
mod tiles;

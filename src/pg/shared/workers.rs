//! The workers, by number and by database.

use pgrx::pg_sys;

use super::{Slot, shared};

/// The slots of all databases that have, or are about to have, a worker.
pub fn occupied() -> impl Iterator<Item = (usize, &'static Slot)> {
    shared()
        .into_iter()
        .flat_map(|s| s.slots.iter().enumerate())
        .filter(|(_, slot)| slot.database() != pg_sys::Oid::INVALID)
}

/// The slot with this number.
pub fn slot(number: usize) -> Option<&'static Slot> {
    shared()?.slots.get(number)
}

/// The slot of a database.
pub fn slot_of(database: pg_sys::Oid) -> Option<&'static Slot> {
    occupied().map(|(_, slot)| slot).find(|slot| slot.database() == database)
}

/// Takes a free slot for a database; only the launcher does.
pub fn take_slot(database: pg_sys::Oid) -> Option<usize> {
    let (number, slot) =
        shared()?.slots.iter().enumerate().find(|(_, slot)| slot.database() == pg_sys::Oid::INVALID)?;
    slot.take(database);
    Some(number)
}

/// Wakes a database's worker, if it has one.
pub fn wake_worker(database: pg_sys::Oid) {
    if let Some(slot) = slot_of(database) {
        slot.wake();
    }
}

/// Has the worker of a database compare its settings with the catalog's; all workers for `INVALID`.
pub fn settings_changed(database: pg_sys::Oid) {
    let whose = |slot: &Slot| database == pg_sys::Oid::INVALID || slot.database() == database;
    for (_, slot) in occupied().filter(|(_, slot)| whose(slot)) {
        slot.announce_settings();
    }
}

/// Announces attestations made by this session in its own database.
pub fn announce_attestations(database: pg_sys::Oid) {
    if let Some(slot) = slot_of(database) {
        slot.announce_attestations();
    }
}

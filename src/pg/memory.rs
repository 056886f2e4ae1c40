//! Memory that goes when the work is done.

use pgrx::PgMemoryContexts;

/// Runs `work` with a memory context of its own, freed when it returns: arguments of statements, which PostgreSQL would
/// keep until the end of the calling function, pile up in a long loop. What `work` returns must be Rust's own.
pub fn scratch<T>(work: impl FnOnce() -> T) -> T {
    let mut context = PgMemoryContexts::new("trustlog batch");
    // SAFETY: the result owns its memory (no caller returns a datum), so nothing points into the context afterwards. Should
    // an error unwind, PostgreSQL switches the context and the drop frees this one.
    unsafe { context.switch_to(|_| work()) }
}

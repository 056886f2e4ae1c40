//! What the install script itself needs.

use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

use crate::error::{Error, SqlResult};
use crate::pg::{catalog, shared, xact};

/// 16 random bytes: the default of `operation.salt`.
#[pg_extern(schema = "trustlog", volatile, parallel_safe)]
pub fn random_salt() -> SqlResult<Vec<u8>> {
    let bytes = catalog::random_bytes().ok_or_else(|| Error::internal("the system has no random bytes to give"))?;
    Ok(bytes.to_vec())
}

/// The last call of the install script, which then drops the function: checks what the extension relies on, asks for a
/// worker, or says what to set to get one.
#[pg_extern(schema = "trustlog")]
fn after_install() -> SqlResult<()> {
    let encoding = catalog::encoding();
    if encoding != "UTF8" {
        return Err(Error::state(
            format!("trustlog needs a database with encoding UTF8, and this one has {encoding}"),
            "Create a database with: CREATE DATABASE ... ENCODING 'UTF8' TEMPLATE template0.",
        )
        .into());
    }
    if shared::available() {
        xact::ask_launcher_at_commit();
    } else {
        ErrorReport::new(
            PgSqlErrorCode::ERRCODE_SUCCESSFUL_COMPLETION,
            "trustlog is not preloaded: records are saved, and nothing is sealed by itself",
            "trustlog",
        )
        .set_hint("Add trustlog to shared_preload_libraries and restart the server, or call trustlog.seal().")
        .report(PgLogLevel::NOTICE);
    }
    Ok(())
}

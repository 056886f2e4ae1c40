//! What the extension has to know of utility commands.
//!
//! A worker is connected to its database all the time, and PostgreSQL refuses to drop, rename, move or copy a database
//! that somebody is connected to. So before such a command the worker steps aside, and it comes back when the command's
//! transaction has ended.

use std::ffi::{CStr, c_char};
use std::time::{Duration, Instant};

use pgrx::{PgList, pg_guard, pg_sys};

use super::{background, catalog, shared, xact};

static mut EARLIER: pg_sys::ProcessUtility_hook_type = None;

/// PostgreSQL itself waits five seconds for other sessions to leave a database; so do we for the worker.
const WORKER_LEAVES_WITHIN: Duration = Duration::from_secs(5);

/// Installs the hook; to be called while the library is preloaded.
pub fn install() {
    // SAFETY: the postmaster is single-threaded; an earlier hook is kept and called.
    unsafe {
        EARLIER = pg_sys::ProcessUtility_hook;
        pg_sys::ProcessUtility_hook = Some(process_utility);
    }
}

#[pg_guard]
#[allow(clippy::too_many_arguments)]
unsafe extern "C-unwind" fn process_utility(
    statement: *mut pg_sys::PlannedStmt,
    query: *const c_char,
    read_only_tree: bool,
    context: pg_sys::ProcessUtilityContext::Type,
    params: pg_sys::ParamListInfo,
    environment: *mut pg_sys::QueryEnvironment,
    dest: *mut pg_sys::DestReceiver,
    completion: *mut pg_sys::QueryCompletion,
) {
    // SAFETY: PostgreSQL passes a valid planned statement; the node is only read, and by its own tag.
    let after = unsafe { before_command((*statement).utilityStmt) };
    // SAFETY: passes on exactly what came in.
    unsafe {
        match EARLIER {
            Some(earlier) => {
                earlier(statement, query, read_only_tree, context, params, environment, dest, completion);
            }
            None => pg_sys::standard_ProcessUtility(
                statement,
                query,
                read_only_tree,
                context,
                params,
                environment,
                dest,
                completion,
            ),
        }
    }
    match after {
        After::Nothing => {}
        After::Rescan => xact::rescan_at_commit(),
        After::Settings(database) => xact::settings_changed_at_commit(database),
        After::Wake => xact::wake_at_commit(),
        // The prepared transaction has ended by now, whatever becomes of this one.
        After::WakeNow => {
            let database = catalog::my_database();
            shared::wake_worker(database);
            // It may have been a CREATE EXTENSION.
            if shared::slot_of(database).is_none() && catalog::extension().is_some() {
                xact::ask_launcher_at_commit();
            }
        }
    }
}

/// What to do when the command has succeeded.
enum After {
    Nothing,
    /// There may be a new database.
    Rescan,
    /// The settings of a database, or with `INVALID` of any, may have changed.
    Settings(pg_sys::Oid),
    /// The extension may be gone.
    Wake,
    /// Records may have been committed, or locks released that the sealer skips.
    WakeNow,
}

/// # Safety
/// `node` is a valid utility statement.
unsafe fn before_command(node: *mut pg_sys::Node) -> After {
    use pg_sys::NodeTag;
    // SAFETY: each cast follows the node's own tag.
    unsafe {
        match (*node).type_ {
            NodeTag::T_DropdbStmt => {
                clear_database((*node.cast::<pg_sys::DropdbStmt>()).dbname);
                After::Nothing
            }
            NodeTag::T_CreatedbStmt => {
                let template = option((*node.cast::<pg_sys::CreatedbStmt>()).options, c"template");
                clear_database(if template.is_null() { c"template1".as_ptr() } else { template });
                After::Rescan
            }
            NodeTag::T_RenameStmt => {
                let rename = &*node.cast::<pg_sys::RenameStmt>();
                if rename.renameType == pg_sys::ObjectType::OBJECT_DATABASE {
                    clear_database(rename.subname);
                }
                After::Nothing
            }
            NodeTag::T_AlterDatabaseStmt => {
                let alter = &*node.cast::<pg_sys::AlterDatabaseStmt>();
                if !option(alter.options, c"tablespace").is_null() {
                    clear_database(alter.dbname);
                }
                // It may have become, or stopped being, a template.
                After::Rescan
            }
            NodeTag::T_AlterDatabaseSetStmt => {
                let name = (*node.cast::<pg_sys::AlterDatabaseSetStmt>()).dbname;
                After::Settings(pg_sys::get_database_oid(name, true))
            }
            NodeTag::T_AlterRoleSetStmt => After::Settings(pg_sys::Oid::INVALID),
            NodeTag::T_DropStmt => {
                let drop = &*node.cast::<pg_sys::DropStmt>();
                match drop.removeType {
                    pg_sys::ObjectType::OBJECT_EXTENSION | pg_sys::ObjectType::OBJECT_SCHEMA => After::Wake,
                    _ => After::Nothing,
                }
            }
            NodeTag::T_DropOwnedStmt => After::Wake,
            NodeTag::T_TransactionStmt => {
                let kind = (*node.cast::<pg_sys::TransactionStmt>()).kind;
                match kind {
                    pg_sys::TransactionStmtKind::TRANS_STMT_COMMIT_PREPARED
                    | pg_sys::TransactionStmtKind::TRANS_STMT_ROLLBACK_PREPARED => After::WakeNow,
                    _ => After::Nothing,
                }
            }
            _ => After::Nothing,
        }
    }
}

/// The text of a command's option, or null.
///
/// # Safety
/// `options` is a list of `DefElem`, or null.
unsafe fn option(options: *mut pg_sys::List, name: &CStr) -> *const c_char {
    // SAFETY: as the caller promises; defGetString copes with every kind of argument.
    unsafe {
        for element in PgList::<pg_sys::DefElem>::from_pg(options).iter_ptr() {
            if CStr::from_ptr((*element).defname) == name && !(*element).arg.is_null() {
                return pg_sys::defGetString(element);
            }
        }
    }
    std::ptr::null()
}

/// Has the worker leave a database until this transaction ends. Whoever may not run the command disturbs nobody: the
/// worker stays, and PostgreSQL refuses the command.
///
/// # Safety
/// `name` is NUL-terminated or null; inside a transaction.
unsafe fn clear_database(name: *const c_char) {
    if name.is_null() {
        return;
    }
    // SAFETY: as the caller promises.
    let database = unsafe { pg_sys::get_database_oid(name, true) };
    if database == pg_sys::Oid::INVALID || !is_owner(database) {
        return;
    }
    xact::hold_until_end(database);
    let deadline = Instant::now() + WORKER_LEAVES_WITHIN;
    // The launcher frees the slot when the process is gone.
    while let Some(slot) = shared::slot_of(database) {
        slot.tell_to_stop();
        if Instant::now() > deadline {
            break;
        }
        background::nap(Duration::from_millis(2));
    }
}

fn is_owner(database: pg_sys::Oid) -> bool {
    // SAFETY: a catalog look-up inside a transaction; true for superusers.
    #[cfg(any(feature = "pg13", feature = "pg14", feature = "pg15"))]
    unsafe {
        pg_sys::pg_database_ownercheck(database, pg_sys::GetUserId())
    }
    // SAFETY: as above.
    #[cfg(not(any(feature = "pg13", feature = "pg14", feature = "pg15")))]
    unsafe {
        pg_sys::object_ownercheck(pg_sys::DatabaseRelationId, database, pg_sys::GetUserId())
    }
}

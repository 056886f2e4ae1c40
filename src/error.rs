//! Errors and their SQLSTATEs.
//!
//! One enum for the whole extension. The message names the value, the HINT says what to do next. At the SQL surface
//! every error becomes an [`ErrorReport`] through `From`, so a function returns `Result<T, ErrorReport>` and uses `?`.

use pgrx::pg_sys::panic::ErrorReport;
use pgrx::{PgLogLevel, PgSqlErrorCode};
use thiserror::Error;

/// The result of everything inside the extension.
pub type Result<T> = std::result::Result<T, Error>;

/// The result of an SQL function.
pub type SqlResult<T> = std::result::Result<T, ErrorReport>;

/// What can go wrong, by SQLSTATE.
#[derive(Debug, Error)]
pub enum Error {
    /// 22004: a value is needed and NULL was given, or a key is missing.
    #[error("{name} must not be null{at}")]
    Null {
        /// The argument or key.
        name: String,
        /// Where, e.g. " (element 3)", or nothing.
        at: String,
    },
    /// 22023: a value outside what is allowed.
    #[error("{message}")]
    Invalid {
        /// What is wrong, with the value.
        message: String,
        /// The allowed values.
        hint: String,
    },
    /// P0002: no such operation.
    #[error("operation \"{op_id}\" does not exist")]
    UnknownOperation {
        /// The op_id that was asked for.
        op_id: String,
    },
    /// 23505: the op_id is taken by other content.
    #[error("{message}")]
    Clash {
        /// What clashes.
        message: String,
        /// Which fields differ, if the caller may read.
        detail: Option<String>,
        /// What to do.
        hint: String,
    },
    /// 55000: forbidden by the current state.
    #[error("{message}")]
    State {
        /// What the state is.
        message: String,
        /// What to do.
        hint: String,
    },
    /// 40001: the transaction's snapshot is older than what it would change.
    #[error("could not serialize access: operation \"{op_id}\" was changed by another session")]
    Serialization {
        /// The operation.
        op_id: String,
    },
    /// XX000: a bug here, or a damaged database.
    #[error("trustlog: {message}")]
    Internal {
        /// For the maintainers.
        message: String,
    },
}

impl Error {
    /// 22004 for an argument.
    pub fn null(name: &str) -> Self {
        Self::Null { name: name.to_owned(), at: String::new() }
    }

    /// 22023.
    pub fn invalid(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Invalid { message: message.into(), hint: hint.into() }
    }

    /// P0002.
    pub fn unknown(op_id: &str) -> Self {
        Self::UnknownOperation { op_id: op_id.to_owned() }
    }

    /// 55000.
    pub fn state(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::State { message: message.into(), hint: hint.into() }
    }

    /// XX000.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::Internal { message: message.into() }
    }

    /// The SQLSTATE as PostgreSQL's code.
    pub fn code(&self) -> PgSqlErrorCode {
        match self {
            Self::Null { .. } => PgSqlErrorCode::ERRCODE_NULL_VALUE_NOT_ALLOWED,
            Self::Invalid { .. } => PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE,
            Self::UnknownOperation { .. } => PgSqlErrorCode::ERRCODE_NO_DATA_FOUND,
            Self::Clash { .. } => PgSqlErrorCode::ERRCODE_UNIQUE_VIOLATION,
            Self::State { .. } => PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
            Self::Serialization { .. } => PgSqlErrorCode::ERRCODE_T_R_SERIALIZATION_FAILURE,
            Self::Internal { .. } => PgSqlErrorCode::ERRCODE_INTERNAL_ERROR,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Null { name, .. } => Some(format!("Give a value for {name}.")),
            Self::UnknownOperation { .. } => {
                Some("Only operations that were saved and committed are known; check the op_id.".to_owned())
            }
            Self::Invalid { hint, .. } | Self::Clash { hint, .. } | Self::State { hint, .. } => Some(hint.clone()),
            Self::Serialization { .. } => Some("Repeat the transaction.".to_owned()),
            Self::Internal { .. } => None,
        }
    }
}

/// Raises an error where PostgreSQL expects none to be returned: in a trigger.
pub fn raise(error: Error) -> ! {
    ErrorReport::from(error).report(PgLogLevel::ERROR);
    unreachable!("reporting an ERROR does not return")
}

impl From<Error> for ErrorReport {
    fn from(error: Error) -> Self {
        let hint = error.hint();
        let mut report = ErrorReport::new(error.code(), error.to_string(), "trustlog");
        if let Error::Clash { detail: Some(detail), .. } = &error {
            report = report.set_detail(detail.clone());
        }
        match hint {
            Some(hint) => report.set_hint(hint),
            None => report,
        }
    }
}

//! The words and limits of the data model, as SQL callers see them.

/// Defines an enum whose variants are known to SQL callers by a fixed name.
macro_rules! named {
    ($(#[$about:meta])* $type:ident { $($(#[$meaning:meta])* $variant:ident = $name:literal,)+ }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $type {
            $($(#[$meaning])* $variant,)+
        }

        impl $type {
            /// Every name, in the order of the variants.
            pub const NAMES: [&'static str; [$($name),+].len()] = [$($name),+];

            /// The name SQL callers use.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }

            /// The variant of exactly this name; `None` for any other text, another case included.
            #[must_use]
            pub fn parse(name: &str) -> Option<Self> {
                match name {
                    $($name => Some(Self::$variant),)+
                    _ => None,
                }
            }
        }
    };
}

named! {
    /// Where a record is kept and whether it is attested.
    Strategy {
        /// Kept in the database and attested.
        DbAndTrustlog = "DB_AND_TRUSTLOG",
        /// Kept in the database, never sealed and never sent.
        DbOnly = "DB_ONLY",
        /// Erased from the database as soon as it is sealed and attested.
        TrustlogOnly = "TRUSTLOG_ONLY",
    }
}

named! {
    /// Whether a record is attested.
    Status {
        /// No attestation yet.
        NotTrustlogged = "NOT_TRUSTLOGGED",
        /// Attested by the sink, by sealing, or by hand.
        Trustlogged = "TRUSTLOGGED",
    }
}

named! {
    /// What attests a record.
    Sink {
        /// Sealing into the log is the attestation.
        Log = "log",
        /// An HTTP endpoint attests.
        Http = "http",
        /// Callers attest through SQL.
        Manual = "manual",
    }
}

/// The longest operation id, in bytes of UTF-8.
pub const MAX_OP_ID_BYTES: usize = 512;

/// The longest of every other text of a record, in bytes of UTF-8.
pub const MAX_TEXT_BYTES: usize = 2048;

/// The first timestamp a record can carry, 0001-01-01T00:00:00Z, in microseconds since the Unix epoch.
pub const MIN_TIMESTAMP_MICROS: i64 = -62_135_596_800_000_000;

/// The end of the timestamps a record can carry, 10000-01-01T00:00:00Z, exclusive, in microseconds since the Unix
/// epoch.
///
/// RFC 3339 writes a year with four digits, so the year 9999 is the last that record bytes can hold.
pub const END_TIMESTAMP_MICROS: i64 = 253_402_300_800_000_000;

/// The prefix of a digital object identifier: what stands before the first `/`, or all of it when there is none.
#[must_use]
pub fn doid_prefix(doid: &str) -> &str {
    doid.split_once('/').map_or(doid, |(prefix, _)| prefix)
}

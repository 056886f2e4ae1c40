//! The install script's SQL, in order.

use pgrx::prelude::*;

/// Tells pgrx that the schema exists. Its `CREATE SCHEMA IF NOT EXISTS` finds the one that the first file has made.
#[pg_schema]
mod trustlog {}

extension_sql_file!("../sql/schema/00_schema.sql", name = "schema", bootstrap);
extension_sql_file!("../sql/schema/10_operation.sql", name = "operation", requires = [install::random_salt]);
extension_sql_file!("../sql/schema/20_log.sql", name = "log", requires = ["operation"]);
extension_sql_file!("../sql/schema/30_delivery.sql", name = "delivery", requires = ["log"]);
extension_sql_file!("../sql/schema/40_triggers.sql", name = "triggers", requires = ["delivery"]);
extension_sql_file!("../sql/schema/50_dump.sql", name = "dump", requires = ["triggers"]);
extension_sql_file!("../sql/schema/60_views.sql", name = "views", requires = ["dump"]);
extension_sql_file!("../sql/functions/00_check.sql", name = "check", requires = ["views"]);
extension_sql_file!("../sql/functions/10_find.sql", name = "find", requires = ["check"]);
extension_sql_file!("../sql/functions/20_query.sql", name = "query", requires = ["find"]);
extension_sql_file!("../sql/functions/30_stat.sql", name = "stat", requires = ["query", stats::stat_get_workers]);
extension_sql_file!("../sql/functions/40_grant.sql", name = "grant", requires = ["stat"]);
// Comes last, whatever pgrx does with the order of the rest; only one block may.
extension_sql_file!("../sql/schema/90_finalize.sql", name = "finalize", finalize);

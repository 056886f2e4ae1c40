//! The golden files in `tests/pg_regress`. No worker runs: the scripts call `trustlog.seal()` where they need it.

use trustlog_tests::{Cluster, regress};

#[test]
fn golden_files() {
    regress::run(&Cluster::builder().setting("trustlog.worker_enabled", "off").start());
}

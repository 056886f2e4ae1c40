//! Real PostgreSQL clusters for tests: start, crash, stop, copy, replicate and promote them.
//!
//! Every test has a cluster of its own, below one folder, on a Unix socket only. `make test-cluster` says
//! where PostgreSQL is (a private copy, so that the system's installation and clusters are left alone).
//!
//! ```no_run
//! use trustlog_tests::Cluster;
//! let cluster = Cluster::builder().setting("trustlog.poll_interval", "1s").start();
//! let mut client = cluster.create_db("app");
//! client.batch_execute("SELECT 1").unwrap();
//! ```

pub mod audit;
mod cluster;
pub mod load;
pub mod measure;
pub mod operation;
mod place;
pub mod records;
pub mod regress;
pub mod wait;

pub use cluster::{Builder, Cluster, Mode};
pub use rustix::process::Signal;

//! Golden files: PostgreSQL's own `pg_regress` runs every script in `tests/pg_regress/sql` and compares what
//! psql prints with the file of the same name in `tests/pg_regress/expected`.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::Cluster;
use crate::place::place;

/// Runs all scripts, in the order of their names, in one database.
///
/// # Panics
/// With the differences. With `TRUSTLOG_ACCEPT=1` what was printed becomes what is expected instead.
pub fn run(cluster: &Cluster) {
    let files = Path::new(env!("CARGO_MANIFEST_DIR")).join("pg_regress");
    let tests = names(&files.join("sql"), "sql");
    assert!(!tests.is_empty(), "there is no script in {}", files.join("sql").display());
    let accept = std::env::var_os("TRUSTLOG_ACCEPT").is_some_and(|value| value == "1");
    let expected = files.join("expected");
    fs::create_dir_all(&expected).unwrap();
    let outputs = names(&expected, "out");
    let orphans: Vec<_> = outputs.difference(&tests).collect();
    assert!(orphans.is_empty(), "expected output without a script: {orphans:?}");
    for new in tests.difference(&outputs) {
        assert!(accept, "{new} has no expected output yet (TRUSTLOG_ACCEPT=1 writes it)");
        fs::write(expected.join(new).with_extension("out"), "").unwrap();
    }

    cluster.connect("postgres").batch_execute("CREATE DATABASE regression").unwrap();
    let results = cluster.folder().join("regress");
    let _ = fs::remove_dir_all(&results);
    fs::create_dir(&results).unwrap();
    let mut command = Command::new(&place().pg_regress);
    command
        .args(["--use-existing", "--dbname=regression", "--user=postgres"])
        .arg(format!("--host={}", cluster.folder().display()))
        .arg(format!("--bindir={}", place().bin_dir.display()))
        .arg(format!("--inputdir={}", files.display()))
        .arg(format!("--outputdir={}", results.display()))
        .args(&tests)
        .current_dir(&results);
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.as_encoded_bytes().starts_with(b"PG")) {
        command.env_remove(name);
    }
    let output = command.output().expect("cannot run pg_regress");
    println!("{}", String::from_utf8_lossy(&output.stdout));

    match output.status.code() {
        Some(0) => (),
        Some(1) if accept => {
            for test in &tests {
                let name = format!("{test}.out");
                fs::copy(results.join("results").join(&name), expected.join(&name)).unwrap();
            }
            eprintln!("accepted what was printed: look at the difference before committing it");
        }
        Some(1) => panic!(
            "golden files differ (TRUSTLOG_ACCEPT=1 accepts what was printed):\n{}",
            fs::read_to_string(results.join("regression.diffs")).unwrap_or_default()
        ),
        _ => panic!("pg_regress: {}\n{}", output.status, String::from_utf8_lossy(&output.stderr)),
    }
}

/// The files of a folder that end so, without that ending, sorted.
fn names(folder: &Path, extension: &str) -> BTreeSet<String> {
    let files = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    files
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|found| found == extension))
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .collect()
}

//! One PostgreSQL cluster of a test.

use std::fmt::Write as _;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use postgres::{Client, Config, NoTls};
use rustix::process::Signal;

use crate::place::{self, place, stdout};
use crate::wait;

/// How to shut a server down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Waits until every client has left.
    Smart,
    /// Ends all sessions, writes a checkpoint.
    Fast,
    /// A crash in all but name: the next start recovers from WAL.
    Immediate,
}

/// What a cluster is to be like.
#[derive(Clone, Debug)]
pub struct Builder {
    settings: Vec<(String, String)>,
    env: Vec<(String, String)>,
    own_identifier: bool,
}

impl Builder {
    /// A setting in the configuration file; the last one given for a name holds.
    #[must_use]
    pub fn setting(mut self, name: &str, value: impl ToString) -> Self {
        self.settings.push((name.to_owned(), value.to_string()));
        self
    }

    /// `shared_preload_libraries`: `trustlog` unless told otherwise; "" for a server without it.
    #[must_use]
    pub fn preload(self, libraries: &str) -> Self {
        self.setting("shared_preload_libraries", libraries)
    }

    /// Off unless told otherwise. Only a crash of the machine needs it: killing a server loses nothing written.
    #[must_use]
    pub fn fsync(self, on: bool) -> Self {
        self.setting("fsync", if on { "on" } else { "off" })
    }

    /// A variable of the server's environment, which is otherwise empty.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// A system identifier of its own (a second more). Else all clusters share their template's.
    #[must_use]
    pub fn own_system_identifier(mut self) -> Self {
        self.own_identifier = true;
        self
    }

    /// Creates and starts the cluster.
    #[must_use]
    pub fn start(self) -> Cluster {
        let cluster = self.create();
        cluster.start();
        cluster
    }

    /// Creates the cluster without starting it.
    #[must_use]
    pub fn create(self) -> Cluster {
        let cluster = Cluster::in_new_folder(self.env);
        if self.own_identifier {
            place().initdb(&cluster.data());
        } else {
            place().copy_template(&cluster.data());
        }
        for (name, value) in &self.settings {
            cluster.configure(name, value);
        }
        cluster
    }
}

/// A cluster in a folder of its own. Dropping it stops the server and removes the folder; when the test is
/// panicking, the end of the server log is shown. With `TRUSTLOG_KEEP` set the folder stays.
///
/// All methods take `&self`, so that threads can share it. They panic when they fail.
#[derive(Debug)]
pub struct Cluster {
    folder: PathBuf,
    env: Vec<(String, String)>,
    postmaster: Mutex<Option<Child>>,
}

impl Cluster {
    #[must_use]
    pub fn builder() -> Builder {
        Builder { settings: Vec::new(), env: Vec::new(), own_identifier: false }
            .preload("trustlog")
            .fsync(false)
            .setting("listen_addresses", "")
            .setting("timezone", "UTC")
            .setting("log_timezone", "UTC")
            .setting("log_line_prefix", "%m [%p] %b %q%u@%d ")
    }

    fn in_new_folder(env: Vec<(String, String)>) -> Self {
        Self { folder: place().new_folder(), env, postmaster: Mutex::new(None) }
    }

    fn postmaster(&self) -> MutexGuard<'_, Option<Child>> {
        self.postmaster.lock().unwrap_or_else(PoisonError::into_inner)
    }

    // ------------------------------------------------------------------ files

    /// The cluster's folder: socket, log, data, dumps. Only the user that runs the server (and root) may enter.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// PGDATA.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// The whole server log so far.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read(self.folder.join("server.log"))
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }

    /// The last lines of the server log.
    #[must_use]
    pub fn log_end(&self) -> String {
        let log = self.log();
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(60)..].join("\n")
    }

    /// Adds a setting to the configuration file. A running server sees it after [`Cluster::reload`], some
    /// settings only after a restart.
    pub fn configure(&self, name: &str, value: &str) {
        let path = self.data().join("test.conf");
        let mut file = OpenOptions::new().create(true).append(true).open(path).unwrap();
        writeln!(file, "{name} = '{}'", value.replace('\'', "''")).unwrap();
    }

    /// Makes the server read its configuration again.
    pub fn reload(&self) {
        self.connect("postgres").execute("SELECT pg_reload_conf()", &[]).unwrap();
    }

    // ------------------------------------------------------------------ starting and stopping

    /// Starts the server and waits until it takes connections.
    pub fn start(&self) {
        if let Err(log) = self.try_start() {
            panic!("the server did not start:\n{log}");
        }
    }

    /// The same, where failing is an answer: the end of the log.
    ///
    /// # Errors
    /// The end of the server log, when the server ends instead of taking connections.
    pub fn try_start(&self) -> Result<(), String> {
        let mut postmaster = self.postmaster();
        assert!(postmaster.is_none(), "the server runs already");
        let log = OpenOptions::new().create(true).append(true).open(self.folder.join("server.log")).unwrap();
        let mut command = place().command("postgres");
        command.arg("-D").arg(self.data()).arg("-k").arg(&self.folder);
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        let child = postmaster.insert(command.spawn().expect("cannot run postgres"));
        let pid = child.id();
        let ended = wait::value(wait::PATIENCE, "the server takes connections", || {
            let ready = place::postmaster_state(&self.data())
                .is_some_and(|(owner, state)| u32::try_from(owner) == Ok(pid) && state == "ready");
            if ready { Some(false) } else { child.try_wait().unwrap().map(|_| true) }
        });
        if ended {
            *postmaster = None;
            return Err(self.log_end());
        }
        Ok(())
    }

    /// Stops the server and says how long that took.
    pub fn stop(&self, mode: Mode) -> Duration {
        self.end(match mode {
            Mode::Smart => Signal::TERM,
            Mode::Fast => Signal::INT,
            Mode::Immediate => Signal::QUIT,
        })
    }

    /// Kills the postmaster (SIGKILL), and waits until its orphans have noticed and left.
    pub fn kill_postmaster(&self) {
        self.end(Signal::KILL);
        wait::until(wait::PATIENCE, "the killed postmaster's processes have left", || {
            place::processes_in(&self.data()).is_empty()
        });
    }

    fn end(&self, signal: Signal) -> Duration {
        let mut postmaster = self.postmaster();
        let child = postmaster.as_mut().expect("the server does not run");
        let start = Instant::now();
        place::send(i32::try_from(child.id()).unwrap(), signal);
        wait::until(wait::PATIENCE, "the server has stopped", || child.try_wait().unwrap().is_some());
        *postmaster = None;
        start.elapsed()
    }

    /// Stops the server as a crash would, and starts it again.
    pub fn restart_immediate(&self) {
        self.stop(Mode::Immediate);
        self.start();
    }

    /// Sends a signal to a process of the server.
    pub fn signal(&self, pid: i32, signal: Signal) {
        place::send(pid, signal);
    }

    // ------------------------------------------------------------------ clients

    /// How to connect: for an `application_name`, `options`, or a connection that may fail.
    #[must_use]
    pub fn config(&self, db: &str, role: &str) -> Config {
        let mut config = Config::new();
        config.host_path(&self.folder).user(role).dbname(db).connect_timeout(wait::PATIENCE);
        config
    }

    /// A connection as the superuser.
    #[must_use]
    pub fn connect(&self, db: &str) -> Client {
        self.connect_as(db, "postgres")
    }

    #[must_use]
    pub fn connect_as(&self, db: &str, role: &str) -> Client {
        self.config(db, role)
            .connect(NoTls)
            .unwrap_or_else(|error| panic!("cannot connect to {db} as {role}: {error}\n{}", self.log_end()))
    }

    /// Creates a database with the extension, and connects to it.
    pub fn create_db(&self, name: &str) -> Client {
        self.connect("postgres").batch_execute(&format!("CREATE DATABASE \"{name}\"")).unwrap();
        let mut client = self.connect(name);
        client.batch_execute("CREATE EXTENSION trustlog").unwrap();
        client
    }

    /// The worker of a database.
    #[must_use]
    pub fn worker_pid(&self, db: &str) -> Option<i32> {
        let of_db = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'trustlog worker' AND datname = $1";
        self.connect("postgres").query_opt(of_db, &[&db]).unwrap().map(|row| row.get(0))
    }

    #[must_use]
    pub fn launcher_pid(&self) -> Option<i32> {
        let any = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'trustlog launcher'";
        self.connect("postgres").query_opt(any, &[]).unwrap().map(|row| row.get(0))
    }

    // ------------------------------------------------------------------ programs

    /// One of PostgreSQL's programs, set up to connect to this server.
    #[must_use]
    pub fn program(&self, name: &str) -> Command {
        let mut command = place().command(name);
        command.env("PGHOST", &self.folder).env("PGUSER", "postgres").current_dir(&self.folder);
        command
    }

    /// Runs a script with psql, and returns what it printed: rows only, unaligned.
    pub fn psql(&self, db: &str, script: &str) -> String {
        self.try_psql(db, script).unwrap_or_else(|error| panic!("{error}"))
    }

    /// The same, where failing is an answer.
    ///
    /// # Errors
    /// What psql said on stderr; it stops at the first error.
    pub fn try_psql(&self, db: &str, script: &str) -> Result<String, String> {
        let mut psql = self.program("psql");
        psql.args(["-XqAt", "-v", "ON_ERROR_STOP=1", "-f", "-", "-d", db]);
        psql.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = psql.spawn().expect("cannot run psql");
        let mut stdin = child.stdin.take().unwrap();
        let output = std::thread::scope(|scope| {
            // psql may stop reading early; its error says more than ours.
            scope.spawn(move || stdin.write_all(script.as_bytes()));
            child.wait_with_output().unwrap()
        });
        place::outcome(&psql, output)
    }

    /// Dumps a database into a file of the cluster's folder; `options` such as `-Fc`.
    pub fn pg_dump(&self, db: &str, options: &[&str]) -> PathBuf {
        let file =
            (1..).map(|number| self.folder.join(format!("{db}-{number}.dump"))).find(|file| !file.exists()).unwrap();
        stdout(self.program("pg_dump").args(options).arg("-f").arg(&file).args(["-d", db]));
        file
    }

    /// Restores an archive that `pg_dump -Fc` made, of this cluster or another one.
    pub fn pg_restore(&self, db: &str, file: &Path, options: &[&str]) {
        stdout(self.program("pg_restore").args(["-e", "-d", db]).args(options).arg(file));
    }

    // ------------------------------------------------------------------ copies

    /// A streaming standby of this server, started.
    #[must_use]
    pub fn base_backup(&self) -> Self {
        self.base_backup_with(&[])
    }

    /// A streaming standby with settings of its own.
    #[must_use]
    pub fn base_backup_with(&self, settings: &[(&str, &str)]) -> Self {
        let standby = Self::in_new_folder(self.env.clone());
        let mut backup = self.program("pg_basebackup");
        backup.args(["-R", "-X", "stream", "-c", "fast", "--no-sync", "-D"]).arg(standby.data());
        stdout(&mut backup);
        for (name, value) in settings {
            standby.configure(name, value);
        }
        standby.start();
        standby
    }

    /// Waits until this standby has replayed all that `primary` has written so far.
    pub fn catch_up(&self, primary: &Self) {
        let lsn: String =
            primary.connect("postgres").query_one("SELECT pg_current_wal_flush_lsn()::text", &[]).unwrap().get(0);
        let mut client = self.connect("postgres");
        wait::until(wait::PATIENCE, "the standby has caught up", || {
            let replayed = "SELECT pg_last_wal_replay_lsn() >= $1::text::pg_lsn";
            client.query_one(replayed, &[&lsn]).unwrap().get(0)
        });
    }

    /// Makes a primary out of this standby.
    pub fn promote(&self) {
        let promoted: bool = self.connect("postgres").query_one("SELECT pg_promote(true, 60)", &[]).unwrap().get(0);
        assert!(promoted, "not promoted within a minute");
    }

    /// A copy of a stopped cluster's files, not started: what a restored backup or a machine's clone is.
    #[must_use]
    pub fn copy(&self) -> Self {
        assert!(self.postmaster().is_none(), "stop the server before its files are copied");
        let copy = Self::in_new_folder(self.env.clone());
        place::copy(&self.data(), &copy.data());
        copy
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let mut text = String::new();
            let _ = write!(text, "---- end of the server log ({})\n{}\n----", self.folder.display(), self.log_end());
            eprintln!("{text}");
        }
        if let Some(child) = self.postmaster().as_mut() {
            place::send(child.id().cast_signed(), Signal::QUIT);
            let _ = child.wait();
        }
        if std::env::var_os("TRUSTLOG_KEEP").is_some() {
            eprintln!("kept {}", self.folder.display());
        } else {
            let _ = fs::remove_dir_all(&self.folder);
        }
    }
}

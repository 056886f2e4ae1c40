//! Where PostgreSQL is, where clusters live, and who runs them.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::process::{Pid, Signal, geteuid, getpid, kill_process, test_kill_process};

use crate::wait;

/// Raise it when what a template contains changes.
const TEMPLATE_VERSION: u32 = 1;

/// The surroundings all clusters of this process share.
pub struct Place {
    pub bin_dir: PathBuf,
    pub pg_regress: PathBuf,
    clusters: PathBuf,
    template: PathBuf,
    /// User and group that run servers, where that is not us: PostgreSQL refuses root.
    server: Option<(u32, u32)>,
}

/// Finds everything on first use, removes what earlier runs left behind, and makes the template.
pub fn place() -> &'static Place {
    static PLACE: OnceLock<Place> = OnceLock::new();
    PLACE.get_or_init(Place::find)
}

impl Place {
    fn find() -> Self {
        let pg_config = std::env::var_os("TRUSTLOG_PG_CONFIG")
            .map(PathBuf::from)
            .expect("TRUSTLOG_PG_CONFIG does not say where PostgreSQL is: run `make test-cluster`");
        let ask = |option: &str| stdout(Command::new(&pg_config).arg(option)).trim().to_owned();
        let bin_dir = PathBuf::from(ask("--bindir"));
        let pg_regress = Path::new(&ask("--pgxs")).with_file_name("../test/regress/pg_regress");

        let clusters = std::env::var_os("TRUSTLOG_CLUSTERS").map_or_else(
            || std::env::temp_dir().join(format!("trustlog-clusters-{}", geteuid().as_raw())),
            PathBuf::from,
        );
        fs::create_dir_all(&clusters).expect("the folder of the test clusters");
        assert_eq!(
            fs::symlink_metadata(&clusters).unwrap().uid(),
            geteuid().as_raw(),
            "{} belongs to someone else: set TRUSTLOG_CLUSTERS",
            clusters.display()
        );
        let clusters = clusters.canonicalize().unwrap(); // as /proc shows it

        let version: String =
            ask("--version").chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
        let template = clusters.join(format!("template-{TEMPLATE_VERSION}-{version}"));
        let place = Self { bin_dir, pg_regress, clusters, template, server: server_ids() };

        let lock = File::create(place.clusters.join(".lock")).unwrap();
        lock.lock().unwrap();
        place.sweep();
        place.make_template();
        place
    }

    /// A command that runs as the user that runs servers, in an environment that holds nothing of ours.
    pub fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new(self.bin_dir.join(program));
        command.env_clear().env("PATH", "/usr/bin:/bin").env("LC_ALL", "C.UTF-8").current_dir("/");
        if let Some((uid, gid)) = self.server {
            command.uid(uid).gid(gid); // also drops the supplementary groups
        }
        command
    }

    /// An empty folder for one cluster, closed to other users: its server trusts whoever reaches the socket.
    pub fn new_folder(&self) -> PathBuf {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let folder = self.clusters.join(format!("{}-{number}", std::process::id()));
        self.make_folder(&folder);
        assert!(folder.as_os_str().len() < 90, "{}: too long for a socket", folder.display());
        folder
    }

    fn make_folder(&self, folder: &Path) {
        use std::os::unix::fs::DirBuilderExt;
        fs::DirBuilder::new().mode(0o700).create(folder).expect("a folder for a cluster");
        if let Some((uid, gid)) = self.server {
            chown(folder, Some(uid), Some(gid)).unwrap();
        }
    }

    pub fn copy_template(&self, to: &Path) {
        copy(&self.template, to);
    }

    pub fn initdb(&self, data: &Path) {
        let mut initdb = self.command("initdb");
        initdb.args(["-U", "postgres", "--no-sync", "-E", "UTF8", "--locale=C.UTF-8", "-A", "trust", "-D"]);
        stdout(initdb.arg(data));
        let conf = data.join("postgresql.conf");
        let text = fs::read_to_string(&conf).unwrap();
        fs::write(&conf, text + "\ninclude_if_exists = 'test.conf'\n").unwrap();
    }

    fn make_template(&self) {
        if self.template.exists() {
            return;
        }
        let new = self.template.with_extension("new");
        if new.exists() {
            fs::remove_dir_all(&new).unwrap();
        }
        self.make_folder(&new);
        self.initdb(&new);
        fs::rename(&new, &self.template).unwrap();
    }

    /// Stops and removes clusters of test processes that were killed.
    fn sweep(&self) {
        for entry in fs::read_dir(&self.clusters).unwrap().flatten() {
            let name = entry.file_name().into_string().unwrap_or_default();
            let Some(owner) = name.split_once('-').and_then(|(pid, _)| Pid::from_raw(pid.parse().ok()?)) else {
                continue;
            };
            if owner != getpid() && test_kill_process(owner).is_ok() {
                continue;
            }
            let data = entry.path().join("data");
            if let Some(&postmaster) = postmaster_pid(&data).iter().find(|pid| processes_in(&data).contains(pid)) {
                send(postmaster, Signal::QUIT);
                wait::until(wait::PATIENCE, "a left-over server has stopped", || processes_in(&data).is_empty());
            }
            fs::remove_dir_all(entry.path()).unwrap();
        }
    }
}

/// Where we are root: the ids of the user that runs servers.
fn server_ids() -> Option<(u32, u32)> {
    if !geteuid().is_root() {
        return None;
    }
    let user = std::env::var("TRUSTLOG_SERVER_USER").unwrap_or_else(|_| "postgres".to_owned());
    let id = |option: &str| stdout(Command::new("id").args([option, &user])).trim().parse().unwrap();
    Some((id("-u"), id("-g")))
}

pub fn copy(from: &Path, to: &Path) {
    stdout(Command::new("cp").args(["-a", "--reflink=auto", "-T", "--"]).arg(from).arg(to));
}

/// Runs a command and returns what it printed.
pub fn stdout(command: &mut Command) -> String {
    let output = command.output();
    let output = output.unwrap_or_else(|error| panic!("{}: {error}", command.get_program().display()));
    outcome(command, output).unwrap_or_else(|error| panic!("{error}"))
}

/// What a finished command printed, or what it said on stderr when it failed.
pub fn outcome(command: &Command, output: Output) -> Result<String, String> {
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let stderr = String::from_utf8_lossy(&output.stderr);
    Err(format!("{}: {}\n{stderr}", command.get_program().display(), output.status))
}

/// The process named by a data folder's lock file, and the server's state as it says there.
pub fn postmaster_state(data: &Path) -> Option<(i32, String)> {
    let text = match fs::read_to_string(data.join("postmaster.pid")) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return None,
        Err(error) => panic!("{}: {error}", data.display()),
    };
    let mut lines = text.lines();
    let pid = lines.next()?.trim().parse().ok()?;
    Some((pid, lines.nth(6).unwrap_or_default().trim().to_owned()))
}

fn postmaster_pid(data: &Path) -> Option<i32> {
    postmaster_state(data).map(|(pid, _)| pid)
}

/// The processes of the server of this data folder: their working directory is that folder.
pub fn processes_in(data: &Path) -> Vec<i32> {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    entries
        .filter(|entry| fs::read_link(entry.path().join("cwd")).is_ok_and(|cwd| cwd == data))
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect()
}

/// Sends a signal. A process that is gone already is no error.
pub fn send(pid: i32, signal: Signal) {
    let pid = Pid::from_raw(pid).expect("a process id");
    if let Err(error) = kill_process(pid, signal) {
        assert_eq!(error, rustix::io::Errno::SRCH, "cannot signal {pid:?}");
    }
}

//! Child processes that never outlive this one, each with its log in a file, and the ports that they listen on.

use std::net::TcpListener;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{bail, Context, Result};
use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::unistd::{getpid, getppid};
use tokio::process::Command;

/// Lines of a log that an error shows.
const TAIL_LINES: usize = 15;

/// A running child; dropping it kills it.
pub struct Child {
    name: String,
    log: PathBuf,
    process: tokio::process::Child,
}

impl Child {
    /// Starts `command`; both its outputs are appended to `log`.
    pub fn spawn(name: &str, mut command: Command, log: &Path) -> Result<Self> {
        let file = std::fs::File::options()
            .create(true)
            .append(true)
            .open(log)
            .with_context(|| format!("cannot write {}", log.display()))?;
        command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
        let process = end_with_parent(&mut command).spawn();
        let process = process.with_context(|| format!("cannot start {}", program(&command)))?;
        Ok(Self { name: name.to_owned(), log: log.to_owned(), process })
    }

    /// # Errors
    /// The child has ended; the message says how and shows the end of its log.
    pub fn check_alive(&mut self) -> Result<()> {
        let Some(status) = self.process.try_wait()? else { return Ok(()) };
        let how = match (status.code(), status.signal()) {
            (Some(code), _) => format!("with exit code {code}"),
            (None, Some(signal)) => format!("by signal {signal}"),
            (None, None) => "in an unknown way".to_owned(),
        };
        bail!("{} ended {how}; {}", self.name, self.tail());
    }

    /// SIGKILL, and waits until the process is gone.
    pub async fn kill(&mut self) -> Result<()> {
        self.process.kill().await.with_context(|| format!("cannot kill {}", self.name))
    }

    /// The path of the log and its last lines.
    pub fn tail(&self) -> String {
        tail(&self.log)
    }
}

/// Lets the kernel kill the child when this process ends, however it ends: by a return, a panic or a signal.
fn end_with_parent(command: &mut Command) -> &mut Command {
    let parent = getpid();
    // SAFETY: between fork and exec only two system calls are made, which allocate nothing.
    unsafe {
        command.pre_exec(move || {
            prctl::set_pdeathsig(Signal::SIGKILL)?;
            // The parent may have died before the wish was made.
            if getppid() != parent {
                return Err(std::io::Error::from_raw_os_error(nix::libc::ESRCH));
            }
            Ok(())
        });
    }
    // A group of its own: Ctrl-C is for this process, which then ends the others.
    command.process_group(0).kill_on_drop(true)
}

fn program(command: &Command) -> std::path::Display<'_> {
    Path::new(command.as_std().get_program()).display()
}

/// Runs `command` to its end; what it wrote to standard output.
///
/// # Errors
/// It cannot be started, or fails; the message has what it wrote.
pub async fn run(mut command: Command) -> Result<String> {
    let output = end_with_parent(&mut command).stdin(Stdio::null()).output().await;
    let output = output.with_context(|| format!("cannot start {}", program(&command)))?;
    if !output.status.success() {
        let arguments: Vec<_> =
            command.as_std().get_args().map(|argument| argument.to_string_lossy()).collect();
        let [reason, written] = [&output.stderr, &output.stdout].map(|bytes| String::from_utf8_lossy(bytes));
        let reason = format!("{}\n{}", reason.trim(), written.trim());
        bail!("{} {} failed: {}", program(&command), arguments.join(" "), reason.trim());
    }
    String::from_utf8(output.stdout).with_context(|| format!("{} prints no UTF-8", program(&command)))
}

fn tail(log: &Path) -> String {
    let bytes = match std::fs::read(log) {
        Ok(bytes) => bytes,
        Err(error) => return format!("its log {} cannot be read: {error}", log.display()),
    };
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    let last = &lines[lines.len().saturating_sub(TAIL_LINES)..];
    format!("the end of {}:\n    {}", log.display(), last.join("\n    "))
}

/// Distinct ports that were free a moment ago.
pub fn free_ports(count: usize) -> Result<Vec<u16>> {
    // All are held until the last is found, so that none is given twice.
    let free = || TcpListener::bind(("127.0.0.1", 0)).context("no free port");
    let listeners: Vec<TcpListener> = std::iter::repeat_with(free).take(count).collect::<Result<_>>()?;
    listeners.iter().map(|listener| Ok(listener.local_addr()?.port())).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn shell(line: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", line]);
        command
    }

    #[tokio::test]
    async fn an_ended_child_is_reported_with_its_exit_code_and_the_end_of_its_log() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("child.log");
        let mut child = Child::spawn("a child", shell("echo the reason >&2; exit 3"), &log).unwrap();
        child.process.wait().await.unwrap();
        let error = child.check_alive().unwrap_err().to_string();
        assert!(error.starts_with("a child ended with exit code 3; the end of "), "{error}");
        assert!(error.ends_with("the reason"), "{error}");
    }

    #[tokio::test]
    async fn a_killed_child_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let mut child = Child::spawn("a child", shell("sleep 600"), &dir.path().join("log")).unwrap();
        child.check_alive().unwrap();
        child.kill().await.unwrap();
        let error = child.check_alive().unwrap_err().to_string();
        assert!(error.contains("by signal 9"), "{error}");
    }

    #[test]
    fn ports_are_distinct() {
        let ports = free_ports(8).unwrap();
        let distinct: std::collections::BTreeSet<u16> = ports.into_iter().collect();
        assert_eq!(distinct.len(), 8);
    }
}

//! Named tasks under one token: the first to fail or to end by itself stops all of them.

use std::collections::BTreeMap;
use std::future::Future;
use std::time::Duration;

use tokio::task::{Id, JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

/// Time that the tasks have to end after they were told to.
const GRACE: Duration = Duration::from_secs(10);

/// Why the tasks ended.
#[derive(Debug, thiserror::Error)]
pub enum TaskError {
    #[error("task {task} failed")]
    Failed {
        task: &'static str,
        #[source]
        source: anyhow::Error,
    },
    #[error("task {task} ended by itself")]
    Ended { task: &'static str },
    #[error("task {task} panicked: {message}")]
    Panicked { task: &'static str, message: String },
}

/// The tasks of this process.
#[derive(Debug)]
pub struct Supervisor {
    stop: CancellationToken,
    tasks: JoinSet<anyhow::Result<()>>,
    names: BTreeMap<Id, &'static str>,
}

impl Supervisor {
    /// Tasks that end when `stop` is cancelled, and cancel it when one of them ends before.
    pub fn new(stop: CancellationToken) -> Self {
        Self { stop, tasks: JoinSet::new(), names: BTreeMap::new() }
    }

    /// Starts a task; it must end soon after the token is cancelled.
    pub fn spawn(
        &mut self,
        name: &'static str,
        task: impl Future<Output = anyhow::Result<()>> + Send + 'static,
    ) {
        let handle = self.tasks.spawn(task);
        self.names.insert(handle.id(), name);
    }

    /// Waits for the end of all tasks; those that do not end in time are aborted.
    ///
    /// # Errors
    /// The first task that failed, panicked, or ended without being told to.
    pub async fn join(mut self) -> Result<(), TaskError> {
        let mut first = None;
        while let Some(ended) = self.next().await {
            if let Err(error) = self.judge(ended) {
                self.stop.cancel();
                if first.is_none() {
                    first = Some(error);
                } else {
                    tracing::error!(error = format!("{:#}", anyhow::Error::from(error)), "task.failed_too");
                }
            }
        }
        first.map_or(Ok(()), Err)
    }

    /// The next task to end; `None` when all have ended, or the time that they had has passed.
    async fn next(&mut self) -> Option<Result<(Id, anyhow::Result<()>), JoinError>> {
        let stop = self.stop.clone();
        let overdue = async {
            stop.cancelled().await;
            tokio::time::sleep(GRACE).await;
        };
        tokio::select! {
            ended = self.tasks.join_next_with_id() => ended,
            () = overdue => {
                tracing::warn!(tasks = self.tasks.len(), "task.aborted");
                self.tasks.abort_all();
                None
            }
        }
    }

    fn judge(&mut self, ended: Result<(Id, anyhow::Result<()>), JoinError>) -> Result<(), TaskError> {
        let id = ended.as_ref().map_or_else(JoinError::id, |(id, _)| *id);
        let task = self.names.remove(&id).unwrap_or("?");
        match ended {
            Ok((_, Ok(()))) if self.stop.is_cancelled() => Ok(()),
            Ok((_, Ok(()))) => Err(TaskError::Ended { task }),
            Ok((_, Err(source))) => Err(TaskError::Failed { task, source }),
            Err(error) => Err(TaskError::Panicked { task, message: error.to_string() }),
        }
    }
}

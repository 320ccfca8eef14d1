use assay_sidecar::supervisor::{Supervisor, TaskError};
use tokio_util::sync::CancellationToken;

/// A supervisor with one task that only ends when it is told to.
fn supervised() -> (Supervisor, CancellationToken) {
    let stop = CancellationToken::new();
    let mut supervisor = Supervisor::new(stop.clone());
    let told = stop.clone();
    supervisor.spawn("patient", async move {
        told.cancelled().await;
        Ok(())
    });
    (supervisor, stop)
}

#[tokio::test]
async fn the_first_task_to_fail_stops_the_others_and_is_named() {
    let (mut supervisor, stop) = supervised();
    supervisor.spawn("watch", async { anyhow::bail!("disk full") });
    let error = supervisor.join().await.unwrap_err();
    assert!(matches!(error, TaskError::Failed { task: "watch", .. }), "{error}");
    assert!(stop.is_cancelled());
}

#[tokio::test]
async fn a_task_that_panics_or_ends_by_itself_stops_the_others_too() {
    let (mut supervisor, _) = supervised();
    supervisor.spawn("duty", async { panic!("a bug") });
    let error = supervisor.join().await.unwrap_err();
    assert!(
        matches!(error, TaskError::Panicked { task: "duty", ref message } if message.contains("a bug")),
        "{error}"
    );
    let (mut supervisor, _) = supervised();
    supervisor.spawn("submit", async { Ok(()) });
    let error = supervisor.join().await.unwrap_err();
    assert!(matches!(error, TaskError::Ended { task: "submit" }), "{error}");
}

#[tokio::test]
async fn tasks_that_were_told_to_end_are_no_failure() {
    let (supervisor, stop) = supervised();
    stop.cancel();
    assert!(supervisor.join().await.is_ok());
}

//! Executors that answer a juror with more than an artifact can be, or never to the end.

use std::time::Duration;

use assay_sidecar::validator::fetch::{cap, read};
use assay_sidecar::validator::relay::Miss;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000000\r\n\r\n";

/// The URL of a server that announces a terabyte, sends spaces for as long as `endless`, and never ends its answer.
async fn hostile(endless: bool) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = [0; 4_096];
        let _ = stream.read(&mut request).await.unwrap();
        stream.write_all(HEAD).await.unwrap();
        let spaces = vec![b' '; 16 * 1_024];
        while endless && stream.write_all(&spaces).await.is_ok() {}
        std::future::pending::<()>().await
    });
    url
}

#[tokio::test]
async fn a_huge_artifact_is_read_no_further_than_its_session_allows() {
    let most = cap(100_000);
    let request = reqwest::Client::new().get(hostile(true).await).timeout(Duration::from_secs(60));
    let answer = read(request, most).await;
    let Err(Miss::Wrong(reason)) = answer else { panic!("{answer:?}") };
    assert_eq!(reason, format!("more than {most} bytes"));
}

#[tokio::test]
async fn a_slow_artifact_is_given_up_in_time() {
    let request = reqwest::Client::new().get(hostile(false).await).timeout(Duration::from_millis(200));
    let answer = read(request, cap(100_000)).await;
    let Err(Miss::Nothing(reason)) = answer else { panic!("{answer:?}") };
    assert!(reason.contains("timed out"), "{reason}");
}

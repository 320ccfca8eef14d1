//! A randomness beacon of our own: rounds signed in drand quicknet's scheme, served as drand's relays serve them.
//!
//! <https://drand.love/docs/specification/>, scheme `bls-unchained-g1-rfc9380`: the message is SHA-256 of the round as eight
//! bytes big-endian, signatures are in G1, the key is in G2.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{anyhow, Context, Result};
use assay_common::ids::Round;
use assay_common::params::BeaconParams;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use blst::min_sig::SecretKey;
use rand::RngCore;
use serde::Serialize;
use sha2::{Digest, Sha256};
use tokio::task::JoinHandle;

const DOMAIN: &[u8] = b"BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_NUL_";
const PERIOD_SECONDS: u32 = 1;
const DELAY_SECONDS: u32 = 2;

/// The serving beacon; it stops when dropped.
pub struct Beacon {
    params: BeaconParams,
    address: SocketAddr,
    server: JoinHandle<()>,
}

struct Signer {
    key: SecretKey,
    params: BeaconParams,
}

/// A round as drand's HTTP interface shows it; hexadecimal.
#[derive(Debug, Serialize)]
struct SignedRound {
    round: u64,
    randomness: String,
    signature: String,
}

impl Beacon {
    /// Begins with round 1 now, under a new key.
    pub async fn start() -> Result<Self> {
        let signer = Signer::new(now()?)?;
        let params = signer.params.clone();
        let listener =
            tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.context("no port for the beacon")?;
        let address = listener.local_addr()?;
        let router = Router::new().route("/public/{round}", get(public)).with_state(Arc::new(signer));
        let server = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                tracing::error!(%error, "the beacon has stopped");
            }
        });
        Ok(Self { params, address, server })
    }

    pub fn params(&self) -> &BeaconParams {
        &self.params
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Beacon {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Signer {
    fn new(genesis: u64) -> Result<Self> {
        let mut seed = [0; 32];
        rand::rngs::OsRng.fill_bytes(&mut seed);
        let key = SecretKey::key_gen(&seed, &[]).map_err(|error| anyhow!("no beacon key: {error:?}"))?;
        let params = BeaconParams {
            public_key: key.sk_to_pk().compress().to_vec().into(),
            genesis,
            period_seconds: PERIOD_SECONDS,
            delay_seconds: DELAY_SECONDS,
        };
        Ok(Self { key, params })
    }

    fn sign(&self, round: Round) -> SignedRound {
        let message = Sha256::digest(round.0.to_be_bytes());
        let signature = self.key.sign(&message, DOMAIN, &[]).compress();
        SignedRound {
            round: round.0,
            randomness: hex::encode(Sha256::digest(signature)),
            signature: hex::encode(signature),
        }
    }
}

async fn public(
    State(signer): State<Arc<Signer>>,
    Path(round): Path<u64>,
) -> Result<Json<SignedRound>, (StatusCode, String)> {
    let round = Round(round);
    if round.0 == 0 {
        return Err((StatusCode::NOT_FOUND, "rounds are counted from 1".into()));
    }
    let now = now().map_err(|error| (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?;
    let due = signer.params.time(round);
    if due > now {
        return Err((StatusCode::TOO_EARLY, format!("round {round} is due in {} s", due - now)));
    }
    Ok(Json(signer.sign(round)))
}

/// Seconds since 1970.
pub fn now() -> Result<u64> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH).context("the clock is before 1970")?.as_secs())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use blst::min_sig::{PublicKey, Signature};
    use blst::BLST_ERROR;

    fn verify(key: &[u8], round: u64, signature: &str) -> BLST_ERROR {
        let key = PublicKey::from_bytes(key).unwrap();
        let signature = Signature::from_bytes(&hex::decode(signature).unwrap()).unwrap();
        signature.verify(true, &Sha256::digest(round.to_be_bytes()), DOMAIN, &[], &key, true)
    }

    #[test]
    fn the_scheme_is_the_one_of_drand_quicknet() {
        // Round 123 of the public network, from https://api.drand.sh/52db9ba70e0cc0f6eaf7803dd07447a1f5477735fd3f661792ba94600c84e971.
        let key = hex::decode(concat!(
            "83cf0f2896adee7eb8b5f01fcad3912212c437e0073e911fb90022d3e760183c",
            "8c4b450b6a0a6c3ac6a5776a2d1064510d1fec758c921cc22b0e17e63aaf4bcb",
            "5ed66304de9cf809bd274ca73bab4af5a6e9c76a4bc09e76eae8991ef5ece45a",
        ))
        .unwrap();
        let signature = concat!(
            "b75c69d0b72a5d906e854e808ba7e2accb1542ac355ae486d591aa9d43765482",
            "e26cd02df835d3546d23c4b13e0dfc92",
        );
        assert_eq!(verify(&key, 123, signature), BLST_ERROR::BLST_SUCCESS);
        assert_ne!(verify(&key, 124, signature), BLST_ERROR::BLST_SUCCESS);
    }

    #[test]
    fn a_round_verifies_under_the_announced_key_and_no_other_round_does() {
        let signer = Signer::new(1_000).unwrap();
        let signed = signer.sign(Round(7));
        assert_eq!(verify(&signer.params.public_key, 7, &signed.signature), BLST_ERROR::BLST_SUCCESS);
        assert_ne!(verify(&signer.params.public_key, 8, &signed.signature), BLST_ERROR::BLST_SUCCESS);
        let signature = hex::decode(&signed.signature).unwrap();
        assert_eq!(signed.randomness, hex::encode(Sha256::digest(signature)));
    }

    #[tokio::test]
    async fn a_round_is_served_when_its_time_has_come_and_not_before() {
        let beacon = Beacon::start().await.unwrap();
        let status = |round: u64| {
            let url = format!("{}/public/{round}", beacon.url());
            async { reqwest::get(url).await.unwrap().status() }
        };
        assert_eq!(status(1).await, StatusCode::OK);
        assert_eq!(status(1_000).await, StatusCode::TOO_EARLY);
        assert_eq!(status(0).await, StatusCode::NOT_FOUND);
    }
}

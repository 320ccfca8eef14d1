//! The account's key: it signs transactions, receipts and requests for artifacts, and salts commitments.

use std::fmt;
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use assay_common::digest::Domain;
use assay_common::salt::{salt, Hidden};
use cosmrs::crypto::PublicKey;
use cosmwasm_std::HexBinary;
use k256::ecdsa::signature::hazmat::{PrehashSigner, PrehashVerifier};
use k256::ecdsa::{Signature, SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};

/// A key file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error("the key file {path} cannot be read")]
    Unreadable {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("the key file {path} has mode {mode:o}: only its owner may read it (chmod 600)")]
    TooOpen { path: PathBuf, mode: u32 },
    #[error("the key file {path} does not hold a secp256k1 key: 64 hexadecimal digits expected")]
    NoKey { path: PathBuf },
    #[error("the key file {path} cannot be written; one that exists is never replaced")]
    Unwritable {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("no address with the prefix {prefix:?} can be made: {reason}")]
    Prefix { prefix: String, reason: String },
}

/// A signature that proves nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    #[error("{0} is not a compressed secp256k1 key")]
    Key(HexBinary),
    #[error("{0} is not a secp256k1 signature of 64 bytes")]
    Form(HexBinary),
    #[error("the signature is not of this content and this key")]
    Wrong,
    #[error("no address with the prefix {prefix:?} can be made: {reason}")]
    Prefix { prefix: String, reason: String },
}

/// A secp256k1 key and its address.
#[derive(Clone)]
pub struct Account {
    key: SigningKey,
    address: String,
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Account {
    /// Reads the key from a file that its owner alone may read.
    ///
    /// # Errors
    /// The file cannot be read, is open to others, or holds no key.
    pub fn load(key_file: &Path, prefix: &str) -> Result<Self, KeyError> {
        let unreadable = |source| KeyError::Unreadable { path: key_file.into(), source };
        let mode = std::fs::metadata(key_file).map_err(unreadable)?.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(KeyError::TooOpen { path: key_file.into(), mode });
        }
        let text = std::fs::read_to_string(key_file).map_err(unreadable)?;
        let no_key = || KeyError::NoKey { path: key_file.into() };
        let bytes = hex::decode(text.trim()).map_err(|_| no_key())?;
        Self::new(SigningKey::from_slice(&bytes).map_err(|_| no_key())?, prefix)
    }

    /// Makes a new key and writes it to a new file of mode 0600.
    ///
    /// # Errors
    /// The file exists or cannot be written.
    pub fn generate(key_file: &Path, prefix: &str) -> Result<Self, KeyError> {
        let unwritable = |source| KeyError::Unwritable { path: key_file.into(), source };
        let key = SigningKey::random(&mut rand::rngs::OsRng);
        let mut options = std::fs::OpenOptions::new();
        let mut file = options.write(true).create_new(true).mode(0o600).open(key_file).map_err(unwritable)?;
        writeln!(file, "{}", hex::encode(key.to_bytes())).map_err(unwritable)?;
        file.sync_all().map_err(unwritable)?;
        Self::new(key, prefix)
    }

    fn new(key: SigningKey, prefix: &str) -> Result<Self, KeyError> {
        let address = address(key.verifying_key(), prefix)
            .map_err(|reason| KeyError::Prefix { prefix: prefix.into(), reason })?;
        Ok(Self { key, address })
    }

    /// Bech32 address.
    pub fn address(&self) -> &str {
        &self.address
    }

    pub fn public_key(&self) -> PublicKey {
        PublicKey::from(*self.key.verifying_key())
    }

    /// Signs a digest; s is in the lower half of its range.
    pub fn sign(&self, digest: &[u8; 32]) -> Signed {
        let signature: Signature =
            self.key.sign_prehash(digest).expect("a digest of 32 bytes is always signable");
        let signature = signature.normalize_s().unwrap_or(signature);
        Signed {
            public_key: HexBinary::from(self.key.verifying_key().to_sec1_bytes().to_vec()),
            signature: HexBinary::from(signature.to_bytes().to_vec()),
        }
    }

    /// What hides a commitment of this account until it is shown: the same whenever it is asked for.
    pub fn salt(&self, domain: &Domain, hidden: Hidden<'_>) -> HexBinary {
        HexBinary::from(salt(&self.key.to_bytes().into(), domain, hidden))
    }
}

fn address(key: &VerifyingKey, prefix: &str) -> Result<String, String> {
    let id = PublicKey::from(*key).account_id(prefix).map_err(|error| error.to_string())?;
    Ok(id.to_string())
}

/// A signature with its key: checks itself and names its signer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signed {
    /// Compressed, 33 bytes.
    pub public_key: HexBinary,
    /// r ‖ s, 64 bytes.
    pub signature: HexBinary,
}

impl Signed {
    /// Address of whoever signed `digest`.
    ///
    /// # Errors
    /// The key or the signature is not one, or they do not belong to the digest.
    pub fn signer(&self, digest: &[u8; 32], prefix: &str) -> Result<String, SignatureError> {
        let key = verify(&self.public_key, &self.signature, digest)?;
        address(&key, prefix).map_err(|reason| SignatureError::Prefix { prefix: prefix.into(), reason })
    }
}

/// Checks a signature (r ‖ s, either half of s, as the chain does) under a compressed key.
///
/// # Errors
/// The key or the signature is not one, or they do not belong to the digest.
pub fn verify(
    public_key: &HexBinary,
    signature: &HexBinary,
    digest: &[u8; 32],
) -> Result<VerifyingKey, SignatureError> {
    let bad_key = || SignatureError::Key(public_key.clone());
    if public_key.len() != 33 {
        return Err(bad_key());
    }
    let key = VerifyingKey::from_sec1_bytes(public_key).map_err(|_| bad_key())?;
    let form = |_| SignatureError::Form(signature.clone());
    let parsed = Signature::from_slice(signature).map_err(form)?;
    let low = parsed.normalize_s().unwrap_or(parsed);
    key.verify_prehash(digest, &low).map_err(|_| SignatureError::Wrong)?;
    Ok(key)
}

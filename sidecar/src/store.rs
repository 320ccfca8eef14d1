//! The node's memory: one SQLite file, owned by one process, of one account on one chain.

use std::fs::{File, TryLockError};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use assay_common::ids::ModelDigest;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{Sqlite, Transaction};

/// Time that a writer waits for another one of this process, and that a task waits for a connection: a disk that is busy
/// with something else may take seconds for each commit, and a node that gives up loses more than one that waits.
const BUSY_TIMEOUT: Duration = Duration::from_secs(60);
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(120);
/// Connections of the pool; SQLite has one writer at a time anyway.
const CONNECTIONS: u32 = 4;

/// A store that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("another process works on the store {path}; stop it first")]
    Locked { path: PathBuf },
    #[error("the store {path} cannot be opened or locked")]
    Unusable {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("the store belongs to another {what}: {stored}, this node has {found}; use another path")]
    OtherIdentity { what: &'static str, stored: String, found: String },
    #[error("the tables of the store cannot be brought up to date")]
    Migration(#[from] sqlx::migrate::MigrateError),
    #[error("the store fails")]
    Database(#[from] sqlx::Error),
    #[error("the store holds {what} that cannot be read: {reason}")]
    Unreadable { what: &'static str, reason: String },
}

/// What a store is bound to.
#[derive(Clone, Debug)]
pub struct Identity {
    pub chain_id: String,
    pub contract: String,
    /// This node's account.
    pub address: String,
    /// None: a node without a model; the store is bound to the first one it gets.
    pub model: Option<ModelDigest>,
}

/// Clones share the connections; the file is free for another process when the last is dropped.
#[derive(Clone, Debug)]
pub struct Store {
    pub pool: SqlitePool,
    _lock: Arc<File>,
}

impl Store {
    /// Opens the file, makes it at the first start, and brings its tables up to date.
    ///
    /// # Errors
    /// Another process has it, it belongs to another chain, contract, account or model, or it cannot be used.
    pub async fn open(path: &Path, identity: &Identity) -> Result<Self, StoreError> {
        let lock = lock(path)?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // Every commit is on the disk before we speak.
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(BUSY_TIMEOUT);
        let pool = SqlitePoolOptions::new().max_connections(CONNECTIONS).acquire_timeout(ACQUIRE_TIMEOUT);
        let pool = pool.connect_with(options).await?;
        sqlx::migrate!("../migrations").run(&pool).await?;
        let store = Self { pool, _lock: Arc::new(lock) };
        store.identify(identity).await?;
        Ok(store)
    }

    /// A transaction that has the right to write from the start: one that only reads at first could not get it later.
    ///
    /// # Errors
    /// The store fails.
    pub async fn begin(&self) -> Result<Transaction<'static, Sqlite>, StoreError> {
        Ok(self.pool.begin_with("BEGIN IMMEDIATE").await?)
    }

    async fn identify(&self, identity: &Identity) -> Result<(), StoreError> {
        let model = identity.model.map(|model| model.to_string());
        let parts = [
            ("chain", Some(&identity.chain_id)),
            ("contract", Some(&identity.contract)),
            ("address", Some(&identity.address)),
            ("model", model.as_ref()),
        ];
        let mut tx = self.begin().await?;
        for (what, value) in parts {
            let Some(found) = value else { continue };
            sqlx::query("INSERT INTO identity (name, value) VALUES (?, ?) ON CONFLICT DO NOTHING")
                .bind(what)
                .bind(found)
                .execute(&mut *tx)
                .await?;
            let stored: String = sqlx::query_scalar("SELECT value FROM identity WHERE name = ?")
                .bind(what)
                .fetch_one(&mut *tx)
                .await?;
            if stored != *found {
                return Err(StoreError::OtherIdentity { what, stored, found: found.clone() });
            }
        }
        Ok(tx.commit().await?)
    }
}

/// Takes the file beside the store that says that it is in use; the system frees it when the process ends, however.
fn lock(path: &Path) -> Result<File, StoreError> {
    let unusable = |source| StoreError::Unusable { path: path.into(), source };
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder).map_err(unusable)?;
    }
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let file = private(Path::new(&name)).map_err(unusable)?;
    // SQLite gives its other files the mode of this one: they hold prompts, which are nobody else's to read.
    private(path).map_err(unusable)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::Locked { path: path.into() }),
        Err(TryLockError::Error(source)) => Err(unusable(source)),
    }
}

/// Opens a file, and makes it for its owner alone where it is not there.
fn private(path: &Path) -> std::io::Result<File> {
    File::options().create(true).truncate(false).write(true).mode(0o600).open(path)
}

/// A number as SQLite keeps it; ids and heights never reach 2⁶³.
///
/// # Errors
/// One does all the same.
pub fn stored(number: u64) -> Result<i64, StoreError> {
    i64::try_from(number)
        .map_err(|_| StoreError::Unreadable { what: "a number", reason: format!("{number} is above 2^63") })
}

/// A number as it was before [`stored`].
///
/// # Errors
/// The store holds a negative one.
pub fn loaded(number: i64) -> Result<u64, StoreError> {
    u64::try_from(number)
        .map_err(|_| StoreError::Unreadable { what: "a number", reason: format!("{number} is negative") })
}

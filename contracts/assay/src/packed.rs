//! Maps and items whose values are stored in a compact binary form (postcard): storage is what most of the gas goes to.
//!
//! Keys are those of cw-storage-plus, so ranges and bounds work as there. Messages and answers stay JSON.

use std::marker::PhantomData;

use cosmwasm_std::storage_keys::{namespace_with_key, to_length_prefixed, to_length_prefixed_nested};
use cosmwasm_std::{Order, StdError, StdResult, Storage};
use cw_storage_plus::{range_with_prefix, Bound, Key, KeyDeserialize, Prefixer, PrimaryKey};
use serde::de::DeserializeOwned;
use serde::Serialize;

/// One value under a fixed key.
pub struct PackedItem<T> {
    name: &'static str,
    value: PhantomData<T>,
}

impl<T: Serialize + DeserializeOwned> PackedItem<T> {
    pub const fn new(name: &'static str) -> Self {
        Self { name, value: PhantomData }
    }

    /// # Errors
    /// The value has no binary form: a fault of its type.
    pub fn save(&self, storage: &mut dyn Storage, value: &T) -> StdResult<()> {
        storage.set(self.name.as_bytes(), &encode(self.name, value)?);
        Ok(())
    }

    /// # Errors
    /// What is stored is no such value.
    pub fn may_load(&self, storage: &dyn Storage) -> StdResult<Option<T>> {
        storage.get(self.name.as_bytes()).map(|bytes| decode(self.name, &bytes)).transpose()
    }

    /// # Errors
    /// Nothing is stored, or what is stored is no such value.
    pub fn load(&self, storage: &dyn Storage) -> StdResult<T> {
        self.may_load(storage)?.ok_or_else(|| StdError::msg(format!("{} is not stored", self.name)))
    }
}

/// Values of one kind, each under its key.
pub struct Packed<K, T> {
    name: &'static str,
    kinds: PhantomData<(K, T)>,
}

impl<K, T> Packed<K, T> {
    pub const fn new(name: &'static str) -> Self {
        Self { name, kinds: PhantomData }
    }
}

impl<'a, K: PrimaryKey<'a>, T: Serialize + DeserializeOwned> Packed<K, T> {
    fn path(&self, key: &K) -> Vec<u8> {
        let parts = key.key();
        let (last, before) = parts.split_last().expect("a key has a part");
        namespace_with_key(&self.space(before), last.as_ref())
    }

    fn space<'s>(&'s self, parts: &'s [Key]) -> Vec<&'s [u8]> {
        std::iter::once(self.name.as_bytes()).chain(parts.iter().map(Key::as_ref)).collect()
    }

    /// # Errors
    /// The value has no binary form: a fault of its type.
    pub fn save(&self, storage: &mut dyn Storage, key: K, value: &T) -> StdResult<()> {
        storage.set(&self.path(&key), &encode(self.name, value)?);
        Ok(())
    }

    /// # Errors
    /// What is stored is no such value.
    pub fn may_load(&self, storage: &dyn Storage, key: K) -> StdResult<Option<T>> {
        storage.get(&self.path(&key)).map(|bytes| decode(self.name, &bytes)).transpose()
    }

    pub fn has(&self, storage: &dyn Storage, key: K) -> bool {
        storage.get(&self.path(&key)).is_some()
    }

    pub fn remove(&self, storage: &mut dyn Storage, key: K) {
        storage.remove(&self.path(&key));
    }

    /// The values whose keys begin with `prefix`.
    pub fn prefix(&self, prefix: K::Prefix) -> PackedPrefix<K::Suffix, T> {
        let parts = prefix.prefix();
        PackedPrefix {
            name: self.name,
            space: to_length_prefixed_nested(&self.space(&parts)),
            kinds: PhantomData,
        }
    }

    fn all(&self) -> PackedPrefix<K, T> {
        let space = to_length_prefixed(self.name.as_bytes());
        PackedPrefix { name: self.name, space, kinds: PhantomData }
    }
}

impl<'a, K: PrimaryKey<'a> + KeyDeserialize, T: Serialize + DeserializeOwned> Packed<K, T> {
    /// Keys and values in order; see [`cw_storage_plus::Map::range`].
    pub fn range<'s>(
        &self,
        storage: &'s dyn Storage,
        min: Option<Bound<'a, K>>,
        max: Option<Bound<'a, K>>,
        order: Order,
    ) -> Box<dyn Iterator<Item = StdResult<(K::Output, T)>> + 's>
    where
        T: 's,
        K::Output: 'static,
    {
        self.all().range(storage, min, max, order)
    }

    /// Keys in order; see [`cw_storage_plus::Map::keys`].
    pub fn keys<'s>(
        &self,
        storage: &'s dyn Storage,
        min: Option<Bound<'a, K>>,
        max: Option<Bound<'a, K>>,
        order: Order,
    ) -> Box<dyn Iterator<Item = StdResult<K::Output>> + 's>
    where
        K::Output: 'static,
    {
        self.all().keys(storage, min, max, order)
    }
}

/// A part of a [`Packed`]: the rest of the key is a `K`.
pub struct PackedPrefix<K, T> {
    name: &'static str,
    space: Vec<u8>,
    kinds: PhantomData<(K, T)>,
}

impl<'a, K: PrimaryKey<'a> + KeyDeserialize, T: Serialize + DeserializeOwned> PackedPrefix<K, T> {
    /// Keys and values in order.
    pub fn range<'s>(
        &self,
        storage: &'s dyn Storage,
        min: Option<Bound<'a, K>>,
        max: Option<Bound<'a, K>>,
        order: Order,
    ) -> Box<dyn Iterator<Item = StdResult<(K::Output, T)>> + 's>
    where
        T: 's,
        K::Output: 'static,
    {
        let name = self.name;
        let (min, max) = (min.map(|bound| bound.to_raw_bound()), max.map(|bound| bound.to_raw_bound()));
        let records = range_with_prefix(storage, &self.space, min, max, order);
        Box::new(records.map(move |(key, bytes)| Ok((K::from_vec(key)?, decode(name, &bytes)?))))
    }

    /// Keys in order.
    pub fn keys<'s>(
        &self,
        storage: &'s dyn Storage,
        min: Option<Bound<'a, K>>,
        max: Option<Bound<'a, K>>,
        order: Order,
    ) -> Box<dyn Iterator<Item = StdResult<K::Output>> + 's>
    where
        K::Output: 'static,
    {
        let (min, max) = (min.map(|bound| bound.to_raw_bound()), max.map(|bound| bound.to_raw_bound()));
        let records = range_with_prefix(storage, &self.space, min, max, order);
        Box::new(records.map(|(key, _)| K::from_vec(key)))
    }
}

/// A value as part of a key.
///
/// # Errors
/// The value has no binary form: a fault of its type.
pub fn to_bytes<T: Serialize>(value: &T) -> StdResult<Vec<u8>> {
    encode("key", value)
}

/// The value of which this is the binary form.
///
/// # Errors
/// It is of no such value.
pub fn from_bytes<T: DeserializeOwned>(bytes: &[u8]) -> StdResult<T> {
    decode("key", bytes)
}

fn encode<T: Serialize>(name: &str, value: &T) -> StdResult<Vec<u8>> {
    postcard::to_allocvec(value).map_err(|error| StdError::msg(format!("{name} cannot be stored: {error}")))
}

fn decode<T: DeserializeOwned>(name: &str, bytes: &[u8]) -> StdResult<T> {
    postcard::from_bytes(bytes)
        .map_err(|error| StdError::msg(format!("what is stored as {name} is unreadable: {error}")))
}

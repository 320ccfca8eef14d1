//! The growing batch behind a decoding step: cached keys and values, and what a query may see of them.
//!
//! A batch is padded on the *left*: the last token of every prompt lies in the same slot, so distances
//! between slots are distances between positions, and one mask rule and one sliding window serve all rows.

use tch::{Device, Kind, TchError, Tensor};

/// What the queries of one pass may see of the keys.
pub struct View {
    /// Keys before this slot are out of the window of every query.
    pub first_key: i64,
    /// 0 or −∞, [batch or 1, 1, queries, keys − first_key] or its last two dimensions; `None` where `causal` says it all.
    pub mask: Option<Tensor>,
    pub causal: bool,
}

impl View {
    /// The `queries` last of `keys` slots look back, through `window` if there is one; row i starts at slot
    /// `pads[i]`. The mask is of the kind and on the device of `options`.
    pub fn new(
        pads: &[i64],
        queries: i64,
        keys: i64,
        window: Option<i64>,
        options: (Kind, Device),
    ) -> Result<Self, TchError> {
        let device = options.1;
        let first_key = window.map_or(0, |window| (keys - queries - window + 1).max(0));
        let padded = pads.iter().any(|pad| *pad > first_key);
        let banded = window.is_some_and(|window| queries > 1 && keys > window);
        if !padded && !banded {
            return Ok(View { first_key, mask: None, causal: queries > 1 });
        }
        let slots = (Kind::Int64, device);
        let query = Tensor::f_arange_start(keys - queries, keys, slots)?.f_unsqueeze(-1)?; // [queries, 1]
        let key = Tensor::f_arange_start(first_key, keys, slots)?; // [keys]
        let distance = query.f_sub(&key)?;
        let mut seen = distance.f_ge(0)?;
        if let Some(window) = window {
            seen = seen.f_logical_and(&distance.f_lt(window)?)?;
        }
        if padded {
            let pads = Tensor::f_from_slice(pads)?.f_to_device(device)?.f_view([-1, 1, 1, 1])?;
            // A padding query sees itself: a row of −∞ alone would be NaN and spread through 0 · NaN.
            let real = key.f_ge_tensor(&pads)?.f_logical_or(&distance.f_eq(0)?)?;
            seen = seen.f_logical_and(&real)?; // [batch, 1, queries, keys]
        }
        let mask = Tensor::f_zeros(seen.size(), options)?
            .f_masked_fill(&seen.f_logical_not()?, f64::NEG_INFINITY)?;
        Ok(View { first_key, mask: Some(mask), causal: false })
    }
}

/// Keys and values of one layer, each [batch, kv_heads, capacity, head_dim].
pub struct KeyValues {
    keys: Tensor,
    values: Tensor,
}

impl KeyValues {
    /// Writes new keys and values [batch, kv_heads, seq, head_dim] at slot `at`; all of them from slot
    /// `first` on.
    pub fn extend(
        &self,
        (keys, values): (Tensor, Tensor),
        at: i64,
        first: i64,
    ) -> Result<(Tensor, Tensor), TchError> {
        let seq = keys.size()[2];
        self.keys.f_narrow(2, at, seq)?.f_copy_(&keys)?;
        self.values.f_narrow(2, at, seq)?.f_copy_(&values)?;
        let seen = at + seq - first;
        Ok((self.keys.f_narrow(2, first, seen)?, self.values.f_narrow(2, first, seen)?))
    }

    fn keep(&self, rows: &Tensor) -> Result<Self, TchError> {
        Ok(KeyValues {
            keys: self.keys.f_index_select(0, rows)?,
            values: self.values.f_index_select(0, rows)?,
        })
    }
}

/// The cache of a batch, padded on the left.
pub struct Cache {
    pub layers: Vec<KeyValues>,
    /// Slots in use.
    pub filled: i64,
    /// Empty slots before each row's first token.
    pub pads: Vec<i64>,
    device: Device,
}

impl Cache {
    /// An empty cache; `shape` is [batch, kv_heads, capacity, head_dim].
    pub fn new(
        layers: usize,
        shape: [i64; 4],
        pads: Vec<i64>,
        options: (Kind, Device),
    ) -> Result<Self, TchError> {
        let empty = || Tensor::f_empty(shape, options);
        let layers = (0..layers)
            .map(|_| Ok(KeyValues { keys: empty()?, values: empty()? }))
            .collect::<Result<_, TchError>>()?;
        Ok(Cache { layers, filled: 0, pads, device: options.1 })
    }

    /// Keeps these rows, in this order.
    pub fn keep(&mut self, rows: &[usize]) -> Result<(), TchError> {
        let index: Vec<i64> = rows.iter().map(|row| *row as i64).collect();
        let index = Tensor::f_from_slice(&index)?.f_to_device(self.device)?;
        self.layers = self.layers.iter().map(|layer| layer.keep(&index)).collect::<Result<_, _>>()?;
        self.pads = rows.iter().map(|row| self.pads[*row]).collect();
        Ok(())
    }
}

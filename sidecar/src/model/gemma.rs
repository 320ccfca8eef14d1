//! Gemma 3, text only: Config → Attention → Mlp → Layer → Gemma, top to bottom.
//!
//! Architecture: <https://arxiv.org/abs/2503.19786>; reference
//! `transformers/models/gemma3/modeling_gemma3.py`. Weights come under their GGUF names; the norm weights
//! there already carry the reference's `1 +`.
//!
//! Batches are padded on the left, see [`super::cache`]; what is rounded where, see [`super::numerics`].

use std::ops::Range;

use assay_common::session::NumericScheme;
use tch::{Device, Kind, TchError, Tensor};

use super::attention::Attended;
use super::cache::{Cache, KeyValues, View};
use super::gguf::Gguf;
use super::numerics::{held, Numerics};
use super::rotary::{Angles, Rotary};
use super::weights::Weights;
use super::ModelError;

/// Rotary base of the sliding layers; the file states only the global one.
const LOCAL_ROPE_BASE: f64 = 10_000.0;
/// Every sixth layer attends globally, the others through the sliding window.
const GLOBAL_EVERY: usize = 6;
/// No dimension of a supported model reaches this; beyond it products could overflow.
const MAX_DIMENSION: u64 = 1 << 20;

/// The dimensions of the network.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    pub vocabulary: i64,
    pub hidden: i64,
    pub layers: usize,
    pub heads: i64,
    pub kv_heads: i64,
    pub head_dim: i64,
    pub ffn: i64,
    /// Positions that a sliding layer sees, its own included.
    pub window: i64,
    /// Longest sequence the model was trained for.
    pub context: i64,
    pub norm_epsilon: f64,
    pub global_rope_base: f64,
    /// Factor on the embeddings.
    pub embedding_scale: f64,
    /// Factor on the attention scores.
    pub attention_scale: f64,
}

impl Config {
    /// From the `gemma3.*` keys; the vocabulary is the token list's length.
    pub fn from_gguf(gguf: &Gguf<'_>) -> Result<Self, ModelError> {
        let architecture = gguf.text("general.architecture")?;
        if architecture != "gemma3" {
            return Err(ModelError::Architecture { found: architecture.to_owned() });
        }
        let dimension = |key: &str| -> Result<i64, ModelError> {
            let key = format!("gemma3.{key}");
            match gguf.unsigned(&key)? {
                found @ 1..=MAX_DIMENSION => Ok(found.cast_signed()),
                found => Err(ModelError::Dimension { key, found }),
            }
        };
        let (hidden, head_dim) = (dimension("embedding_length")?, dimension("attention.key_length")?);
        let config = Config {
            vocabulary: gguf.array("tokenizer.ggml.tokens")?.len() as i64,
            hidden,
            layers: dimension("block_count")? as usize,
            heads: dimension("attention.head_count")?,
            kv_heads: dimension("attention.head_count_kv")?,
            head_dim,
            ffn: dimension("feed_forward_length")?,
            window: dimension("attention.sliding_window")?,
            context: dimension("context_length")?,
            norm_epsilon: gguf.float("gemma3.attention.layer_norm_rms_epsilon")?,
            global_rope_base: gguf.float("gemma3.rope.freq_base")?,
            embedding_scale: (hidden as f64).sqrt(),
            // Gemma 3's query_pre_attn_scalar is the head's dimension in the sizes that are read.
            attention_scale: (head_dim as f64).powf(-0.5),
        };
        if config.heads % config.kv_heads != 0 || config.head_dim % 2 != 0 {
            return Err(ModelError::Heads {
                heads: config.heads,
                kv_heads: config.kv_heads,
                head_dim: config.head_dim,
            });
        }
        Ok(config)
    }

    /// What the outputs depend on beside the weights and the dimensions of them, in the order of the names.
    pub fn constants(&self) -> [(&'static str, f64); 7] {
        [
            ("attention.global_every", GLOBAL_EVERY as f64),
            ("attention.scale", self.attention_scale),
            ("attention.window", self.window as f64),
            ("embedding.scale", self.embedding_scale),
            ("norm.epsilon", self.norm_epsilon),
            ("rope.global_base", self.global_rope_base),
            ("rope.local_base", LOCAL_ROPE_BASE),
        ]
    }
}

/// What all layers of one pass share.
struct Pass {
    numerics: Numerics,
    local: (Angles, View),
    global: (Angles, View),
}

/// Root-mean-square norm over the last dimension, in f32 whatever the kind of what it is given.
struct Norm {
    weight: Tensor,
    epsilon: f64,
}

impl Norm {
    fn forward(&self, x: &Tensor) -> Result<Tensor, TchError> {
        let normed =
            x.f_to_kind(Kind::Float)?.f_rms_norm(self.weight.size(), Some(&self.weight), self.epsilon)?;
        normed.f_to_kind(x.kind())
    }
}

struct Attention {
    query: Tensor,  // [heads · head_dim, hidden]
    key: Tensor,    // [kv_heads · head_dim, hidden]
    value: Tensor,  // [kv_heads · head_dim, hidden]
    output: Tensor, // [hidden, heads · head_dim]
    query_norm: Norm,
    key_norm: Norm,
    head_dim: i64,
    scale: f64,
    global: bool,
}

impl Attention {
    /// [batch, seq, hidden] → [batch, seq, hidden]; `cache` is this layer's slot and the first free place in
    /// it.
    fn forward(&self, x: &Tensor, pass: &Pass, cache: Option<(&KeyValues, i64)>) -> Result<Tensor, TchError> {
        let (angles, view) = if self.global { &pass.global } else { &pass.local };
        let (batch, seq) = (x.size()[0], x.size()[1]);
        let numerics = pass.numerics;
        let split = |weight: &Tensor| {
            numerics.project(x, weight)?.f_view([batch, seq, -1, self.head_dim])?.f_transpose(1, 2)
        };
        let query = angles.rotate(&self.query_norm.forward(&split(&self.query)?)?)?;
        let key = angles.rotate(&self.key_norm.forward(&split(&self.key)?)?)?;
        let (query, key) = (numerics.input(query)?, numerics.input(key)?);
        let value = numerics.input(split(&self.value)?)?;
        let (key, value) = match cache {
            None => (key, value),
            Some((slot, at)) => {
                slot.extend((numerics.cached(key)?, numerics.cached(value)?), at, view.first_key)?
            }
        };
        let attended = Attended { query: &query, key: &key, value: &value, view, scale: self.scale };
        let mixed = attended.mix(numerics)?; // [batch, heads, seq, head_dim]
        numerics.project(&mixed.f_transpose(1, 2)?.f_reshape([batch, seq, -1])?, &self.output)
    }
}

struct Mlp {
    gate: Tensor, // [ffn, hidden]
    up: Tensor,   // [ffn, hidden]
    down: Tensor, // [hidden, ffn]
}

impl Mlp {
    /// [batch, seq, hidden] → [batch, seq, hidden]
    fn forward(&self, x: &Tensor, numerics: Numerics) -> Result<Tensor, TchError> {
        let gate = numerics.project(x, &self.gate)?.f_gelu("tanh")?;
        numerics.project(&gate.f_mul(&numerics.project(x, &self.up)?)?, &self.down)
    }
}

struct Layer {
    attention_norm: Norm,
    attention: Attention,
    post_attention_norm: Norm,
    mlp_norm: Norm,
    mlp: Mlp,
    post_mlp_norm: Norm,
}

impl Layer {
    fn load(weights: &Weights<'_>, config: &Config, index: usize, held: Kind) -> Result<Self, ModelError> {
        let Config { hidden, head_dim, ffn, .. } = *config;
        let (queries, keys) = (config.heads * head_dim, config.kv_heads * head_dim);
        let name = |name: &str| format!("blk.{index}.{name}.weight");
        let get = |matrix: &str, shape: [i64; 2]| weights.matrix(&name(matrix), shape, held);
        let norm = |vector: &str, size: i64| -> Result<Norm, ModelError> {
            Ok(Norm { weight: weights.vector(&name(vector), size)?, epsilon: config.norm_epsilon })
        };
        Ok(Layer {
            attention_norm: norm("attn_norm", hidden)?,
            attention: Attention {
                query: get("attn_q", [queries, hidden])?,
                key: get("attn_k", [keys, hidden])?,
                value: get("attn_v", [keys, hidden])?,
                output: get("attn_output", [hidden, queries])?,
                query_norm: norm("attn_q_norm", head_dim)?,
                key_norm: norm("attn_k_norm", head_dim)?,
                head_dim,
                scale: config.attention_scale,
                global: (index + 1).is_multiple_of(GLOBAL_EVERY),
            },
            post_attention_norm: norm("post_attention_norm", hidden)?,
            mlp_norm: norm("ffn_norm", hidden)?,
            mlp: Mlp {
                gate: get("ffn_gate", [ffn, hidden])?,
                up: get("ffn_up", [ffn, hidden])?,
                down: get("ffn_down", [hidden, ffn])?,
            },
            post_mlp_norm: norm("post_ffw_norm", hidden)?,
        })
    }

    fn forward(&self, x: Tensor, pass: &Pass, cache: Option<(&KeyValues, i64)>) -> Result<Tensor, TchError> {
        let mixed = self.attention.forward(&self.attention_norm.forward(&x)?, pass, cache)?;
        let x = x.f_add(&self.post_attention_norm.forward(&mixed)?)?;
        let fed = self.mlp.forward(&self.mlp_norm.forward(&x)?, pass.numerics)?;
        x.f_add(&self.post_mlp_norm.forward(&fed)?)
    }

    fn projections(&mut self) -> [&mut Tensor; 7] {
        let Attention { query, key, value, output, .. } = &mut self.attention;
        let Mlp { gate, up, down } = &mut self.mlp;
        [query, key, value, output, gate, up, down]
    }
}

/// The network on its device. Token ids must have been checked against the vocabulary.
pub struct Gemma {
    pub config: Config,
    pub device: Device,
    embedding: Tensor, // [vocabulary, hidden], also the head; bf16 values in f32
    layers: Vec<Layer>,
    norm: Norm,
    local: Rotary,
    global: Rotary,
}

impl Gemma {
    /// Reads the weights, held as the passes of `scheme` need them.
    pub fn load(gguf: &Gguf<'_>, scheme: NumericScheme, device: Device) -> Result<Self, ModelError> {
        let config = Config::from_gguf(gguf)?;
        let weights = Weights { gguf, device };
        let layers = (0..config.layers)
            .map(|index| Layer::load(&weights, &config, index, held(scheme, device)))
            .collect::<Result<_, _>>()?;
        let shape = [config.vocabulary, config.hidden];
        Ok(Gemma {
            embedding: weights.matrix("token_embd.weight", shape, Kind::Float)?,
            norm: Norm {
                weight: weights.vector("output_norm.weight", config.hidden)?,
                epsilon: config.norm_epsilon,
            },
            local: Rotary::new(LOCAL_ROPE_BASE, config.head_dim, device)?,
            global: Rotary::new(config.global_rope_base, config.head_dim, device)?,
            layers,
            config,
            device,
        })
    }

    /// Hidden states [positions, hidden] of one sequence at `positions`, in f32, without a cache.
    pub fn prefill(
        &self,
        ids: &[u32],
        positions: Range<usize>,
        numerics: Numerics,
    ) -> Result<Tensor, TchError> {
        let hidden = self.body(&self.ids(ids, 1)?, &[0], None, numerics)?;
        hidden.f_get(0)?.f_narrow(0, positions.start as i64, positions.len() as i64)?.f_to_kind(Kind::Float)
    }

    /// Runs the prompts as one batch: a cache with room for `capacity` more tokens, and the hidden states
    /// [batch, hidden] of the last prompt tokens.
    pub fn start(
        &self,
        prompts: &[&[u32]],
        capacity: usize,
        numerics: Numerics,
    ) -> Result<(Cache, Tensor), TchError> {
        let longest = prompts.iter().map(|prompt| prompt.len()).max().unwrap_or(0);
        let batch = prompts.len() as i64;
        let mut padded = Vec::with_capacity(prompts.len() * longest);
        for prompt in prompts {
            padded.extend(std::iter::repeat_n(0, longest - prompt.len()));
            padded.extend_from_slice(prompt);
        }
        let shape = [batch, self.config.kv_heads, (longest + capacity) as i64, self.config.head_dim];
        let pads = prompts.iter().map(|prompt| (longest - prompt.len()) as i64).collect();
        let mut cache = Cache::new(self.layers.len(), shape, pads, (numerics.kind(), self.device))?;
        let hidden = self.extend(&self.ids(&padded, batch)?, &mut cache, numerics)?;
        Ok((cache, hidden))
    }

    /// Appends one token to every row: the hidden states [batch, hidden] at the new tokens.
    pub fn step(&self, ids: &[u32], cache: &mut Cache, numerics: Numerics) -> Result<Tensor, TchError> {
        self.extend(&self.ids(ids, ids.len() as i64)?, cache, numerics)
    }

    /// Logits [rows, vocabulary] of hidden states [rows, hidden], in f32.
    ///
    /// On a CPU through oneDNN: for the 2 to 64 rows of a decoding step MKL packs the whole embedding anew
    /// and takes 1.6 times as long. For the small matrices of the body the opposite holds.
    pub fn logits(&self, hidden: &Tensor) -> Result<Tensor, TchError> {
        let hidden = hidden.f_to_kind(Kind::Float)?;
        if self.device != Device::Cpu || !tch::utils::has_mkldnn() {
            return hidden.f_linear(&self.embedding, None::<&Tensor>);
        }
        hidden.f_to_mkldnn(None)?.f_mkldnn_linear(&self.embedding, None::<&Tensor>)?.f_to_dense(None, false)
    }

    /// Rows of the head for tokens [rows]: [rows, hidden], in f32.
    pub fn head_rows(&self, tokens: &Tensor) -> Result<Tensor, TchError> {
        self.embedding.f_index_select(0, tokens)
    }

    /// Replaces every q, k, v, o, gate, up and down matrix [out, in].
    pub fn map_projections(
        &mut self,
        f: impl Fn(&Tensor) -> Result<Tensor, TchError>,
    ) -> Result<(), ModelError> {
        for projection in self.layers.iter_mut().flat_map(Layer::projections) {
            let mapped = f(&projection.f_to_kind(Kind::Float)?)?.f_to_device(self.device)?;
            if mapped.size() != projection.size() || mapped.kind() != Kind::Float {
                return Err(ModelError::Mapped { found: mapped.size(), expected: projection.size() });
            }
            *projection = mapped.f_to_kind(projection.kind())?;
        }
        Ok(())
    }

    /// Leaves out these layers; those that stay attend as they did.
    pub fn drop_layers(&mut self, dropped: Range<usize>) {
        let layers = std::mem::take(&mut self.layers).into_iter().enumerate();
        self.layers = layers.filter(|(index, _)| !dropped.contains(index)).map(|(_, layer)| layer).collect();
        self.config.layers = self.layers.len();
    }

    fn ids(&self, ids: &[u32], batch: i64) -> Result<Tensor, TchError> {
        let ids: Vec<i64> = ids.iter().map(|id| i64::from(*id)).collect();
        Tensor::f_from_slice(&ids)?.f_view([batch, -1])?.f_to_device(self.device)
    }

    /// Feeds `ids` [batch, seq] behind what the cache holds: hidden states [batch, hidden] of the last slot.
    fn extend(&self, ids: &Tensor, cache: &mut Cache, numerics: Numerics) -> Result<Tensor, TchError> {
        let seq = ids.size()[1];
        let hidden = self.body(ids, &cache.pads, Some(cache), numerics)?;
        cache.filled += seq;
        hidden.f_select(1, seq - 1)
    }

    /// ids [batch, seq] → [batch, seq, hidden]
    fn body(
        &self,
        ids: &Tensor,
        pads: &[i64],
        cache: Option<&Cache>,
        numerics: Numerics,
    ) -> Result<Tensor, TchError> {
        let (batch, seq) = (ids.size()[0], ids.size()[1]);
        let filled = cache.map_or(0, |cache| cache.filled);
        let keys = filled + seq;
        let slots = Tensor::f_arange_start(filled, keys, (Kind::Int64, self.device))?;
        let offsets = Tensor::f_from_slice(pads)?.f_to_device(self.device)?.f_unsqueeze(-1)?;
        let positions = slots.f_sub(&offsets)?.f_clamp_min(0)?; // [batch, seq]
        let view = |window| View::new(pads, seq, keys, window, (numerics.kind(), self.device));
        let pass = Pass {
            numerics,
            local: (self.local.at(&positions, numerics.kind())?, view(Some(self.config.window))?),
            global: (self.global.at(&positions, numerics.kind())?, view(None)?),
        };
        let embedded = self.embedding.f_index_select(0, &ids.f_view([-1])?)?.f_view([batch, seq, -1])?;
        let scale = numerics.constant(self.config.embedding_scale)?;
        let mut x = embedded.f_to_kind(numerics.kind())?.f_mul_scalar(scale)?;
        for (index, layer) in self.layers.iter().enumerate() {
            x = layer.forward(x, &pass, cache.map(|cache| (&cache.layers[index], filled)))?;
        }
        self.norm.forward(&x)
    }
}

//! Gemma 3, text only, in f32: Config → Rotary → Attention → Mlp → Layer → Gemma, top to bottom.
//!
//! Architecture: <https://arxiv.org/abs/2503.19786>; reference
//! `transformers/models/gemma3/modeling_gemma3.py`. Weights come under their GGUF names; the norm weights
//! there already carry the reference's `1 +`.
//!
//! Batches are padded on the left, see [`super::cache`].

use std::ops::Range;

use tch::{Device, Kind, TchError, Tensor};

use super::cache::{Cache, KeyValues, View};
use super::gguf::Gguf;
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
        let config = Config {
            vocabulary: gguf.array("tokenizer.ggml.tokens")?.len() as i64,
            hidden: dimension("embedding_length")?,
            layers: dimension("block_count")? as usize,
            heads: dimension("attention.head_count")?,
            kv_heads: dimension("attention.head_count_kv")?,
            head_dim: dimension("attention.key_length")?,
            ffn: dimension("feed_forward_length")?,
            window: dimension("attention.sliding_window")?,
            context: dimension("context_length")?,
            norm_epsilon: gguf.float("gemma3.attention.layer_norm_rms_epsilon")?,
            global_rope_base: gguf.float("gemma3.rope.freq_base")?,
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
}

/// Rotary position embedding of one base.
struct Rotary {
    /// [head_dim / 2]
    frequencies: Tensor,
}

/// Cosines and sines, each [batch, 1, seq, head_dim].
struct Angles {
    cos: Tensor,
    sin: Tensor,
}

impl Rotary {
    fn new(base: f64, head_dim: i64, device: Device) -> Result<Self, TchError> {
        let frequencies: Vec<f32> =
            (0..head_dim / 2).map(|i| base.powf(-2.0 * i as f64 / head_dim as f64) as f32).collect();
        Ok(Rotary { frequencies: Tensor::f_from_slice(&frequencies)?.f_to_device(device)? })
    }

    /// For integer positions [batch, seq].
    fn at(&self, positions: &Tensor) -> Result<Angles, TchError> {
        let positions = positions.f_to_kind(Kind::Float)?.f_unsqueeze(1)?.f_unsqueeze(-1)?;
        let half = positions.f_mul(&self.frequencies)?; // [batch, 1, seq, head_dim / 2]
        let full = Tensor::f_cat(&[&half, &half], -1)?;
        Ok(Angles { cos: full.f_cos()?, sin: full.f_sin()? })
    }
}

impl Angles {
    /// Rotates `x` [batch, heads, seq, head_dim]; the halves of a head are the two coordinates.
    fn rotate(&self, x: &Tensor) -> Result<Tensor, TchError> {
        let half = x.size()[3] / 2;
        let turned = Tensor::f_cat(&[x.f_narrow(3, half, half)?.f_neg()?, x.f_narrow(3, 0, half)?], -1)?;
        x.f_mul(&self.cos)?.f_add(&turned.f_mul(&self.sin)?)
    }
}

/// What all layers of one pass share.
struct Pass {
    local: (Angles, View),
    global: (Angles, View),
}

/// Root-mean-square norm over the last dimension.
struct Norm {
    weight: Tensor,
    epsilon: f64,
}

impl Norm {
    fn forward(&self, x: &Tensor) -> Result<Tensor, TchError> {
        x.f_rms_norm(self.weight.size(), Some(&self.weight), self.epsilon)
    }
}

fn project(x: &Tensor, weight: &Tensor) -> Result<Tensor, TchError> {
    x.f_linear(weight, None::<&Tensor>)
}

struct Attention {
    query: Tensor,  // [heads · head_dim, hidden]
    key: Tensor,    // [kv_heads · head_dim, hidden]
    value: Tensor,  // [kv_heads · head_dim, hidden]
    output: Tensor, // [hidden, heads · head_dim]
    query_norm: Norm,
    key_norm: Norm,
    head_dim: i64,
    global: bool,
}

impl Attention {
    /// [batch, seq, hidden] → [batch, seq, hidden]; `cache` is this layer's slot and the first free place in
    /// it.
    fn forward(&self, x: &Tensor, pass: &Pass, cache: Option<(&KeyValues, i64)>) -> Result<Tensor, TchError> {
        let (angles, view) = if self.global { &pass.global } else { &pass.local };
        let (batch, seq) = (x.size()[0], x.size()[1]);
        let split = |projected: Tensor| projected.f_view([batch, seq, -1, self.head_dim])?.f_transpose(1, 2);
        let query = angles.rotate(&self.query_norm.forward(&split(project(x, &self.query)?)?)?)?;
        let key = angles.rotate(&self.key_norm.forward(&split(project(x, &self.key)?)?)?)?;
        let value = split(project(x, &self.value)?)?;
        let (key, value) = match cache {
            None => (key, value),
            Some((slot, at)) => slot.extend((key, value), at, view.first_key)?,
        };
        // The default scale head_dim^-½ is Gemma 3's query_pre_attn_scalar for this size.
        let mixed = Tensor::f_scaled_dot_product_attention(
            &query,
            &key,
            &value,
            view.mask.as_ref(),
            0.0,
            view.causal,
            None,
            true,
        )?; // [batch, heads, seq, head_dim]
        project(&mixed.f_transpose(1, 2)?.f_reshape([batch, seq, -1])?, &self.output)
    }
}

struct Mlp {
    gate: Tensor, // [ffn, hidden]
    up: Tensor,   // [ffn, hidden]
    down: Tensor, // [hidden, ffn]
}

impl Mlp {
    /// [batch, seq, hidden] → [batch, seq, hidden]
    fn forward(&self, x: &Tensor) -> Result<Tensor, TchError> {
        let gate = project(x, &self.gate)?.f_gelu("tanh")?;
        project(&gate.f_mul(&project(x, &self.up)?)?, &self.down)
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
    fn load(weights: &Weights<'_>, config: &Config, index: usize) -> Result<Self, ModelError> {
        let Config { hidden, head_dim, ffn, .. } = *config;
        let (queries, keys) = (config.heads * head_dim, config.kv_heads * head_dim);
        let get = |name: &str, shape: &[i64]| weights.get(&format!("blk.{index}.{name}.weight"), shape);
        let norm = |name: &str, size: i64| -> Result<Norm, ModelError> {
            Ok(Norm { weight: get(name, &[size])?, epsilon: config.norm_epsilon })
        };
        Ok(Layer {
            attention_norm: norm("attn_norm", hidden)?,
            attention: Attention {
                query: get("attn_q", &[queries, hidden])?,
                key: get("attn_k", &[keys, hidden])?,
                value: get("attn_v", &[keys, hidden])?,
                output: get("attn_output", &[hidden, queries])?,
                query_norm: norm("attn_q_norm", head_dim)?,
                key_norm: norm("attn_k_norm", head_dim)?,
                head_dim,
                global: (index + 1).is_multiple_of(GLOBAL_EVERY),
            },
            post_attention_norm: norm("post_attention_norm", hidden)?,
            mlp_norm: norm("ffn_norm", hidden)?,
            mlp: Mlp {
                gate: get("ffn_gate", &[ffn, hidden])?,
                up: get("ffn_up", &[ffn, hidden])?,
                down: get("ffn_down", &[hidden, ffn])?,
            },
            post_mlp_norm: norm("post_ffw_norm", hidden)?,
        })
    }

    fn forward(&self, x: Tensor, pass: &Pass, cache: Option<(&KeyValues, i64)>) -> Result<Tensor, TchError> {
        let mixed = self.attention.forward(&self.attention_norm.forward(&x)?, pass, cache)?;
        let x = x.f_add(&self.post_attention_norm.forward(&mixed)?)?;
        let fed = self.mlp.forward(&self.mlp_norm.forward(&x)?)?;
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
    embedding: Tensor, // [vocabulary, hidden], also the head
    layers: Vec<Layer>,
    norm: Norm,
    local: Rotary,
    global: Rotary,
}

impl Gemma {
    pub fn load(gguf: &Gguf<'_>, device: Device) -> Result<Self, ModelError> {
        let config = Config::from_gguf(gguf)?;
        let weights = Weights { gguf, device };
        let layers = (0..config.layers)
            .map(|index| Layer::load(&weights, &config, index))
            .collect::<Result<_, _>>()?;
        Ok(Gemma {
            embedding: weights.get("token_embd.weight", &[config.vocabulary, config.hidden])?,
            norm: Norm {
                weight: weights.get("output_norm.weight", &[config.hidden])?,
                epsilon: config.norm_epsilon,
            },
            local: Rotary::new(LOCAL_ROPE_BASE, config.head_dim, device)?,
            global: Rotary::new(config.global_rope_base, config.head_dim, device)?,
            layers,
            config,
            device,
        })
    }

    /// Hidden states [positions, hidden] of one sequence at `positions`, without a cache.
    pub fn prefill(&self, ids: &[u32], positions: Range<usize>) -> Result<Tensor, TchError> {
        let hidden = self.body(&self.ids(ids, 1)?, &[0], None)?;
        hidden.f_get(0)?.f_narrow(0, positions.start as i64, positions.len() as i64)
    }

    /// Runs the prompts as one batch: a cache with room for `capacity` more tokens, and the hidden states
    /// [batch, hidden] of the last prompt tokens.
    pub fn start(&self, prompts: &[&[u32]], capacity: usize) -> Result<(Cache, Tensor), TchError> {
        let longest = prompts.iter().map(|prompt| prompt.len()).max().unwrap_or(0);
        let batch = prompts.len() as i64;
        let mut padded = Vec::with_capacity(prompts.len() * longest);
        for prompt in prompts {
            padded.extend(std::iter::repeat_n(0, longest - prompt.len()));
            padded.extend_from_slice(prompt);
        }
        let shape = [batch, self.config.kv_heads, (longest + capacity) as i64, self.config.head_dim];
        let pads = prompts.iter().map(|prompt| (longest - prompt.len()) as i64).collect();
        let mut cache = Cache::new(self.layers.len(), shape, pads, self.device)?;
        let hidden = self.extend(&self.ids(&padded, batch)?, &mut cache)?;
        Ok((cache, hidden))
    }

    /// Appends one token to every row: the hidden states [batch, hidden] at the new tokens.
    pub fn step(&self, ids: &[u32], cache: &mut Cache) -> Result<Tensor, TchError> {
        self.extend(&self.ids(ids, ids.len() as i64)?, cache)
    }

    /// Logits [rows, vocabulary] of hidden states [rows, hidden].
    ///
    /// On a CPU through oneDNN: for the 2 to 64 rows of a decoding step MKL packs the whole embedding anew
    /// and takes 1.6 times as long. For the small matrices of the body the opposite holds.
    pub fn logits(&self, hidden: &Tensor) -> Result<Tensor, TchError> {
        if self.device != Device::Cpu || !tch::utils::has_mkldnn() {
            return project(hidden, &self.embedding);
        }
        hidden.f_to_mkldnn(None)?.f_mkldnn_linear(&self.embedding, None::<&Tensor>)?.f_to_dense(None, false)
    }

    /// Replaces every q, k, v, o, gate, up and down matrix [out, in].
    pub fn map_projections(
        &mut self,
        f: impl Fn(&Tensor) -> Result<Tensor, TchError>,
    ) -> Result<(), ModelError> {
        for projection in self.layers.iter_mut().flat_map(Layer::projections) {
            let mapped = f(projection)?.f_to_device(self.device)?;
            if mapped.size() != projection.size() || mapped.kind() != Kind::Float {
                return Err(ModelError::Mapped { found: mapped.size(), expected: projection.size() });
            }
            *projection = mapped;
        }
        Ok(())
    }

    fn ids(&self, ids: &[u32], batch: i64) -> Result<Tensor, TchError> {
        let ids: Vec<i64> = ids.iter().map(|id| i64::from(*id)).collect();
        Tensor::f_from_slice(&ids)?.f_view([batch, -1])?.f_to_device(self.device)
    }

    /// Feeds `ids` [batch, seq] behind what the cache holds: hidden states [batch, hidden] of the last slot.
    fn extend(&self, ids: &Tensor, cache: &mut Cache) -> Result<Tensor, TchError> {
        let seq = ids.size()[1];
        let hidden = self.body(ids, &cache.pads, Some(cache))?;
        cache.filled += seq;
        hidden.f_select(1, seq - 1)
    }

    /// ids [batch, seq] → [batch, seq, hidden]
    fn body(&self, ids: &Tensor, pads: &[i64], cache: Option<&Cache>) -> Result<Tensor, TchError> {
        let (batch, seq) = (ids.size()[0], ids.size()[1]);
        let filled = cache.map_or(0, |cache| cache.filled);
        let keys = filled + seq;
        let slots = Tensor::f_arange_start(filled, keys, (Kind::Int64, self.device))?;
        let offsets = Tensor::f_from_slice(pads)?.f_to_device(self.device)?.f_unsqueeze(-1)?;
        let positions = slots.f_sub(&offsets)?.f_clamp_min(0)?; // [batch, seq]
        let view = |window| View::new(pads, seq, keys, window, self.device);
        let pass = Pass {
            local: (self.local.at(&positions)?, view(Some(self.config.window))?),
            global: (self.global.at(&positions)?, view(None)?),
        };
        let embedded = self.embedding.f_index_select(0, &ids.f_view([-1])?)?.f_view([batch, seq, -1])?;
        let mut x = embedded.f_mul_scalar((self.config.hidden as f64).sqrt())?;
        for (index, layer) in self.layers.iter().enumerate() {
            x = layer.forward(x, &pass, cache.map(|cache| (&cache.layers[index], filled)))?;
        }
        self.norm.forward(&x)
    }
}

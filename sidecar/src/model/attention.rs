//! The two attention kernels.

use tch::{Kind, TchError, Tensor};

use super::cache::View;
use super::numerics::{AttentionKernel, Numerics};

/// Queries whose scores the explicit kernel holds at a time: 128 MiB of them for 4 heads over 32,768 keys.
const EXPLICIT_QUERIES: i64 = 256;

/// Queries [batch, heads, seq, head_dim]; keys and values [batch, kv_heads, keys, head_dim], as many as the view sees.
pub struct Attended<'a> {
    pub query: &'a Tensor,
    pub key: &'a Tensor,
    pub value: &'a Tensor,
    pub view: &'a View,
    /// Factor on the scores.
    pub scale: f64,
}

impl Attended<'_> {
    /// [batch, heads, seq, head_dim]
    pub fn mix(&self, numerics: Numerics) -> Result<Tensor, TchError> {
        match numerics.attention {
            AttentionKernel::Fused => Tensor::f_scaled_dot_product_attention(
                self.query,
                self.key,
                self.value,
                self.view.mask.as_ref(),
                0.0,
                self.view.causal,
                self.scale,
                true,
            ),
            AttentionKernel::Explicit => self.explicit(numerics),
        }
    }

    fn explicit(&self, numerics: Numerics) -> Result<Tensor, TchError> {
        let group = self.query.size()[1] / self.key.size()[1];
        let keys = self.key.f_repeat_interleave_self_int(group, 1, None)?.f_transpose(2, 3)?;
        let values = self.value.f_repeat_interleave_self_int(group, 1, None)?;
        let seq = self.query.size()[2];
        let mut mixed = Vec::new();
        for first in (0..seq).step_by(EXPLICIT_QUERIES as usize) {
            let count = EXPLICIT_QUERIES.min(seq - first);
            let query = self.query.f_narrow(2, first, count)?;
            let scores = query.f_matmul(&keys)?.f_mul_scalar(self.scale)?; // [batch, heads, count, keys]
            let weights =
                self.masked(scores, first)?.f_softmax(-1, Kind::Float)?.f_to_kind(numerics.kind())?;
            mixed.push(numerics.input(weights)?.f_matmul(&values)?);
        }
        Tensor::f_cat(&mixed, 2)
    }

    /// The scores of the queries from `first` on, −∞ where a query does not see a key.
    fn masked(&self, scores: Tensor, first: i64) -> Result<Tensor, TchError> {
        let count = scores.size()[2];
        if let Some(mask) = &self.view.mask {
            return scores.f_add(&mask.f_narrow(-2, first, count)?);
        }
        if !self.view.causal {
            return Ok(scores);
        }
        // A causal view without a mask has as many keys as queries.
        let options = (Kind::Bool, scores.device());
        let unseen = Tensor::f_ones([count, scores.size()[3]], options)?.f_triu(first + 1)?;
        scores.f_masked_fill(&unseen, f64::NEG_INFINITY)
    }
}

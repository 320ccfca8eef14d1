//! Rotary position embedding (<https://arxiv.org/abs/2104.09864>), the halves of a head as the two coordinates.

use tch::{Device, Kind, TchError, Tensor};

/// Rotary position embedding of one base.
pub struct Rotary {
    /// [head_dim / 2], in f32.
    frequencies: Tensor,
}

/// Cosines and sines, each [batch, 1, seq, head_dim].
pub struct Angles {
    cos: Tensor,
    sin: Tensor,
}

impl Rotary {
    pub fn new(base: f64, head_dim: i64, device: Device) -> Result<Self, TchError> {
        let frequencies: Vec<f32> =
            (0..head_dim / 2).map(|i| base.powf(-2.0 * i as f64 / head_dim as f64) as f32).collect();
        Ok(Rotary { frequencies: Tensor::f_from_slice(&frequencies)?.f_to_device(device)? })
    }

    /// For integer positions [batch, seq]; computed in f32, given as `kind`.
    pub fn at(&self, positions: &Tensor, kind: Kind) -> Result<Angles, TchError> {
        let positions = positions.f_to_kind(Kind::Float)?.f_unsqueeze(1)?.f_unsqueeze(-1)?;
        let half = positions.f_mul(&self.frequencies)?; // [batch, 1, seq, head_dim / 2]
        let full = Tensor::f_cat(&[&half, &half], -1)?;
        Ok(Angles { cos: full.f_cos()?.f_to_kind(kind)?, sin: full.f_sin()?.f_to_kind(kind)? })
    }
}

impl Angles {
    /// Rotates `x` [batch, heads, seq, head_dim].
    pub fn rotate(&self, x: &Tensor) -> Result<Tensor, TchError> {
        let half = x.size()[3] / 2;
        let turned = Tensor::f_cat(&[x.f_narrow(3, half, half)?.f_neg()?, x.f_narrow(3, 0, half)?], -1)?;
        x.f_mul(&self.cos)?.f_add(&turned.f_mul(&self.sin)?)
    }
}

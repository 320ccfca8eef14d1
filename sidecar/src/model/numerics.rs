//! Where a pass rounds, and which attention kernel it runs: the scheme of `docs/schemes.md` in code.

use assay_common::session::NumericScheme;
use tch::{Device, Kind, TchError, Tensor};

/// What is rounded between the embedding and the last norm. Sums inside an operation are f32 in all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arithmetic {
    /// Nothing is rounded below f32.
    F32,
    /// The inputs of every matrix product are rounded to bf16, attention's included; nothing else is.
    Bf16F32,
    /// Every tensor is bf16, as transformers computes: what an operation gives is rounded.
    Bf16,
}

/// How attention is computed; the two differ in the order of their sums.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttentionKernel {
    /// Torch's fused kernel: a running softmax over blocks of keys.
    Fused,
    /// Scores, softmax and weighted sum one after another; the weights are rounded like any input of a product.
    Explicit,
}

/// What generation keeps of keys and values; a pass without a cache is the same in all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CachePrecision {
    /// What was computed.
    Whole,
    /// Symmetric integers of 8 bits, one scale for each token and head. No scheme allows it.
    Int8,
    /// The same of 4 bits.
    Int4,
}

impl CachePrecision {
    /// The largest integer; none where nothing is quantised.
    fn largest(self) -> Option<f64> {
        match self {
            CachePrecision::Whole => None,
            CachePrecision::Int8 => Some(127.0),
            CachePrecision::Int4 => Some(7.0),
        }
    }
}

/// How the numbers of one pass are computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Numerics {
    pub arithmetic: Arithmetic,
    pub attention: AttentionKernel,
    /// Whether logits are rounded to bf16, as a bf16 head gives them.
    pub rounds_logits: bool,
    pub cache: CachePrecision,
}

impl Numerics {
    /// What an honest executor of the scheme runs.
    pub fn executing(scheme: NumericScheme) -> Self {
        let (arithmetic, rounds_logits) = match scheme {
            NumericScheme::Bf16F32 => (Arithmetic::Bf16F32, false),
            NumericScheme::Bf16 => (Arithmetic::Bf16, true),
        };
        Numerics {
            arithmetic,
            attention: AttentionKernel::Fused,
            rounds_logits,
            cache: CachePrecision::Whole,
        }
    }

    /// A validator's reference pass: the exact one where roundings are independent of it; the scheme's own where they
    /// share a direction, which then tells honest roundings from others.
    pub fn reference(scheme: NumericScheme) -> Self {
        let (arithmetic, attention) = match scheme {
            NumericScheme::Bf16F32 => (Arithmetic::F32, AttentionKernel::Fused),
            NumericScheme::Bf16 => (Arithmetic::Bf16, AttentionKernel::Explicit),
        };
        Numerics { arithmetic, attention, rounds_logits: false, cache: CachePrecision::Whole }
    }

    /// A validator's second pass, whose distance from the reference says how sensitive a position is.
    pub fn second(scheme: NumericScheme) -> Self {
        let (arithmetic, attention) = match scheme {
            NumericScheme::Bf16F32 => (Arithmetic::Bf16F32, AttentionKernel::Explicit),
            NumericScheme::Bf16 => (Arithmetic::Bf16, AttentionKernel::Fused),
        };
        Numerics { arithmetic, attention, rounds_logits: false, cache: CachePrecision::Whole }
    }

    /// Of the residual stream, and of the cache.
    pub fn kind(self) -> Kind {
        match self.arithmetic {
            Arithmetic::F32 | Arithmetic::Bf16F32 => Kind::Float,
            Arithmetic::Bf16 => Kind::BFloat16,
        }
    }

    /// A constant factor as the residual stream can hold it.
    pub fn constant(self, value: f64) -> Result<f64, TchError> {
        Tensor::f_from_slice(&[value])?.f_to_kind(self.kind())?.f_double_value(&[0])
    }

    /// `x` as it enters a matrix product.
    pub fn input(self, x: Tensor) -> Result<Tensor, TchError> {
        match self.arithmetic {
            Arithmetic::F32 | Arithmetic::Bf16 => Ok(x),
            Arithmetic::Bf16F32 => round(&x),
        }
    }

    /// Keys or values […, head_dim] as the cache gives them back.
    pub fn cached(self, x: Tensor) -> Result<Tensor, TchError> {
        let Some(largest) = self.cache.largest() else { return Ok(x) };
        let exact = x.f_to_kind(Kind::Float)?;
        let scale = exact.f_abs()?.f_amax([-1i64].as_slice(), true)?.f_div_scalar(largest)?;
        let scale = scale.f_clamp_min(f64::from(f32::MIN_POSITIVE))?;
        exact.f_div(&scale)?.f_round()?.f_mul(&scale)?.f_to_kind(x.kind())
    }

    /// x […, in] · weightᵀ for bf16-valued weights [out, in]: […, out] in [`Numerics::kind`].
    ///
    /// A product of two bf16 numbers is exact in f32. So on a CPU `Bf16F32` is a product of f32 tensors that hold bf16
    /// values; on a GPU, where f32 products are slow, bf16 goes in and f32 comes out.
    pub fn project(self, x: &Tensor, weight: &Tensor) -> Result<Tensor, TchError> {
        let none = None::<&Tensor>;
        match (self.arithmetic, x.device()) {
            (Arithmetic::F32, _) => x.f_linear(&weight.f_to_kind(Kind::Float)?, none),
            (Arithmetic::Bf16, _) => x.f_linear(&weight.f_to_kind(Kind::BFloat16)?, none),
            (Arithmetic::Bf16F32, Device::Cuda(_)) => {
                let flat = x.f_to_kind(Kind::BFloat16)?.f_flatten(0, -2)?;
                let product = flat.f_mm_dtype(&weight.f_to_kind(Kind::BFloat16)?.f_tr()?, Kind::Float)?;
                let mut size = x.size();
                size.pop();
                size.push(-1);
                product.f_view(size.as_slice())
            }
            (Arithmetic::Bf16F32, _) => round(x)?.f_linear(&weight.f_to_kind(Kind::Float)?, none),
        }
    }

    /// The logits that are signed, out of those of the f32 head.
    pub fn signed(self, logits: Tensor) -> Result<Tensor, TchError> {
        if self.rounds_logits {
            round(&logits)
        } else {
            Ok(logits)
        }
    }
}

/// To the nearest bf16, ties to even, held as f32.
fn round(x: &Tensor) -> Result<Tensor, TchError> {
    x.f_to_kind(Kind::BFloat16)?.f_to_kind(Kind::Float)
}

/// How weight matrices are held, so that the scheme's own passes need not convert them.
pub fn held(scheme: NumericScheme, device: Device) -> Kind {
    match (scheme, device) {
        (NumericScheme::Bf16F32, Device::Cpu) => Kind::Float,
        _ => Kind::BFloat16,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_quantised_cache_holds_each_token_and_head_to_its_own_largest() {
        let x = Tensor::from_slice(&[1.0f32, -0.31, 0.004, 0.0, 100.0, 3.0, -50.0, 0.1]).view([2, 4]);
        let honest = Numerics::executing(NumericScheme::Bf16F32);
        assert!(honest.cached(x.copy()).unwrap().equal(&x));
        for (cache, steps) in [(CachePrecision::Int8, 127.0), (CachePrecision::Int4, 7.0)] {
            let held = Numerics { cache, ..honest }.cached(x.copy()).unwrap();
            let errors = (&held - &x).abs().amax([-1i64].as_slice(), false);
            for (row, largest) in [(0, 1.0), (1, 100.0)] {
                let error = errors.double_value(&[row]);
                assert!(error > 0.0 && error <= largest / steps / 2.0 * 1.001, "{cache:?}: {error}");
            }
            assert_eq!((held.double_value(&[0, 0]), held.double_value(&[1, 0])), (1.0, 100.0));
        }
        let zeros = Tensor::zeros([1, 4], (Kind::Float, Device::Cpu));
        assert!(Numerics { cache: CachePrecision::Int4, ..honest }
            .cached(zeros.copy())
            .unwrap()
            .equal(&zeros));
    }
}

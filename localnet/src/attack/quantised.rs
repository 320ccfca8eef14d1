//! Projections in fewer bits: round to nearest, symmetric, one scale for each group of inputs.

use tch::{Kind, TchError, Tensor};

/// The largest number of fp8 e4m3 (<https://arxiv.org/abs/2209.05433>).
const LARGEST_FP8: f64 = 448.0;

/// How a weight matrix [out, in] is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Integers from −`largest` to `largest`.
    Integer { largest: i64, group: Group },
    /// E4M3, one scale for each output.
    Fp8,
}

/// The inputs of one output that share a scale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    All,
    Of(i64),
}

impl Format {
    pub const INT8_ROW: Self = Self::Integer { largest: 127, group: Group::All };
    pub const INT8_G128: Self = Self::Integer { largest: 127, group: Group::Of(128) };
    pub const INT8_G32: Self = Self::Integer { largest: 127, group: Group::Of(32) };
    pub const INT4_G32: Self = Self::Integer { largest: 7, group: Group::Of(32) };
    pub const INT4_G128: Self = Self::Integer { largest: 7, group: Group::Of(128) };

    /// The weights [out, in] that a matrix multiplication in this format uses, in f32.
    ///
    /// # Errors
    /// Inputs that the group does not divide, and torch's own failures.
    pub fn round(self, weight: &Tensor) -> Result<Tensor, TchError> {
        match self {
            Format::Integer { largest, group } => {
                let groups = weight.f_reshape([weight.size()[0], -1, group.inputs(weight)])?;
                let largest = largest as f64;
                let scale = scale(&groups, largest)?;
                let steps = groups.f_div(&scale)?.f_round()?.f_clamp(-largest, largest)?;
                steps.f_mul(&scale)?.f_reshape(weight.size())
            }
            Format::Fp8 => {
                let scale = scale(weight, LARGEST_FP8)?;
                // Rounding may end above the largest by one unit in the last place, which the format has no number for.
                let scaled = weight.f_div(&scale)?.f_clamp(-LARGEST_FP8, LARGEST_FP8)?;
                scaled.f_to_kind(Kind::Float8e4m3fn)?.f_to_kind(Kind::Float)?.f_mul(&scale)
            }
        }
    }
}

impl Group {
    fn inputs(self, weight: &Tensor) -> i64 {
        match self {
            Group::All => weight.size()[1],
            Group::Of(inputs) => inputs,
        }
    }
}

/// What the largest of the last dimension is divided by to give `largest`.
fn scale(values: &Tensor, largest: f64) -> Result<Tensor, TchError> {
    let scale = values.f_abs()?.f_amax([-1i64].as_slice(), true)?.f_div_scalar(largest)?;
    scale.f_clamp_min(f64::from(f32::MIN_POSITIVE))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::BTreeSet;

    use super::*;

    /// Two outputs of 256 inputs whose size grows along them.
    fn weight() -> Tensor {
        let value = |i: usize| ((i * 37 % 101) as f32 / 101.0 - 0.5) * (1.0 + (i % 256) as f32 / 16.0);
        Tensor::from_slice(&(0..512).map(value).collect::<Vec<_>>()).view([2, 256])
    }

    fn values(tensor: &Tensor) -> BTreeSet<u32> {
        let values = Vec::<f32>::try_from(tensor.contiguous().view(-1i64)).unwrap();
        // A negative zero is a zero.
        values.into_iter().map(|value| (value + 0.0).to_bits()).collect()
    }

    fn mean_error(format: Format) -> f64 {
        let weight = weight();
        (format.round(&weight).unwrap() - &weight).abs().mean(Kind::Float).double_value(&[])
    }

    #[test]
    fn a_group_has_no_more_values_than_its_bits_and_keeps_its_largest_within_half_a_step() {
        let weight = weight();
        for (format, largest, group) in
            [(Format::INT4_G32, 7.0, 32), (Format::INT4_G128, 7.0, 128), (Format::INT8_ROW, 127.0, 256)]
        {
            let rounded = format.round(&weight).unwrap();
            assert_eq!(rounded.size(), weight.size());
            for output in 0..2 {
                let (before, after) =
                    (weight.get(output).narrow(0, 0, group), rounded.get(output).narrow(0, 0, group));
                let peak = before.abs().max().double_value(&[]);
                assert!(values(&after).len() as f64 <= 2.0 * largest + 1.0, "{format:?}");
                assert!((after.abs().max().double_value(&[]) - peak).abs() < 1e-5 * peak);
                let error = (after - before).abs().max().double_value(&[]);
                assert!(error > 0.0 && error <= peak / largest / 2.0 * 1.001, "{format:?}: {error}");
            }
        }
    }

    #[test]
    fn more_bits_and_smaller_groups_err_less() {
        let finest_last = [
            Format::INT4_G128,
            Format::INT4_G32,
            Format::Fp8,
            Format::INT8_ROW,
            Format::INT8_G128,
            Format::INT8_G32,
        ];
        let errors = finest_last.map(mean_error);
        assert!(errors.is_sorted_by(|a, b| a > b), "{errors:?}");
    }

    #[test]
    fn fp8_errs_by_at_most_a_sixteenth_of_each_normal_weight() {
        let weight = weight();
        let rounded = Format::Fp8.round(&weight).unwrap();
        // Below 2⁻⁶ of the scaled range steps are 2⁻⁹.
        let floor = weight.abs().amax([1i64].as_slice(), true) / LARGEST_FP8 * 2f64.powi(-10);
        let allowed = (weight.abs() / 16.0).maximum(&floor) * 1.001;
        assert!(bool::try_from((rounded - &weight).abs().le_tensor(&allowed).all()).unwrap());
    }

    #[test]
    fn weights_of_zero_stay_zero() {
        let zeros = Tensor::zeros([2, 128], (Kind::Float, tch::Device::Cpu));
        for format in [Format::INT8_ROW, Format::INT4_G32, Format::Fp8] {
            assert!(format.round(&zeros).unwrap().equal(&zeros));
        }
    }

    #[test]
    fn inputs_that_no_group_divides_are_refused() {
        let weight = Tensor::ones([2, 96], (Kind::Float, tch::Device::Cpu));
        assert!(Format::INT8_G128.round(&weight).is_err());
    }
}

//! Less of the network: its smallest weights, or whole layers, are left out.

use std::ops::Range;

use tch::{TchError, Tensor};

/// Of every projection's weights, the share that is set to zero.
const PRUNED_PERCENT: usize = 25;
/// One layer in so many is dropped.
const DROPPED_OF: usize = 9;

/// The weights with the smallest quarter by magnitude set to zero.
pub fn prune(weight: &Tensor) -> Result<Tensor, TchError> {
    let magnitudes = weight.f_abs()?;
    let smallest = (weight.numel() * PRUNED_PERCENT / 100).max(1);
    let (threshold, _) = magnitudes.f_flatten(0, -1)?.f_kthvalue(smallest as i64, 0, false)?;
    weight.f_masked_fill(&magnitudes.f_le_tensor(&threshold)?, 0.0)
}

/// The layers to drop, from the middle on: those that a network misses least.
pub fn dropped_layers(layers: usize) -> Range<usize> {
    let middle = layers / 2;
    middle..middle + layers / DROPPED_OF
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_quarter_of_the_weights_goes_and_the_others_stay_as_they_are() {
        let values: Vec<f32> = (0..400).map(|i| (i * 149 % 400) as f32 - 199.75).collect();
        let weight = Tensor::from_slice(&values).view([20, 20]);
        let pruned = Vec::<f32>::try_from(prune(&weight).unwrap().view(-1i64)).unwrap();
        assert_eq!(pruned.iter().filter(|value| **value == 0.0).count(), 100);
        let kept = pruned.iter().zip(&values).filter(|(pruned, _)| **pruned != 0.0);
        assert!(kept.into_iter().all(|(pruned, value)| pruned == value && value.abs() > 49.0));
    }

    #[test]
    fn two_of_eighteen_layers_go_and_none_of_a_few() {
        assert_eq!(dropped_layers(18), 9..11);
        assert!(dropped_layers(4).is_empty());
    }
}

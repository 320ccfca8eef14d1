//! Tensors of a GGUF file onto a device.

use tch::{Device, Kind, Tensor};

use super::gguf::Gguf;
use super::quants::dequantise;
use super::ModelError;

/// Values decoded at a time while loading: 1 MiB, a multiple of every block size.
const LOAD_CHUNK: usize = 1 << 18;

/// Reads tensors of the file onto a device, checking their shapes.
pub struct Weights<'a> {
    pub gguf: &'a Gguf<'a>,
    pub device: Device,
}

impl Weights<'_> {
    /// The vector `name` in f32, as stored.
    pub fn vector(&self, name: &str, size: i64) -> Result<Tensor, ModelError> {
        self.get(name, &[size], Kind::Float, Kind::Float)
    }

    /// The matrix `name`, its values rounded to bf16 and held as `held`.
    pub fn matrix(&self, name: &str, shape: [i64; 2], held: Kind) -> Result<Tensor, ModelError> {
        self.get(name, &shape, Kind::BFloat16, held)
    }

    /// Decoded piecewise, so that no second copy of the tensor exists; torch rounds to nearest, ties to even.
    fn get(&self, name: &str, shape: &[i64], rounded: Kind, held: Kind) -> Result<Tensor, ModelError> {
        let expected: Vec<u64> = shape.iter().map(|dim| dim.unsigned_abs()).collect();
        let view = self.gguf.tensor(name, &expected)?;
        let total: usize = shape.iter().map(|dim| *dim as usize).product();
        let tensor = Tensor::f_empty([total as i64], (held, self.device))?;
        let mut values = vec![0f32; LOAD_CHUNK.min(total)];
        for start in (0..total).step_by(LOAD_CHUNK) {
            let length = LOAD_CHUNK.min(total - start);
            let values = &mut values[..length];
            let encoded =
                view.blocks(start..start + length).expect("chunks are whole blocks inside a checked tensor");
            dequantise(view.encoding, encoded, values);
            let piece = Tensor::f_from_slice(values)?.f_to_kind(rounded)?;
            tensor.f_narrow(0, start as i64, length as i64)?.f_copy_(&piece)?;
        }
        Ok(tensor.f_view(shape)?)
    }
}

//! Tensors of a GGUF file onto a device, in f32.

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
    /// The tensor `name` in f32; decoded piecewise, so that no second copy of it exists.
    pub fn get(&self, name: &str, shape: &[i64]) -> Result<Tensor, ModelError> {
        let expected: Vec<u64> = shape.iter().map(|dim| dim.unsigned_abs()).collect();
        let view = self.gguf.tensor(name, &expected)?;
        let total: usize = shape.iter().map(|dim| *dim as usize).product();
        let tensor = Tensor::f_empty([total as i64], (Kind::Float, self.device))?;
        let mut values = vec![0f32; LOAD_CHUNK.min(total)];
        for start in (0..total).step_by(LOAD_CHUNK) {
            let length = LOAD_CHUNK.min(total - start);
            let values = &mut values[..length];
            let encoded =
                view.blocks(start..start + length).expect("chunks are whole blocks inside a checked tensor");
            dequantise(view.encoding, encoded, values);
            tensor.f_narrow(0, start as i64, length as i64)?.f_copy_(&Tensor::f_from_slice(values)?)?;
        }
        Ok(tensor.f_view(shape)?)
    }
}

//! The block encodings of ggml that the pinned model uses, and their exact values in f32.
//!
//! Reference: `dequantize_row_*` in <https://github.com/ggml-org/ggml/blob/master/src/ggml-quants.c>.

/// How the values of a tensor are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    F32,
    F16,
    Q5_0,
    Q8_0,
    Q4K,
    Q6K,
}

impl Encoding {
    /// From ggml's `ggml_type`; `None` for types that are not read.
    pub fn from_code(code: u32) -> Option<Self> {
        Some(match code {
            0 => Encoding::F32,
            1 => Encoding::F16,
            6 => Encoding::Q5_0,
            8 => Encoding::Q8_0,
            12 => Encoding::Q4K,
            14 => Encoding::Q6K,
            _ => return None,
        })
    }

    /// Values in one block.
    pub fn block_elements(self) -> usize {
        match self {
            Encoding::F32 | Encoding::F16 => 1,
            Encoding::Q5_0 | Encoding::Q8_0 => 32,
            Encoding::Q4K | Encoding::Q6K => 256,
        }
    }

    /// Stored size of one block.
    pub fn block_bytes(self) -> usize {
        match self {
            Encoding::F32 => 4,
            Encoding::F16 => 2,
            Encoding::Q5_0 => 22,
            Encoding::Q8_0 => 34,
            Encoding::Q4K => 144,
            Encoding::Q6K => 210,
        }
    }
}

/// Decodes whole blocks into `values`, which must hold exactly the elements of those blocks.
pub fn dequantise(encoding: Encoding, blocks: &[u8], values: &mut [f32]) {
    let (elements, bytes) = (encoding.block_elements(), encoding.block_bytes());
    assert_eq!(blocks.len() / bytes * elements, values.len(), "one value slot for each stored element");
    let decode = match encoding {
        Encoding::F32 => f32_block,
        Encoding::F16 => |block: &[u8], values: &mut [f32]| values[0] = half(block, 0),
        Encoding::Q5_0 => q5_0_block,
        Encoding::Q8_0 => q8_0_block,
        Encoding::Q4K => q4_k_block,
        Encoding::Q6K => q6_k_block,
    };
    for (block, values) in blocks.chunks_exact(bytes).zip(values.chunks_exact_mut(elements)) {
        decode(block, values);
    }
}

/// The IEEE binary16 number at byte `at`.
fn half(block: &[u8], at: usize) -> f32 {
    let bits = u16::from_le_bytes([block[at], block[at + 1]]);
    let exponent = (bits >> 10) & 31;
    let fraction = f32::from(bits & 1023);
    let magnitude = match exponent {
        0 => fraction * 2f32.powi(-24),
        31 if fraction == 0.0 => f32::INFINITY,
        31 => f32::NAN,
        _ => (1.0 + fraction / 1024.0) * 2f32.powi(i32::from(exponent) - 15),
    };
    if bits >> 15 == 1 {
        -magnitude
    } else {
        magnitude
    }
}

fn f32_block(block: &[u8], values: &mut [f32]) {
    values[0] = f32::from_le_bytes([block[0], block[1], block[2], block[3]]);
}

/// `{ d: f16, qs: [i8; 32] }`
fn q8_0_block(block: &[u8], values: &mut [f32]) {
    let scale = half(block, 0);
    for (value, byte) in values.iter_mut().zip(&block[2..]) {
        *value = scale * f32::from(byte.cast_signed());
    }
}

/// `{ d: f16, qh: u32, qs: [u8; 16] }`: the fifth bit of value j is bit j of qh; values 16..32 are the high
/// nibbles.
fn q5_0_block(block: &[u8], values: &mut [f32]) {
    let scale = half(block, 0);
    let high = u32::from_le_bytes([block[2], block[3], block[4], block[5]]);
    let (first, second) = values.split_at_mut(16);
    for (j, byte) in block[6..].iter().enumerate() {
        let low_high = ((high >> j) & 1) as u8;
        let top_high = ((high >> (j + 16)) & 1) as u8;
        first[j] = scale * (f32::from((byte & 15) | low_high << 4) - 16.0);
        second[j] = scale * (f32::from((byte >> 4) | top_high << 4) - 16.0);
    }
}

/// `{ d: f16, dmin: f16, scales: [u8; 12], qs: [u8; 128] }`: eight groups of 32 with 6-bit scale and minimum.
fn q4_k_block(block: &[u8], values: &mut [f32]) {
    let (scale, minimum) = (half(block, 0), half(block, 2));
    let packed = &block[4..16];
    for (pair, nibbles) in block[16..].chunks_exact(32).enumerate() {
        let (low_scale, low_min) = q4_k_scale(packed, 2 * pair);
        let (high_scale, high_min) = q4_k_scale(packed, 2 * pair + 1);
        let (low_scale, low_min) = (scale * low_scale, minimum * low_min);
        let (high_scale, high_min) = (scale * high_scale, minimum * high_min);
        let (low, high) = values[64 * pair..64 * pair + 64].split_at_mut(32);
        for (j, byte) in nibbles.iter().enumerate() {
            low[j] = low_scale * f32::from(byte & 15) - low_min;
            high[j] = high_scale * f32::from(byte >> 4) - high_min;
        }
    }
}

/// Scale and minimum of group `j`, both 6 bits: groups 4..8 keep their top two bits in the bytes of groups
/// 0..4.
fn q4_k_scale(packed: &[u8], j: usize) -> (f32, f32) {
    let (scale, minimum) = if j < 4 {
        (packed[j] & 63, packed[j + 4] & 63)
    } else {
        ((packed[j + 4] & 15) | (packed[j - 4] >> 6) << 4, (packed[j + 4] >> 4) | (packed[j] >> 6) << 4)
    };
    (f32::from(scale), f32::from(minimum))
}

/// `{ ql: [u8; 128], qh: [u8; 64], scales: [i8; 16], d: f16 }`: two halves of 128, groups of 16 with 8-bit
/// scales.
fn q6_k_block(block: &[u8], values: &mut [f32]) {
    let scale = half(block, 208);
    for (part, values) in values.chunks_exact_mut(128).enumerate() {
        let low = &block[64 * part..64 * part + 64];
        let high = &block[128 + 32 * part..128 + 32 * part + 32];
        let scales = &block[192 + 8 * part..192 + 8 * part + 8];
        for l in 0..32 {
            let quants = [
                (low[l] & 15) | (high[l] & 3) << 4,
                (low[l + 32] & 15) | (high[l] >> 2 & 3) << 4,
                (low[l] >> 4) | (high[l] >> 4 & 3) << 4,
                (low[l + 32] >> 4) | (high[l] >> 6) << 4,
            ];
            for (k, quant) in quants.into_iter().enumerate() {
                let group = scale * f32::from(scales[l / 16 + 2 * k].cast_signed());
                values[l + 32 * k] = group * (f32::from(quant) - 32.0);
            }
        }
    }
}

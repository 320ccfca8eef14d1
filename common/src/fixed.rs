//! Logarithm and power in binary fixed point: the same integers natively and in wasm, from shifts, products and tables.

pub mod tables;

use tables::{EXP2_NEG, LOG2, TAIL};

/// 1.0 in Q36, the format of logarithms.
pub const ONE_Q36: i64 = 1 << 36;

/// 1.0 in Q32, the format of [`exp2_neg`].
pub const ONE_Q32: u64 = 1 << 32;

/// A cubic at t in [0, 1), Q32, by Horner's rule; Q36, each product rounded down.
///
/// The coefficients stay below 2³⁶ and those multiplied by t below 2³¹, so no product leaves i64.
fn cubic(coefficients: &[i64; 4], t: i64) -> i64 {
    let [c0, c1, c2, c3] = coefficients;
    let inner = ((c3 * t) >> 32) + c2;
    let inner = ((inner * t) >> 32) + c1;
    ((inner * t) >> 32) + c0
}

/// log2 x in Q36, within 3.3e-10; x must not be 0.
///
/// Exact at powers of two. One segment for each 64th of an octave.
pub fn log2_q36(x: u64) -> i64 {
    debug_assert!(x != 0, "0 has no logarithm");
    let zeros = x.leading_zeros().min(63);
    let mantissa = x << zeros;
    let segment = (mantissa >> 57) & 63;
    let t = (mantissa >> 25) & 0xffff_ffff;
    i64::from(63 - zeros) * ONE_Q36 + cubic(&LOG2[segment as usize], t as i64)
}

/// 2^−e in Q32 for e in Q24, within 1.3 units of Q32; 0 from e = 37 on.
///
/// Exact for whole e, and never rising with e.
pub fn exp2_neg(e_q24: u64) -> u64 {
    let whole = e_q24 >> 24;
    if whole > 36 {
        return 0;
    }
    let fraction = e_q24 & 0xff_ffff;
    let segment = fraction >> 18;
    let t = (fraction & 0x3_ffff) << 14;
    let q36 = cubic(&EXP2_NEG[segment as usize], t as i64);
    (q36 as u64) >> (whole + 4)
}

/// log2(−log2(1 − v)/v) in Q36 for v = `v_q65`/2⁶⁵ at most ½, within 1e-10.
///
/// As v falls to 0 this tends to log2(1/ln 2), and −log2(−log2(1 − v)) is −log2 v less this: no digits cancel, however small v.
pub(crate) fn log2_tail_q36(v_q65: u64) -> i64 {
    let segment = v_q65 >> 58;
    let t = (v_q65 >> 26) & 0xffff_ffff;
    cubic(&TAIL[segment as usize], t as i64)
}

//! The upper tail of the standard normal distribution.

/// Terms of the series and of the fraction: both have converged long before.
const TERMS: u32 = 400;
/// From here on the continued fraction converges faster than the series.
const FAR: f64 = 3.0;

/// Q(x), the chance of a value above x; relative error under 1e-12.
///
/// Taylor series of the error function (DLMF 7.6.2) near zero, continued fraction (DLMF 7.9.3) beyond 3.
pub fn above(x: f64) -> f64 {
    if x < 0.0 {
        return 1.0 - above(-x);
    }
    let density = (-x * x / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt();
    if x < FAR {
        let (mut term, mut sum) = (x, x);
        for n in 1..TERMS {
            term *= x * x / f64::from(2 * n + 1);
            sum += term;
        }
        return 0.5 - density * sum;
    }
    // Q = φ/(x + 1/(x + 2/(x + 3/(x + …)))), from the far end.
    let fraction = (1..TERMS).rev().fold(x, |rest, n| x + f64::from(n) / rest);
    density / fraction
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tails_are_those_of_the_tables() {
        let table = [
            (0.0, 0.5),
            (1.0, 0.158_655_253_931_457_05),
            (2.0, 0.022_750_131_948_179_2),
            (2.999, 0.001_354_336_533_727_106_6),
            (3.090_232_306_167_813_5, 0.001),
            (5.0, 2.866_515_718_791_939e-7),
        ];
        for (x, expected) in table {
            let found = above(x);
            assert!((found / expected - 1.0).abs() < 1e-8, "{x}: {found} {expected}");
            assert!((above(-x) - (1.0 - expected)).abs() < 1e-12);
        }
    }
}

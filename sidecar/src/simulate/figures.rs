//! How figures are written in tables and on the page.

/// A share in per cent, to three significant digits.
pub fn percent(share: f64) -> String {
    format!("{} %", significant(share * 100.0))
}

/// A difference as a share in per cent, with its sign, to a tenth.
pub fn signed_percent(share: f64) -> String {
    format!("{}{:.1} %", if share < 0.0 { '−' } else { '+' }, share.abs() * 100.0)
}

/// To three significant digits without trailing zeros, in scientific notation where it is small.
pub fn significant(value: f64) -> String {
    let size = value.abs();
    if size == 0.0 {
        "0".into()
    } else if size < 1e-3 {
        format!("{value:.1e}")
    } else {
        let decimals = (2 - size.log10().floor() as i32).clamp(0, 5) as usize;
        let digits = format!("{value:.decimals$}");
        let short = if decimals > 0 { digits.trim_end_matches('0').trim_end_matches('.') } else { &digits };
        short.into()
    }
}

/// An amount with separators; below a hundred to one decimal.
pub fn amount(value: f64) -> String {
    if value.abs() < 100.0 {
        format!("{value:.1}")
    } else {
        whole(value.round() as i64)
    }
}

/// A whole number with separators.
pub fn whole(value: i64) -> String {
    let digits = value.unsigned_abs().to_string();
    let mut text = String::from(if value < 0 { "−" } else { "" });
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// An amount, bold where cheating pays.
pub fn paying(amount_gained: f64) -> String {
    let text =
        if amount_gained > 0.0 { format!("+{}", amount(amount_gained)) } else { amount(amount_gained) };
    if amount_gained > 0.0 {
        format!("**{text}**")
    } else {
        text
    }
}

/// A Markdown table.
pub fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let head: Vec<String> = head.iter().map(|cell| cell.to_string()).collect();
    let rule = vec!["---".to_string(); head.len()];
    let mut text = line(&head) + &line(&rule);
    for row in rows {
        text += &line(row);
    }
    text
}

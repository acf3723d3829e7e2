//! Numbers as people read them.

/// So many significant digits, without an exponent between a ten-thousandth and ten million.
pub(crate) fn digits(x: f64, count: i32) -> String {
    if x == 0.0 || !x.is_finite() {
        return minus(&format!("{x}"));
    }
    // The size after rounding: 9.996 has two digits before the point where three are shown.
    let rounded: f64 = format!("{:.*e}", (count - 1).max(0) as usize, x).parse().unwrap_or(x);
    let size = rounded.abs().log10().floor() as i32;
    match (-4..7).contains(&size) {
        true => minus(&format!("{:.*}", (count - 1 - size).max(0) as usize, x)),
        false => power(x, count),
    }
}

/// A loss.
pub(crate) fn loss(x: f64) -> String {
    digits(x, 5)
}

/// In powers of ten: `3.2 × 10¹³`.
pub(crate) fn power(x: f64, count: i32) -> String {
    if x == 0.0 || !x.is_finite() {
        return minus(&format!("{x}"));
    }
    let text = format!("{:.*e}", (count - 1).max(0) as usize, x);
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    match mantissa {
        "1" => format!("10{}", raised(exponent)),
        mantissa => format!("{} × 10{}", minus(mantissa), raised(exponent)),
    }
}

/// Raised digits.
pub(crate) fn raised(exponent: &str) -> String {
    let digit = |c: char| match c {
        '-' => '⁻',
        '1' => '¹',
        '2' => '²',
        '3' => '³',
        '0'..='9' => char::from_u32('⁰' as u32 + c as u32 - '0' as u32).unwrap_or(c),
        c => c,
    };
    exponent.chars().map(digit).collect()
}

/// With a letter for thousands, millions and so on: `12.3 k`.
pub(crate) fn short(x: f64) -> String {
    let letters = [(1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")];
    match letters.iter().find(|(unit, _)| x.abs() >= 0.9995 * unit) {
        Some(_) if x.abs() >= 1e15 => power(x, 3),
        Some((unit, letter)) => format!("{} {letter}", digits(x / unit, 3)),
        None => digits(x, 3),
    }
}

/// A share as `+1.23 %`, with a sign always.
pub(crate) fn signed_percent(share: f64) -> String {
    let text = minus(&format!("{:.2} %", 100.0 * share));
    let zero = text.trim_start_matches('−') == "0.00 %";
    match text.starts_with('−') || share.is_nan() {
        _ if zero => "±0.00 %".into(),
        true => text,
        false => format!("+{text}"),
    }
}

/// A share as `12 %`.
pub(crate) fn percent(share: f64, decimals: usize) -> String {
    minus(&format!("{:.decimals$} %", 100.0 * share))
}

/// How many times: `33×`.
pub(crate) fn times(x: f64) -> String {
    format!("{}×", digits(x, if x >= 100.0 { 3 } else { 2 }))
}

/// The sign for less than nothing, instead of a hyphen.
pub(crate) fn minus(text: &str) -> String {
    text.replace('-', "−")
}

/// A count and its noun.
pub(crate) fn count(n: usize, one: &str, many: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { many })
}

/// Seconds since 1970 as `2026-11-25 03:10 UTC`, after the calendar algorithm of Fliegel and Van Flandern (1968).
pub(crate) fn date(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    // Beyond this the algorithm's numbers overflow, and no clock stands there.
    let Ok(days) = i64::try_from(days.min(1 << 40)) else { return String::new() };
    let l = days + 2_440_588 + 68_569;
    let n = 4 * l / 146_097;
    let l = l - (146_097 * n + 3) / 4;
    let i = 4000 * (l + 1) / 1_461_001;
    let l = l - 1461 * i / 4 + 31;
    let j = 80 * l / 2447;
    let day = l - 2447 * j / 80;
    let l = j / 11;
    let (month, year) = (j + 2 - 12 * l, 100 * (n - 49) + i + l);
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02} UTC", rest / 3600, rest / 60 % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_significant() {
        assert_eq!(digits(1.23456, 3), "1.23");
        assert_eq!(digits(9.996, 3), "10.0");
        assert_eq!(digits(-0.01234, 2), "−0.012");
        assert_eq!(digits(1234.0, 2), "1234");
        assert_eq!(digits(0.0, 3), "0");
        assert_eq!(digits(3.2e13, 2), "3.2 × 10¹³");
        assert_eq!(digits(f64::NAN, 2), "NaN");
    }

    #[test]
    fn powers_and_letters() {
        assert_eq!((power(1e10, 1), power(2.5e-7, 2)), ("10¹⁰".into(), "2.5 × 10⁻⁷".into()));
        assert_eq!([999.9, 4632.0, 1e6, 2.34e9].map(short), ["1.00 k", "4.63 k", "1.00 M", "2.34 G"]);
        assert_eq!((times(33.333), times(214.4)), ("33×".into(), "214×".into()));
    }

    #[test]
    fn signs_are_shown() {
        assert_eq!([0.0123, -0.00456, -0.00001].map(signed_percent), ["+1.23 %", "−0.46 %", "±0.00 %"]);
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        assert_eq!(date(0), "1970-01-01 00:00 UTC");
        assert_eq!(date(951_782_399), "2000-02-28 23:59 UTC");
        assert_eq!(date(951_782_400), "2000-02-29 00:00 UTC");
        assert_eq!(date(1_764_031_234), "2025-11-25 00:40 UTC");
        date(u64::MAX);
    }
}

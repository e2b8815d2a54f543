//! Formats and parses numbers like Python.

use crate::budget::Budget;
use crate::fault::{Res, fail, limit};
use crate::platform;

/// Maximum precision that a template may ask for.
const MAX_PRECISION: usize = 1000;

/// `repr(float)`: the shortest decimal that reads back as the same number.
pub(crate) fn float_repr(x: f64) -> String {
    if !x.is_finite() {
        return non_finite(x, false);
    }
    let (digits, exponent) = shortest(x);
    let sign = if x.is_sign_negative() { "-" } else { "" };
    [sign, &layout(&digits, exponent, 17, true, false)].concat()
}

fn non_finite(x: f64, upper: bool) -> String {
    let text = if x.is_nan() {
        "nan"
    } else if x > 0.0 {
        "inf"
    } else {
        "-inf"
    };
    if upper { text.to_ascii_uppercase() } else { text.to_string() }
}

/// The digits without a decimal point, and the exponent of the first one.
fn shortest(x: f64) -> (String, i32) {
    split(&platform::scientific(x.abs()))
}

fn split(scientific: &str) -> (String, i32) {
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((scientific, "0"));
    (mantissa.replace('.', ""), exponent.parse().unwrap_or(0))
}

/// Places the decimal point. An exponent is used if it is below -4, or at least `precision - 1`.
fn layout(digits: &str, exponent: i32, precision: i32, point: bool, upper: bool) -> String {
    let mut out = String::new();
    if (-4..precision - i32::from(point)).contains(&exponent) {
        if exponent < 0 {
            out.push_str("0.");
            out.extend(std::iter::repeat_n('0', (-exponent - 1) as usize));
            out.push_str(digits);
        } else {
            let whole = exponent as usize + 1;
            if digits.len() <= whole {
                out.push_str(digits);
                out.extend(std::iter::repeat_n('0', whole - digits.len()));
                if point {
                    out.push_str(".0");
                }
            } else {
                out.push_str(&digits[..whole]);
                out.push('.');
                out.push_str(&digits[whole..]);
            }
        }
        return out;
    }
    out.push_str(&digits[..1]);
    if digits.len() > 1 {
        out.push('.');
        out.push_str(&digits[1..]);
    }
    out.push_str(&power(exponent, upper));
    out
}

/// The exponent: a sign and at least two digits.
fn power(exponent: i32, upper: bool) -> String {
    let letter = if upper { 'E' } else { 'e' };
    format!("{letter}{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs())
}

/// The digits of a number without its sign, in the format `kind` (one of `eEfFgG`).
pub(crate) fn float_digits(x: f64, kind: char, precision: Option<usize>, alternate: bool) -> Res<String> {
    let precision = precision.unwrap_or(6);
    if precision > MAX_PRECISION {
        return limit("asks for", MAX_PRECISION as u64, " digits of a number");
    }
    let (upper, x) = (kind.is_ascii_uppercase(), x.abs());
    if !x.is_finite() {
        return Ok(non_finite(x, upper));
    }
    Ok(match kind.to_ascii_lowercase() {
        'f' => {
            let text = format!("{x:.precision$}");
            if alternate && precision == 0 { text + "." } else { text }
        }
        'e' => {
            let text = format!("{x:.precision$e}");
            let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
            let point = if alternate && precision == 0 { "." } else { "" };
            [mantissa, point, &power(exponent.parse().unwrap_or(0), upper)].concat()
        }
        _ => {
            let precision = precision.max(1);
            let (digits, exponent) = split(&format!("{x:.*e}", precision - 1));
            if alternate {
                let text = layout(&digits, exponent, precision as i32, false, upper);
                return Ok(if text.contains('.') { text } else { text + "." });
            }
            let kept = digits.trim_end_matches('0');
            layout(if kept.is_empty() { "0" } else { kept }, exponent, precision as i32, false, upper)
        }
    })
}

/// An integer in the base of `kind`, without its sign.
pub(crate) fn int_digits(i: i64, kind: char) -> String {
    let i = i.unsigned_abs();
    match kind {
        'x' => format!("{i:x}"),
        'X' => format!("{i:X}"),
        'o' => format!("{i:o}"),
        'b' => format!("{i:b}"),
        _ => i.to_string(),
    }
}

/// A parsed format specification of `format(value, spec)`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Spec {
    pub(crate) fill: Option<char>,
    pub(crate) align: Option<char>,
    pub(crate) sign: Option<char>,
    pub(crate) negative_zero: bool,
    pub(crate) alternate: bool,
    pub(crate) width: usize,
    pub(crate) grouping: Option<char>,
    pub(crate) precision: Option<usize>,
    pub(crate) kind: Option<char>,
}

impl Spec {
    pub(crate) fn parse(text: &str) -> Res<Self> {
        let mut spec = Spec::default();
        let mut rest: Vec<char> = text.chars().collect();
        let is_align = |c: Option<&char>| c.is_some_and(|c| "<>=^".contains(*c));
        if is_align(rest.get(1)) {
            (spec.fill, spec.align) = (Some(rest[0]), Some(rest[1]));
            rest.drain(..2);
        } else if is_align(rest.first()) {
            spec.align = Some(rest.remove(0));
        }
        let mut rest = rest.into_iter().peekable();
        spec.sign = rest.next_if(|c| "+- ".contains(*c));
        spec.negative_zero = rest.next_if_eq(&'z').is_some();
        spec.alternate = rest.next_if_eq(&'#').is_some();
        if rest.next_if_eq(&'0').is_some() {
            spec.fill = spec.fill.or(Some('0'));
            spec.align = spec.align.or(Some('='));
        }
        let number = |rest: &mut std::iter::Peekable<std::vec::IntoIter<char>>| {
            let mut found = None;
            while let Some(d) = rest.next_if(char::is_ascii_digit).and_then(|c| c.to_digit(10)) {
                found = Some(found.unwrap_or(0usize).saturating_mul(10).saturating_add(d as usize));
            }
            found
        };
        spec.width = number(&mut rest).unwrap_or(0);
        spec.grouping = rest.next_if(|c| ",_".contains(*c));
        if rest.next_if_eq(&'.').is_some() {
            spec.precision = match number(&mut rest) {
                Some(n) => Some(n),
                None => return fail("ValueError: Format specifier missing precision"),
            };
        }
        spec.kind = rest.next();
        match rest.next() {
            None => Ok(spec),
            Some(_) => fail("ValueError: Invalid format specifier"),
        }
    }

    /// Pads to the width. `prefix` (a sign, `0x`) goes before padding zeros.
    pub(crate) fn pad(&self, budget: &Budget, prefix: &str, body: &str, align: char) -> Res<String> {
        let length = prefix.chars().count() + body.chars().count();
        let missing = self.width.saturating_sub(length);
        let fill = self.fill.unwrap_or(' ');
        budget.text(missing.saturating_mul(fill.len_utf8()).saturating_add(prefix.len() + body.len()))?;
        let fill = |n: usize| fill.to_string().repeat(n);
        Ok(match self.align.unwrap_or(align) {
            '<' => [prefix, body, &fill(missing)].concat(),
            '^' => [&fill(missing / 2), prefix, body, &fill(missing - missing / 2)].concat(),
            '=' => [prefix, &fill(missing), body].concat(),
            _ => [&fill(missing), prefix, body].concat(),
        })
    }

    pub(crate) fn sign_of(&self, negative: bool) -> &'static str {
        match (negative, self.sign) {
            (true, _) => "-",
            (false, Some('+')) => "+",
            (false, Some(' ')) => " ",
            (false, _) => "",
        }
    }

    /// Formats a string; fails if the specification is for numbers.
    pub(crate) fn text(&self, budget: &Budget, text: &str) -> Res<String> {
        if !matches!(self.kind, None | Some('s')) {
            return fail(format!(
                "ValueError: Unknown format code '{}' for object of type 'str'",
                self.kind.unwrap_or('s')
            ));
        }
        if self.sign.is_some() || self.alternate || self.align == Some('=') && self.fill != Some('0') {
            return fail("ValueError: sign, '#' or '=' not allowed in string format specifier");
        }
        if self.grouping.is_some() {
            return fail("ValueError: Cannot specify ',' with 's'.");
        }
        let cut: String = text.chars().take(self.precision.unwrap_or(usize::MAX)).collect();
        let mut spec = self.clone();
        if spec.align == Some('=') {
            spec.align = Some('<');
        }
        spec.pad(budget, "", &cut, '<')
    }

    pub(crate) fn int(&self, budget: &Budget, i: i64) -> Res<String> {
        let kind = self.kind.unwrap_or('d');
        if "eEfFgG%".contains(kind) {
            return self.float(budget, i as f64);
        }
        if kind == 'c' {
            let c = u32::try_from(i).ok().and_then(char::from_u32);
            return match c {
                Some(c) => self.pad(budget, "", &c.to_string(), '<'),
                None => fail("OverflowError: %c arg not in range(0x110000)"),
            };
        }
        if !"bdoxXn".contains(kind) {
            return fail(format!("ValueError: Unknown format code '{kind}' for object of type 'int'"));
        }
        if self.precision.is_some() {
            return fail("ValueError: Precision not allowed in integer format specifier");
        }
        let prefix = match kind {
            'b' | 'o' | 'x' | 'X' if self.alternate => format!("0{kind}"),
            _ => String::new(),
        };
        let every = if kind == 'd' || kind == 'n' { 3 } else { 4 };
        let sign = [self.sign_of(i < 0), &prefix].concat();
        let digits = self.grouped(&int_digits(i, kind), every, sign.len());
        self.pad(budget, &sign, &digits, '>')
    }

    pub(crate) fn float(&self, budget: &Budget, x: f64) -> Res<String> {
        let mut digits = match self.kind {
            None => {
                // Like `repr`, or like `g` with at least one digit after the point.
                match self.precision {
                    None => float_repr(x.abs()),
                    Some(_) if !x.is_finite() => float_digits(x, 'g', None, false)?,
                    Some(p) => {
                        let (all, exponent) = split(&format!("{:.*e}", p.max(1) - 1, x.abs()));
                        let kept = all.trim_end_matches('0');
                        layout(if kept.is_empty() { "0" } else { kept }, exponent, p.max(1) as i32, true, false)
                    }
                }
            }
            Some('%') => float_digits(x * 100.0, 'f', self.precision, self.alternate)? + "%",
            Some('n') => float_digits(x, 'g', self.precision, self.alternate)?,
            Some(kind) if "eEfFgG".contains(kind) => float_digits(x, kind, self.precision, self.alternate)?,
            Some(kind) => {
                return fail(format!("ValueError: Unknown format code '{kind}' for object of type 'float'"));
            }
        };
        let zero = self.negative_zero && !digits.chars().any(|c| ('1'..='9').contains(&c));
        let sign = self.sign_of(x.is_sign_negative() && !x.is_nan() && !zero);
        if x.is_finite() {
            let whole = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
            let tail = digits.split_off(whole);
            digits = self.grouped(&digits, 3, sign.len() + tail.len()) + &tail;
        }
        self.pad(budget, sign, &digits, '>')
    }

    /// Digits with separators; zeros that pad to the width are separated, too.
    fn grouped(&self, digits: &str, every: usize, beside: usize) -> String {
        let Some(mark) = self.grouping else { return digits.to_string() };
        let group = |digits: &str| {
            let mut out = String::new();
            for (at, c) in digits.chars().enumerate() {
                if at > 0 && (digits.len() - at).is_multiple_of(every) {
                    out.push(mark);
                }
                out.push(c);
            }
            out
        };
        let mut out = group(digits);
        if self.fill == Some('0') && self.align == Some('=') {
            let mut longer = digits.to_string();
            while out.len() + beside < self.width.min(MAX_PRECISION) {
                longer.insert(0, '0');
                out = group(&longer);
            }
        }
        out
    }
}

/// `int(text, base)`.
pub(crate) fn parse_int(text: &str, base: i64) -> Option<Res<i64>> {
    let text = text.trim_matches(crate::unicode::is_space);
    let (negative, body) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let mut base = u32::try_from(base).ok().filter(|b| *b == 0 || (2..=36).contains(b))?;
    let mut digits = body;
    let prefix = body.get(..2).unwrap_or_default().to_ascii_lowercase();
    let of_prefix = match prefix.as_str() {
        "0b" => 2,
        "0o" => 8,
        "0x" => 16,
        _ => 0,
    };
    if of_prefix > 0 && (base == 0 || base == of_prefix) {
        (base, digits) = (of_prefix, &body[2..]);
        digits = digits.strip_prefix('_').unwrap_or(digits);
    } else if base == 0 {
        base = 10;
        if body.starts_with('0') && body.chars().any(|c| c != '0' && c != '_') {
            return None;
        }
    }
    let underscores = digits.starts_with('_') || digits.ends_with('_') || digits.contains("__");
    if digits.is_empty() || underscores {
        return None;
    }
    let mut plain = String::new();
    for c in digits.chars().filter(|c| *c != '_') {
        let digit = if c.is_ascii() { c.to_digit(base) } else { crate::unicode::decimal(c).filter(|d| *d < base) };
        plain.push(char::from_digit(digit?, base)?);
    }
    Some(match i64::from_str_radix(&plain, base) {
        Ok(i) => Ok(if negative { -i } else { i }),
        Err(_) => limit("reads an integer of", 63, " bits"),
    })
}

/// Whether a text is digits with an optional point and an optional exponent.
fn is_number(text: &str) -> bool {
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
    digits(whole) && digits(fraction) && whole.len() + fraction.len() > 0 && digits(exponent) && !exponent.is_empty()
}

/// `float(text)`.
pub(crate) fn parse_float(text: &str) -> Option<f64> {
    let text = text.trim_matches(crate::unicode::is_space);
    if text.starts_with('_') || text.ends_with('_') || text.contains("__") {
        return None;
    }
    let plain: String = text.chars().filter(|c| *c != '_').collect();
    let (negative, body) = match plain.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, plain.strip_prefix('+').unwrap_or(&plain)),
    };
    let value = match body.to_ascii_lowercase().as_str() {
        "inf" | "infinity" => f64::INFINITY,
        "nan" => f64::NAN,
        _ if is_number(body) => platform::parse_float(body),
        _ => return None,
    };
    Some(if negative { -value } else { value })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_look_as_in_python() {
        let cases = [
            (0.1, "0.1"),
            (1.0, "1.0"),
            (-0.0, "-0.0"),
            (1e16, "1e+16"),
            (1e15, "1000000000000000.0"),
            (123456789012345680.0, "1.2345678901234568e+17"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (1.5e300, "1.5e+300"),
            (5e-324, "5e-324"),
            (f64::NAN, "nan"),
            (f64::NEG_INFINITY, "-inf"),
            (9999999999999998.0, "9999999999999998.0"),
        ];
        for (x, text) in cases {
            assert_eq!(float_repr(x), text);
        }
        let digits = |x, kind, p| float_digits(x, kind, p, false).unwrap();
        assert_eq!(digits(2.5, 'f', Some(0)), "2");
        assert_eq!(digits(1234567.0, 'g', None), "1.23457e+06");
        assert_eq!(digits(0.0001, 'g', None), "0.0001");
        assert_eq!(digits(12.5, 'e', Some(2)), "1.25e+01");
        assert_eq!(digits(0.0, 'g', None), "0");
    }

    #[test]
    fn specifications_are_followed() {
        let budget = Budget::new();
        let int = |spec: &str, i| Spec::parse(spec).unwrap().int(&budget, i).unwrap();
        assert_eq!(int("08,d", 1234), "0,001,234");
        assert_eq!(int("#x", -255), "-0xff");
        assert_eq!(int("*^+7", 5), "**+5***");
        let float = |spec: &str, x| Spec::parse(spec).unwrap().float(&budget, x).unwrap();
        assert_eq!(float(",.2f", 1234567.891), "1,234,567.89");
        assert_eq!(float(".1%", 0.256), "25.6%");
        assert_eq!(float("08.2f", -3.25), "-0003.25");
        assert_eq!(float(".3", 1234.5), "1.23e+03");
    }
}

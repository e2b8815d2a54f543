//! Character classes, as defined by Python.

use crate::platform;

/// `str.isspace` of one character.
pub(crate) fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\x1c'..='\x1f').contains(&c)
}

/// Whether `repr` leaves a character unescaped.
pub(crate) fn is_printable(c: char) -> bool {
    c == ' ' || (c.is_ascii_graphic() || (!c.is_ascii() && platform::is_printable(c)))
}

/// `str.isalpha` of one character.
pub(crate) fn is_alpha(c: char) -> bool {
    if c.is_ascii() { c.is_ascii_alphabetic() } else { platform::is_alpha(c) }
}

/// `str.isdecimal` of one character.
pub(crate) fn is_decimal(c: char) -> bool {
    decimal(c).is_some()
}

/// The value of a decimal digit of any script.
pub(crate) fn decimal(c: char) -> Option<u32> {
    if c.is_ascii() { c.to_digit(10) } else { platform::decimal(c) }
}

/// `str.isdigit` of one character: decimals, and digits in circles or as exponents.
pub(crate) fn is_digit(c: char) -> bool {
    is_decimal(c) || (!c.is_ascii() && platform::is_digit(c))
}

/// `str.isnumeric` of one character.
pub(crate) fn is_numeric(c: char) -> bool {
    is_digit(c) || (!c.is_ascii() && platform::is_numeric(c))
}

/// Appends the title case of a character; only few have a special one.
pub(crate) fn push_title(out: &mut String, c: char) {
    match c {
        'Ǆ' | 'ǅ' | 'ǆ' => out.push('ǅ'),
        'Ǉ' | 'ǈ' | 'ǉ' => out.push('ǈ'),
        'Ǌ' | 'ǋ' | 'ǌ' => out.push('ǋ'),
        'Ǳ' | 'ǲ' | 'ǳ' => out.push('ǲ'),
        'ა'..='ჺ' | 'ჽ'..='ჿ' => out.push(c),
        _ => {
            // If the upper case has several characters, all but the first become lower case: `ß` is `Ss`.
            let upper = platform::upper(c.encode_utf8(&mut [0; 4]));
            let mut rest = upper.chars();
            out.extend(rest.next());
            out.push_str(&platform::lower(rest.as_str()).replace('ι', "\u{345}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_of_characters_are_those_of_python() {
        assert!(is_alpha('é') && is_alpha('ª') && is_alpha('漢') && !is_alpha('²') && !is_alpha('\u{345}'));
        assert!(is_digit('²') && !is_decimal('²') && is_numeric('½') && !is_digit('½') && is_decimal('٣'));
        assert!(!is_printable('\u{a0}') && !is_printable('\u{200b}') && is_printable('é') && is_printable('😀'));
        assert!(!is_printable('\u{e000}') && !is_printable('\u{10ffff}') && !is_printable('\x7f'));
    }
}

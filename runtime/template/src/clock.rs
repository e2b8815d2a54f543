//! `strftime` in the C locale, for a time in UTC.

/// A date and time, by components.
struct Moment {
    year: i64,
    /// From 1 on.
    month: i64,
    day: i64,
    /// From 0 on.
    day_of_year: i64,
    /// 0 is Sunday.
    weekday: i64,
    hour: i64,
    minute: i64,
    second: i64,
    unix: i64,
}

const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// Times outside of this range of years are clamped.
const FIRST: i64 = -62_135_596_800;
const LAST: i64 = 253_402_300_799;

/// Days from 1970-01-01 to the first day of a year.
fn year_begins(year: i64) -> i64 {
    let before = year - 1;
    before * 365 + before.div_euclid(4) - before.div_euclid(100) + before.div_euclid(400) - 719_162
}

fn leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

impl Moment {
    fn of(unix: i64) -> Self {
        let unix = unix.clamp(FIRST, LAST);
        let (days, seconds) = (unix.div_euclid(86_400), unix.rem_euclid(86_400));
        let mut year = 1970 + days.div_euclid(366);
        while year_begins(year + 1) <= days {
            year += 1;
        }
        let day_of_year = days - year_begins(year);
        let lengths = [31, if leap(year) { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
        let (mut month, mut day) = (1, day_of_year + 1);
        for length in lengths {
            if day <= length {
                break;
            }
            day -= length;
            month += 1;
        }
        Moment {
            year,
            month,
            day,
            day_of_year,
            weekday: (days + 4).rem_euclid(7),
            hour: seconds / 3600,
            minute: seconds / 60 % 60,
            second: seconds % 60,
            unix,
        }
    }

    /// Year and week of ISO 8601.
    fn iso(&self) -> (i64, i64) {
        let monday = (self.weekday + 6) % 7;
        let week = (self.day_of_year - monday + 10) / 7;
        let weeks = |year: i64| {
            let last = |year: i64| (year + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400)) % 7;
            if last(year) == 4 || last(year - 1) == 3 { 53 } else { 52 }
        };
        match week {
            0 => (self.year - 1, weeks(self.year - 1)),
            53 if weeks(self.year) == 52 => (self.year + 1, 1),
            week => (self.year, week),
        }
    }

    /// The text for a format code; `None` if there is no such code.
    fn code(&self, code: char) -> Option<String> {
        let (day, month) = (DAYS[self.weekday as usize], MONTHS[self.month as usize - 1]);
        let hour12 = (self.hour + 11) % 12 + 1;
        let two = |n: i64| format!("{n:02}");
        Some(match code {
            'a' => day[..3].into(),
            'A' => day.into(),
            'b' | 'h' => month[..3].into(),
            'B' => month.into(),
            'c' => self.format("%a %b %e %H:%M:%S %Y"),
            'C' => two(self.year / 100),
            'd' => two(self.day),
            'D' | 'x' => self.format("%m/%d/%y"),
            'e' => format!("{:2}", self.day),
            'f' => "000000".into(),
            'F' => self.format("%Y-%m-%d"),
            'g' => two(self.iso().0 % 100),
            'G' => self.iso().0.to_string(),
            'H' => two(self.hour),
            'I' => two(hour12),
            'j' => format!("{:03}", self.day_of_year + 1),
            'k' => format!("{:2}", self.hour),
            'l' => format!("{hour12:2}"),
            'm' => two(self.month),
            'M' => two(self.minute),
            'n' => "\n".into(),
            'p' => if self.hour < 12 { "AM" } else { "PM" }.into(),
            'P' => if self.hour < 12 { "am" } else { "pm" }.into(),
            'r' => self.format("%I:%M:%S %p"),
            'R' => self.format("%H:%M"),
            's' => self.unix.to_string(),
            'S' => two(self.second),
            't' => "\t".into(),
            'T' | 'X' => self.format("%H:%M:%S"),
            'u' => ((self.weekday + 6) % 7 + 1).to_string(),
            'U' => two((self.day_of_year + 7 - self.weekday) / 7),
            'V' => two(self.iso().1),
            'w' => self.weekday.to_string(),
            'W' => two((self.day_of_year + 7 - (self.weekday + 6) % 7) / 7),
            'y' => two(self.year % 100),
            'Y' => self.year.to_string(),
            // `datetime.now()` has no time zone.
            'z' | 'Z' => String::new(),
            '%' => "%".into(),
            _ => return None,
        })
    }

    fn format(&self, format: &str) -> String {
        let mut out = String::new();
        let mut chars = format.chars();
        while let Some(c) = chars.next() {
            if c != '%' {
                out.push(c);
                continue;
            }
            let rest = chars.as_str();
            // `-` removes zeros and spaces; `E` and `O` have no effect in this locale.
            let flag = chars.clone().next().filter(|c| "-_0^#EO".contains(*c));
            if flag.is_some() {
                chars.next();
            }
            match chars.next().and_then(|code| Some((code, self.code(code)?))) {
                Some((_, text)) => out.push_str(&flagged(flag, text)),
                None => {
                    out.push('%');
                    out.push_str(&rest[..rest.len() - chars.as_str().len()]);
                }
            }
        }
        out
    }
}

fn flagged(flag: Option<char>, text: String) -> String {
    let number = !text.is_empty() && text.chars().all(|c| c.is_ascii_digit() || c == ' ');
    match flag {
        Some('-') if number => match text.trim_start_matches(['0', ' ']) {
            "" => "0".into(),
            rest => rest.into(),
        },
        Some('_') if number => {
            let kept = text.trim_start_matches('0');
            let kept = if kept.is_empty() { "0" } else { kept };
            " ".repeat(text.len() - kept.len()) + kept
        }
        Some('0') => text.replace(' ', "0"),
        Some('^') => text.to_ascii_uppercase(),
        Some('#') => {
            if text == "AM" || text == "PM" {
                text.to_ascii_lowercase()
            } else {
                text.to_ascii_uppercase()
            }
        }
        _ => text,
    }
}

/// Formats a time like `datetime.strftime`.
pub(crate) fn strftime(format: &str, unix: i64) -> String {
    Moment::of(unix).format(format)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_python() {
        // Recorded from Python's datetime.
        assert_eq!(strftime("%a %A %Y-%m-%d %d %b %y %H:%M:%S", 0), "Thu Thursday 1970-01-01 01 Jan 70 00:00:00");
        assert_eq!(
            strftime("%c|%j|%U|%W|%V %G|%I %p|%u%w", 951_827_696),
            "Tue Feb 29 12:34:56 2000|060|09|09|09 2000|12 PM|22"
        );
        assert_eq!(strftime("%G-W%V %-d %e", 1_735_689_599), "2025-W01 31 31");
        assert_eq!(strftime("100%% %q %", 0), "100% %q %");
        assert_eq!(strftime("%F %T", i64::MAX), "9999-12-31 23:59:59");
    }
}

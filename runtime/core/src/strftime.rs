//! The date as chat templates ask for it. A format function of our own, because the time comes from the caller:
//! this crate has no clock.

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
const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

/// Year, month (from 1) and day of a number of days since 1970-01-01 (Howard Hinnant, "chrono-compatible low-level
/// date algorithms").
fn civil(days: i64) -> (i64, usize, u32) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let day_of_era = z.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month as usize, day as u32)
}

/// Python's `strftime` in UTC, for the directives that stand in chat templates; others stay as they are.
pub(crate) fn strftime(format: &str, unix_seconds: i64) -> String {
    // Years of four digits are enough, and keep the arithmetic in range.
    let seconds = unix_seconds.clamp(0, 253_402_300_799);
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    let (month_name, day_name) = (MONTHS[(month - 1) % 12], DAYS[((days + 4) % 7) as usize]);
    let mut out = String::new();
    let mut rest = format.chars();
    while let Some(c) = rest.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        match rest.next() {
            Some('Y') => out += &format!("{year}"),
            Some('y') => out += &format!("{:02}", year % 100),
            Some('m') => out += &format!("{month:02}"),
            Some('d') => out += &format!("{day:02}"),
            Some('B') => out += month_name,
            Some('b') => out += &month_name[..3],
            Some('A') => out += day_name,
            Some('a') => out += &day_name[..3],
            Some('H') => out += &format!("{hour:02}"),
            Some('M') => out += &format!("{minute:02}"),
            Some('S') => out += &format!("{second:02}"),
            Some('F') => out += &format!("{year}-{month:02}-{day:02}"),
            Some('T') => out += &format!("{hour:02}:{minute:02}:{second:02}"),
            Some('%') => out.push('%'),
            Some(other) => out.extend(['%', other]),
            None => out.push('%'),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::strftime;

    #[test]
    fn dates() {
        // Expected values from Python's datetime.
        for (time, expect) in [
            (0, "Thu Thursday 1970-01-01 01 Jan 70 00:00:00"),
            (951_827_696, "Tue Tuesday 2000-02-29 29 Feb 00 12:34:56"),
            (1_735_689_599, "Tue Tuesday 2024-12-31 31 Dec 24 23:59:59"),
        ] {
            assert_eq!(strftime("%a %A %Y-%m-%d %d %b %y %H:%M:%S", time), expect);
        }
        assert_eq!(strftime("100%% %q %", 0), "100% %q %");
        assert_eq!(strftime("%F", i64::MAX), "9999-12-31");
    }
}

//! QR codes for terminals.

use qrcode::render::unicode::Dense1x2;
use qrcode::{EcLevel, QrCode};

/// The QR code of a text, with two modules per character: light modules are block characters, dark ones the background,
/// with a border of four light modules. It is meant for a dark background. `None` if the text is too long.
pub(super) fn code(text: &str) -> Option<String> {
    let code = QrCode::with_error_correction_level(text, EcLevel::L).ok()?;
    // The crate draws dark modules with blocks; here the colours are swapped.
    Some(code.render::<Dense1x2>().dark_color(Dense1x2::Light).light_color(Dense1x2::Dark).quiet_zone(true).build())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a camera sees, with a few pixels per module.
    fn read(drawn: &str) -> String {
        const SCALE: usize = 4;
        let mut rows: Vec<Vec<bool>> = Vec::new();
        for line in drawn.lines() {
            // Whether the upper and the lower half of each character is light.
            let halves = |mark: char| match mark {
                '█' => (true, true),
                '▀' => (true, false),
                '▄' => (false, true),
                ' ' => (false, false),
                other => panic!("{other:?} is no half of a block"),
            };
            let (upper, lower) = line.chars().map(halves).unzip();
            rows.extend([upper, lower]);
        }
        // The code is square. If its number of rows is odd, the lower half of the last line is background.
        let side = rows[0].len();
        assert!(rows.len() == side || rows.len() == side + 1, "{} rows of {side} squares:\n{drawn}", rows.len());
        rows.truncate(side);
        assert!(rows.iter().all(|r| r.len() == rows[0].len()), "the lines differ in length:\n{drawn}");
        assert!(rows[..4].iter().flatten().all(|light| *light), "there is no border above:\n{drawn}");
        let ends = |row: &[bool]| row[..4].iter().chain(&row[side - 4..]).all(|light| *light);
        assert!(rows[side - 4..].iter().flatten().all(|light| *light), "there is no border below:\n{drawn}");
        assert!(rows.iter().all(|row| ends(row)), "there is no border at the sides:\n{drawn}");
        let mut seen = rqrr::PreparedImage::prepare_from_greyscale(side * SCALE, side * SCALE, |x, y| {
            if rows[y / SCALE][x / SCALE] { 255 } else { 0 }
        });
        let found = seen.detect_grids();
        assert_eq!(found.len(), 1, "{drawn}");
        found[0].decode().expect("a code").1
    }

    #[test]
    fn a_reader_finds_the_text() {
        for text in ["http://192.168.1.7:8080/", "http://[fd00:1234:5678:9abc::7]:8080/", "a"] {
            assert_eq!(read(&code(text).expect("short enough")), text);
        }
    }

    #[test]
    fn it_fits_in_a_terminal() {
        let drawn = code("http://192.168.100.100:65535/").expect("short enough");
        assert!(drawn.lines().count() < 24 && drawn.lines().all(|l| l.chars().count() < 80), "{drawn}");
    }

    #[test]
    fn a_text_may_be_too_long() {
        assert_eq!(code(&"a".repeat(3_000)), None);
    }
}
